// SPDX-License-Identifier: MIT
// What waits for room in a queueing node: filled by many, emptied by one, who hardly ever meet.
#pragma once

#include <forkflow/nodes/large_memory.hpp>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <new>
#include <utility>
#include <vector>

namespace forkflow::graph {

/// A queue of chunks: the taker has one for itself, so that it needs the lock of those who push once per
/// batch. Emptied chunks are filled again, but no more places are kept for that than messages wait, and a
/// small chunk's. As long as much waits, new chunks are large: who pushes would else spend its time in page
/// faults.
///
/// All but `at` is for who holds the lock that all share; `refill`, `at` and `taken` are for one thread.
template <class Message>
class message_queue {
public:
    void push(Message message) {
        if (chunks_.empty() || chunks_.back().size() == chunks_.back().capacity()) {
            add_chunk();
        }
        chunks_.back().push_back(std::move(message));
        ++size_;
    }

    /// Those that have not been noted as taken.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

    /// Returns how many `at` can find; 0: the queue is empty.
    std::size_t refill() {
        if (next_ == current_.size()) {
            recycle();
            if (!chunks_.empty()) {
                current_.swap(chunks_.front()); // which is left without places
                chunks_.pop_front();
            }
        }
        return current_.size() - next_;
    }
    /// The next, or the one that is `ahead` places behind it.
    [[nodiscard]] Message& at(std::size_t ahead) noexcept { return current_[next_ + ahead]; }
    /// Notes that the next `count` have left.
    void taken(std::size_t count) noexcept {
        next_ += count;
        size_ -= count;
    }

    void swap(message_queue& other) noexcept {
        chunks_.swap(other.chunks_);
        spare_.swap(other.spare_);
        current_.swap(other.current_);
        std::swap(next_, other.next_);
        std::swap(size_, other.size_);
    }

private:
    using chunk = std::vector<Message, nodes::large_allocator<Message>>;

    static constexpr std::size_t messages_in(std::size_t bytes) noexcept {
        return std::max<std::size_t>(bytes / sizeof(Message), 1);
    }
    static constexpr std::size_t messages_in_chunk = messages_in(std::size_t{16} << 10U);
    static constexpr std::size_t messages_in_large_chunk = messages_in(nodes::large_piece_bytes);
    /// As soon as a quarter of a large one waits.
    static constexpr std::size_t many = std::max(messages_in_large_chunk / 4, messages_in_chunk);

    void add_chunk() {
        if (!spare_.empty()) {
            chunks_.push_back(std::move(spare_.back()));
            spare_.pop_back();
            return;
        }
        chunk added;
        try {
            added.reserve(size_ < many ? messages_in_chunk : messages_in_large_chunk);
        } catch (const std::bad_alloc&) { // there may be room for a small one
            added.reserve(messages_in_chunk);
        }
        chunks_.push_back(std::move(added));
    }
    void recycle() {
        current_.clear();
        next_ = 0;
        if (current_.capacity() > 0) {
            spare_.push_back(std::move(current_));
        }
        current_ = chunk();
        std::size_t spare_places = 0;
        std::erase_if(spare_, [&](const chunk& one) {
            const bool too_many = spare_places + one.capacity() > size_ + messages_in_chunk;
            spare_places += too_many ? 0 : one.capacity();
            return too_many;
        });
    }

    std::deque<chunk> chunks_;
    std::vector<chunk> spare_;
    chunk current_; ///< the taker's
    std::size_t next_ = 0;
    std::size_t size_ = 0;
};

} // namespace forkflow::graph
