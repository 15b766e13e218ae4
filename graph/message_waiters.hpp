// SPDX-License-Identifier: MIT
// Those who wait for one message, in receiver::try_put_and_wait of newer versions of oneTBB. Without that
// preview feature there are none, and nothing here costs anything.
#pragma once

#include <forkflow/graph/protocol.hpp>

#include <atomic>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>

namespace forkflow::graph {

#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT

using tbb_detail::message_metainfo;

/// Keeps those who wait for one message waiting until it is destroyed. Copies do so on their own.
class message_waiters {
public:
    message_waiters() = default;
    explicit message_waiters(const message_metainfo& waiters)
        : waiters_(waiters) {
        keep();
    }
    /// For what came out of a sender: they have been kept waiting already, for us.
    static message_waiters taken_over(message_metainfo&& waiters) {
        message_waiters taken;
        taken.waiters_ = std::move(waiters);
        return taken;
    }
    message_waiters(const message_waiters& other)
        : message_waiters(other.waiters_) {}
    message_waiters(message_waiters&& other) noexcept
        : waiters_(std::exchange(other.waiters_, message_metainfo())) {}
    message_waiters& operator=(message_waiters other) noexcept {
        std::swap(waiters_, other.waiters_);
        return *this;
    }
    ~message_waiters() {
        for (auto* const waiter : waiters_.waiters()) {
            waiter->release(1);
        }
    }

    [[nodiscard]] bool none() const { return waiters_.empty(); }
    [[nodiscard]] const message_metainfo& all() const { return waiters_; }
    /// For a receiver that asks, and keeps them waiting from now on.
    [[nodiscard]] message_metainfo handed_over() const {
        keep();
        return waiters_;
    }

private:
    void keep() const {
        for (auto* const waiter : waiters_.waiters()) {
            waiter->reserve(1);
        }
    }

    message_metainfo waiters_;
};

/// Those who wait for the messages that are on their way: in at one end, out at the other, in order.
class waiters_on_the_way {
public:
    /// To be called for each message, in arrival order, before anybody can see it leave.
    void arrived(message_waiters waiters) {
        const std::uint64_t number = arrived_++;
        if (!waiters.none()) {
            const std::scoped_lock lock(mutex_);
            noted_.emplace_back(number, std::move(waiters));
            count_.store(noted_.size());
        }
    }
    /// To be called for each message that leaves, in order. Returns those who wait for it.
    message_waiters left() {
        const std::uint64_t number = left_++;
        message_waiters waiters;
        if (count_.load() > 0) {
            const std::scoped_lock lock(mutex_);
            if (!noted_.empty() && noted_.front().first == number) {
                waiters = std::move(noted_.front().second);
                noted_.pop_front();
                count_.store(noted_.size());
            }
        }
        return waiters;
    }
    /// Nobody waits any longer; messages on their way will still leave.
    void clear() {
        std::deque<std::pair<std::uint64_t, message_waiters>> released;
        const std::scoped_lock lock(mutex_);
        released.swap(noted_);
        count_.store(0);
    }
    /// No message is on its way any longer.
    void restart() {
        clear();
        left_ = arrived_;
    }

private:
    std::uint64_t arrived_ = 0;
    std::uint64_t left_ = 0;
    std::mutex mutex_;
    std::deque<std::pair<std::uint64_t, message_waiters>> noted_;
    std::atomic<std::size_t> count_{0};
};

#else

struct message_waiters {
    [[nodiscard]] static constexpr bool none() { return true; }
};
struct waiters_on_the_way {
    static void arrived(message_waiters /*none*/) noexcept {}
    static message_waiters left() noexcept { return {}; }
    static void clear() noexcept {}
    static void restart() noexcept {}
};

#endif

/// receiver::try_put, with those who wait for the message.
template <class T>
bool push(tbb::flow::receiver<T>& to, const T& message, [[maybe_unused]] const message_waiters& waiters) {
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    if (!waiters.none()) {
        return asked_of_receivers<T>::try_put(to, message, waiters.all());
    }
#endif
    return to.try_put(message);
}

/// sender::try_get, with those who wait for the message.
template <class T>
bool pull(tbb::flow::sender<T>& from, T& message, [[maybe_unused]] message_waiters& waiters) {
#if __TBB_PREVIEW_FLOW_GRAPH_TRY_PUT_AND_WAIT
    message_metainfo taken;
    if (!from.try_get(message, taken)) {
        return false;
    }
    waiters = message_waiters::taken_over(std::move(taken));
    return true;
#else
    return from.try_get(message);
#endif
}

} // namespace forkflow::graph
