// SPDX-License-Identifier: MIT
// A purge after a wild word ends with the last death or refusal of those that lived then: what a message owes
// to the next worker of a seat is settled before words are mended, so that no sound one is taken for wild.
#include "support/catch.hpp"

#include <forkflow/nodes/supervisor.hpp>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <utility>

namespace purge_test {

using forkflow::failure;
using forkflow::failure_kind;
using forkflow::pool_options;
using namespace forkflow::nodes;

namespace {

constexpr std::uint64_t wild_bits = 0x1234'5678'1234'5678;

/// Makes no workers, and tells what a test has written down: the supervisor does its work in between.
class scripted_host final : public worker_host {
public:
    /// What happens before the supervisor is told what is returned.
    using scene = std::function<host_event()>;
    std::deque<scene> script;

    void start(std::uint32_t /*seat*/, std::uint32_t /*incarnation*/) override {}
    void kill(std::uint32_t /*seat*/, std::uint32_t /*incarnation*/) override {}
    void close() override {}
    void interrupt() override {}
    host_event next_event(std::int64_t /*patience_ns*/) override {
        if (script.empty()) {
            return {.what = host_event::kind::closed};
        }
        const scene next = std::move(script.front());
        script.pop_front();
        return next();
    }
    bool restart() override { return true; }
};

/// The parent's side of a pool of two workers that have claimed a message each. It ends with its script.
struct two_claims {
    /// In which seats messages 0 and 1 are claimed.
    explicit two_claims(std::pair<std::uint32_t, std::uint32_t> claimed_in) {
        host.script.emplace_back([this, claimed_in] {
            claim(0, claimed_in.first);
            claim(1, claimed_in.second);
            return host_event{};
        });
    }

    void play() {
        host.script.emplace_back([this] {
            guarding.stop();
            return host_event{.what = host_event::kind::closed};
        });
        guarding.run();
    }
    void spoil(sequence number) {
        host.script.emplace_back([this, number] {
            shared.state(number).store(wild_bits);
            guarding.purge();
            return host_event{};
        });
    }
    void tell(const host_event& event) {
        host.script.emplace_back([event] { return event; });
    }
    /// At this point of the script.
    void expect(sequence number, const state_word& word) {
        host.script.emplace_back([this, number, word] {
            CHECK(word_of(number) == word);
            return host_event{};
        });
    }
    [[nodiscard]] state_word word_of(sequence number) const {
        return state_word::unpacked(shared.state(number).load());
    }

    const pool_options options = forkflow::resolved(pool_options{.workers = 2, .attempts = 3});
    rings shared{options, 0};
    seat_table seats{shared.seats()};
    reorder_window window{shared};
    failure_shelf failures{shared.capacity()};
    word_guard guard{shared, seats, failures};
    request_ring requests{shared, window, failures, guard};
    scripted_host host;
    supervisor guarding{shared, options, requests, window, failures, seats, guard, host};

private:
    void claim(sequence number, std::uint32_t seat) {
        shared.seat(seat).stage.store(static_cast<std::uint32_t>(worker_stage::ready));
        REQUIRE(requests.try_reserve(message_kind::request) == number);
        requests.commit_request(number, 0);
        const state_word claimed{.number = number,
                                 .state = message_state::claimed,
                                 .attempt = 1,
                                 .seat = seat,
                                 .incarnation = seats.incarnation(seat)};
        shared.state(number).store(claimed.packed());
    }
};

host_event death_of(std::uint32_t seat, std::uint32_t incarnation) {
    return {.what = host_event::kind::died, .seat = seat, .incarnation = incarnation, .signal = SIGKILL};
}

state_word second_attempt_for(sequence number, std::uint32_t seat, std::uint32_t incarnation) {
    return {.number = number,
            .state = message_state::ready,
            .attempt = 2,
            .seat = seat,
            .incarnation = incarnation};
}

void check_mended(two_claims& pool, sequence number) {
    CHECK(pool.word_of(number).state == message_state::failed);
    const std::optional<failure> found = pool.failures.take(number);
    REQUIRE(found);
    CHECK(found->kind == failure_kind::not_decodable);
}

} // namespace

TEST_CASE("A retry whose worker cannot be made while a purge ends waits for the next one") {
    two_claims pool({0, 1});
    pool.tell(death_of(0, 1));
    pool.expect(0, second_attempt_for(0, 0, 2));
    pool.spoil(1);
    pool.tell(death_of(1, 1));
    pool.tell({.what = host_event::kind::refused, .seat = 0, .incarnation = 2, .error = EAGAIN});
    pool.expect(0, second_attempt_for(0, 0, 3));
    pool.play();
    check_mended(pool, 1);
}

TEST_CASE("A retry whose worker dies with the fork server while a purge ends waits for the next one") {
    two_claims pool({1, 0});
    pool.spoil(1);
    pool.tell(death_of(1, 1));
    pool.expect(0, second_attempt_for(0, 1, 2));
    pool.tell({.what = host_event::kind::closed});
    pool.expect(0, second_attempt_for(0, 1, 3));
    pool.play();
    check_mended(pool, 1);
}

} // namespace purge_test
