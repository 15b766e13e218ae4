// SPDX-License-Identifier: MIT
// A pool of worker processes on two queues of Boost.Interprocess: one of requests, one of results.
//
// Workers take the next request whoever they are, so results are put in order at the end, in a window of as
// many places as messages may be inside. A worker that dies while it holds a queue's mutex stops everybody
// for ever.
#pragma once

#include "instruments/bodies.hpp"
#include "instruments/messages.hpp"
#include "instruments/timing.hpp"
#include "instruments/ways.hpp"
#include "peers/child_process.hpp"

#include <boost/interprocess/ipc/message_queue.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace forkflow_benchmark {

class message_queue_pool {
public:
    message_queue_pool(std::size_t workers, std::size_t window, std::size_t size_bytes, std::uint64_t rounds)
        : window_(window)
        , size_bytes_(size_bytes)
        , requests_(boost::interprocess::create_only, name("requests").c_str(), window, size_bytes)
        , results_(boost::interprocess::create_only, name("results").c_str(), window, size_bytes) {
        // Children inherit the mappings; nobody needs the names.
        boost::interprocess::message_queue::remove(name("requests").c_str());
        boost::interprocess::message_queue::remove(name("results").c_str());
        for (std::size_t i = 0; i < workers; ++i) {
            children_.emplace_back([&] { work(rounds); });
        }
    }
    ~message_queue_pool() {
        for (std::size_t i = 0; i < children_.size(); ++i) {
            requests_.send(nullptr, 0, 0); // and a worker leaves
        }
    }
    message_queue_pool(const message_queue_pool&) = delete;
    message_queue_pool& operator=(const message_queue_pool&) = delete;

    /// Sends messages 0 to count - 1 from a thread of its own, and takes the results in order.
    seconds run(std::uint64_t count) {
        in_order out;
        const seconds taken = timed([&] {
            std::counting_semaphore<> room(static_cast<std::ptrdiff_t>(window_));
            std::thread feeder([&] {
                const sized_messages make{size_bytes_};
                for (std::uint64_t number = 0; number < count; ++number) {
                    const sized_message message = make(number);
                    room.acquire();
                    requests_.send(message.data(), message.size(), 0);
                }
            });
            collect(count, out, room);
            feeder.join();
        });
        out.check(count);
        return taken / static_cast<double>(count);
    }

private:
    static std::string name(const std::string& what) {
        return "forkflow_benchmark." + std::to_string(::getpid()) + "." + what;
    }

    void collect(std::uint64_t count, in_order& out, std::counting_semaphore<>& room) {
        std::vector<sized_message> places(window_); // those not empty wait for their turn
        sized_message result(size_bytes_);
        std::uint64_t next = 0;
        for (std::uint64_t received = 0; received < count; ++received) {
            boost::interprocess::message_queue::size_type got = 0;
            unsigned priority = 0;
            results_.receive(result.data(), result.size(), got, priority);
            places[number_of(result) % window_] = result;
            for (; !places[next % window_].empty(); ++next) {
                out.take(number_of(places[next % window_]));
                places[next % window_].clear();
                room.release();
            }
        }
    }

    void work(std::uint64_t rounds) {
        sized_message message(size_bytes_);
        for (;;) {
            boost::interprocess::message_queue::size_type got = 0;
            unsigned priority = 0;
            requests_.receive(message.data(), message.size(), got, priority);
            if (got == 0) {
                return;
            }
            compute(rounds);
            results_.send(message.data(), got, 0);
        }
    }

    std::size_t window_;
    std::size_t size_bytes_;
    boost::interprocess::message_queue requests_;
    boost::interprocess::message_queue results_;
    std::vector<child_process> children_; // ends before the queues
};

inline seconds through_message_queues(const load& all, std::size_t size_bytes, std::uint64_t rounds) {
    message_queue_pool pool(all.workers, all.window, size_bytes, rounds);
    pool.run(all.messages / 10 + 1); // to warm up
    return pool.run(all.messages);
}

} // namespace forkflow_benchmark
