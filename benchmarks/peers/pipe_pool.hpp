// SPDX-License-Identifier: MIT
// A pool of worker processes on pipes, as a careful programmer writes it in an afternoon.
//
// Each worker has one pipe to it and one from it. Messages are dealt in turn and taken in the same turn, so
// that they come out in order with no sorting; what bounds them is the room in the pipes. Everybody writes
// one message at a time and reads as many at once as there are. It does not notice when a worker dies.
#pragma once

#include "instruments/bodies.hpp"
#include "instruments/messages.hpp"
#include "instruments/timing.hpp"
#include "instruments/ways.hpp"
#include "peers/child_process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace forkflow_benchmark {

/// Both ends of a pipe with as much room as one may ask for.
class pipe_ends {
public:
    pipe_ends() {
        if (::pipe2(ends_.data(), O_CLOEXEC) != 0) {
            throw std::system_error(errno, std::system_category(), "pipe2");
        }
        ::fcntl(ends_[1], F_SETPIPE_SZ, 1 << 20); // if it may not be so large, it stays as it is
    }
    pipe_ends(pipe_ends&& other) noexcept
        : ends_(other.ends_) {
        other.ends_ = {-1, -1};
    }
    pipe_ends(const pipe_ends&) = delete;
    pipe_ends& operator=(const pipe_ends&) = delete;
    pipe_ends& operator=(pipe_ends&&) = delete;
    ~pipe_ends() {
        close_reading();
        close_writing();
    }
    [[nodiscard]] int reading() const noexcept { return ends_[0]; }
    [[nodiscard]] int writing() const noexcept { return ends_[1]; }
    void close_reading() noexcept { close(ends_[0]); }
    void close_writing() noexcept { close(ends_[1]); }

private:
    static void close(int& end) noexcept {
        if (end >= 0) {
            ::close(end);
        }
        end = -1;
    }
    std::array<int, 2> ends_{-1, -1};
};

/// Cuts what comes out of a pipe into messages of one size.
class message_reader {
public:
    message_reader(int from, std::size_t size_bytes)
        : from_(from)
        , size_bytes_(size_bytes)
        , buffer_(std::max(size_bytes, std::size_t{64} << 10U)) {}

    /// The next message, until the next call. Empty: the pipe has ended.
    std::span<const std::byte> next() {
        while (filled_ - taken_ < size_bytes_) {
            std::copy(buffer_.data() + taken_, buffer_.data() + filled_, buffer_.data());
            filled_ -= taken_;
            taken_ = 0;
            const ssize_t got = ::read(from_, buffer_.data() + filled_, buffer_.size() - filled_);
            if (got <= 0) {
                return {};
            }
            filled_ += static_cast<std::size_t>(got);
        }
        taken_ += size_bytes_;
        return {buffer_.data() + taken_ - size_bytes_, size_bytes_};
    }

private:
    int from_;
    std::size_t size_bytes_;
    std::vector<std::byte> buffer_;
    std::size_t taken_ = 0;
    std::size_t filled_ = 0;
};

inline void write_message(int to, std::span<const std::byte> message) {
    while (!message.empty()) {
        const ssize_t written = ::write(to, message.data(), message.size());
        if (written < 0) {
            throw std::system_error(errno, std::system_category(), "write");
        }
        message = message.subspan(static_cast<std::size_t>(written));
    }
}

class pipe_pool {
public:
    /// Messages of this size; the body computes so many rounds and gives the message back.
    pipe_pool(std::size_t workers, std::size_t size_bytes, std::uint64_t rounds)
        : size_bytes_(size_bytes)
        , pipes_(workers) {
        for (worker_pipes& mine : pipes_) {
            children_.emplace_back([&] { work(mine, rounds); });
        }
        for (worker_pipes& each : pipes_) {
            each.requests.close_reading();
            each.results.close_writing();
        }
    }
    pipe_pool(const pipe_pool&) = delete;
    pipe_pool& operator=(const pipe_pool&) = delete;

    /// Sends messages 0 to count - 1 from a thread of its own, and takes the results in order.
    seconds run(std::uint64_t count) {
        in_order out;
        const seconds taken = timed([&] {
            std::thread feeder([&] {
                const sized_messages make{size_bytes_};
                for (std::uint64_t number = 0; number < count; ++number) {
                    write_message(pipes_[number % pipes_.size()].requests.writing(), make(number));
                }
            });
            std::vector<message_reader> readers;
            for (const worker_pipes& each : pipes_) {
                readers.emplace_back(each.results.reading(), size_bytes_);
            }
            for (std::uint64_t number = 0; number < count; ++number) {
                const auto result = readers[number % readers.size()].next();
                if (result.empty()) {
                    throw std::runtime_error("a worker of the pipe pool has died");
                }
                out.take(number_of(sized_message(result.begin(), result.end())));
            }
            feeder.join();
        });
        out.check(count);
        return taken / static_cast<double>(count);
    }

private:
    struct worker_pipes {
        pipe_ends requests;
        pipe_ends results;
    };

    void work(worker_pipes& mine, std::uint64_t rounds) {
        for (worker_pipes& each : pipes_) { // else they would not end when the parent closes them
            each.requests.close_writing();
            each.results.close_reading();
        }
        message_reader requests(mine.requests.reading(), size_bytes_);
        for (auto request = requests.next(); !request.empty(); request = requests.next()) {
            compute(rounds);
            write_message(mine.results.writing(), request);
        }
    }

    std::size_t size_bytes_;
    std::vector<child_process> children_; // behind the pipes' end they leave, and are waited for
    std::vector<worker_pipes> pipes_;
};

inline seconds through_pipes(const load& all, std::size_t size_bytes, std::uint64_t rounds) {
    pipe_pool pool(all.workers, size_bytes, rounds);
    pool.run(all.messages / 10 + 1); // to warm up
    return pool.run(all.messages);
}

} // namespace forkflow_benchmark
