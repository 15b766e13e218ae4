// SPDX-License-Identifier: MIT
// What the address sanitizer has to be told when a thread goes to another stack and comes back.
#pragma once

#include <cstddef>

namespace forkflow::nodes {

/// One visit of a thread to a stack on which nothing else stands. The members are to be called in their
/// order. They do nothing in a program without the sanitizer; whether it has it is found out by its
/// functions, as a library that is built without may be part of a program that is built with it. The thread
/// sanitizer need not be told, as the calls on both stacks are nested.
class announced_switch {
public:
    void going(const void* lowest, std::size_t bytes) noexcept; ///< before the switch
    void arrived() noexcept;                                    ///< on the new stack
    void returning() noexcept;                                  ///< on the new stack, at its end
    void returned() noexcept;                                   ///< on the first one

    /// The memory of a stack that is no longer used is about to be given back: others may get its addresses.
    static void forget(const void* lowest, std::size_t bytes) noexcept;

private:
    void* left_ = nullptr;         ///< what the sanitizer keeps of the first stack
    const void* lowest_ = nullptr; ///< the first stack's, as is the next
    std::size_t bytes_ = 0;
};

} // namespace forkflow::nodes
