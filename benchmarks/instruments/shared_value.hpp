// SPDX-License-Identifier: MIT
// A value that forked processes share.
#pragma once

#include <cerrno>
#include <memory>
#include <new>
#include <system_error>

#include <sys/mman.h>

namespace forkflow_benchmark {

/// Lies in memory that children share; begins as Value().
template <class Value>
class shared_value {
public:
    shared_value() {
        void* const memory =
            ::mmap(nullptr, sizeof(Value), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) {
            throw std::system_error(errno, std::system_category(), "mmap");
        }
        value_ = new (memory) Value();
    }
    ~shared_value() {
        std::destroy_at(value_);
        ::munmap(value_, sizeof(Value));
    }
    shared_value(const shared_value&) = delete;
    shared_value& operator=(const shared_value&) = delete;

    Value* operator->() const noexcept { return value_; }

private:
    Value* value_;
};

} // namespace forkflow_benchmark
