// SPDX-License-Identifier: MIT
// A soak in chaos: workers are killed, stopped and let go on, crash, hang, are recycled, and write at random
// over all shared memory that they can reach, while messages that verify themselves go through and their
// numbers wrap.
//
// FORKFLOW_CHAOS_SECONDS: for how long, 10 if unset. FORKFLOW_SEED: repeats the decisions of an earlier run,
// though not its timing.
#include "support/engine_death_scenarios.hpp"
#include "support/leftovers.hpp"
#include "support/sanitized.hpp"
#include "support/wild_worker.hpp"

#include <cstdlib>
#include <iostream>
#include <random>

#include <unistd.h>

namespace chaos_test {

using namespace forkflow_test;

namespace {

using seconds = std::chrono::duration<double>;

constexpr std::size_t workers = 4;
constexpr unsigned attempts = 3;

/// A well mixed number that belongs to these.
constexpr std::uint64_t mixed(std::uint64_t a, std::uint64_t b = 0, std::uint64_t c = 0) {
    std::uint64_t value = a;
    for (const std::uint64_t more : {b, c}) {
        value = (value ^ more) * 0x9E3779B97F4A7C15U;
        value = (value ^ (value >> 32U)) * 0xD6E8FEB86659FD93U;
        value ^= value >> 32U;
    }
    return value;
}

/// What an episode is made of.
struct weather {
    const char* name;
    bool deaths = false;
    bool wild_writes = false;
};

/// What bodies and hooks do, decided by the seed.
class fate {
public:
    fate(std::uint64_t seed, const weather& kind)
        : seed_(seed)
        , kind_(kind) {}

    /// True if the message kills every worker that takes it.
    [[nodiscard]] bool is_deadly(std::uint64_t index) const {
        return kind_.deaths && mixed(seed_, index, 1) % 401 == 0;
    }
    [[nodiscard]] bool throws(std::uint64_t index) const {
        return kind_.deaths && mixed(seed_, index, 2) % 211 == 0;
    }
    /// Of one attempt at a message.
    [[nodiscard]] bool crashes(std::uint64_t index) const {
        return kind_.deaths && mixed(seed_ + 3, index, own_pid()) % 97 == 0;
    }
    [[nodiscard]] bool hangs(std::uint64_t index) const {
        return kind_.deaths && mixed(seed_ + 4, index, own_pid()) % 997 == 0;
    }
    [[nodiscard]] bool runs_wild(std::uint64_t index) const {
        return kind_.wild_writes && mixed(seed_ + 5, index, own_pid()) % 149 == 0;
    }
    [[nodiscard]] bool dies_at(const passage& now) const {
        return kind_.deaths && now.here <= forkflow::nodes::last_worker_step &&
               mixed(seed_ + 6, now.count, static_cast<std::uint64_t>(now.here)) % 499 == 0;
    }
    [[nodiscard]] std::uint64_t seed_of_attempt(std::uint64_t index) const {
        return mixed(seed_ + 7, index, own_pid());
    }

private:
    static std::uint64_t own_pid() { return static_cast<std::uint64_t>(::getpid()); }

    const std::uint64_t seed_;
    const weather kind_;
};

void crash(std::uint64_t how) {
    switch (how % 4) {
    case 0:
        ::raise(SIGSEGV);
        break;
    case 1:
        ::_exit(static_cast<int>(how % 7));
    case 2:
        ::raise(SIGKILL);
        break;
    default:
        std::exit(3); // NOLINT(concurrency-mt-unsafe): what a body may do
    }
}

/// Writes at random over one of the two parts that this worker may write: most of it where words and slots
/// are, in the first pages.
void scribble_somewhere(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const writable_rings rings = find_writable_rings();
    const std::span<std::byte> part = random() % 2 == 0 ? rings.open : rings.own;
    const std::span memory(reinterpret_cast<std::uint64_t*>(part.data()),
                           part.size() / sizeof(std::uint64_t));
    constexpr std::size_t words_in_front = 4 * forkflow::nodes::page_bytes / sizeof(std::uint64_t);
    const auto place = [&]() -> std::uint64_t& {
        return memory[random() %
                      (random() % 8 == 0 ? memory.size() : std::min(words_in_front, memory.size()))];
    };
    for (std::uint64_t left = 1 + random() % 200; left > 0 && !memory.empty(); --left) {
        std::uint64_t& word = place();
        switch (random() % 6) {
        case 0:
            word = random();
            break;
        case 1:
            word ^= std::uint64_t{1} << (random() % 64);
            break;
        case 2:
            word = 0;
            break;
        case 3:
            word += random() % 2 == 0 ? 1 : ~std::uint64_t{0};
            break;
        case 4:
            word = place(); // what is plausible somewhere else
            break;
        default:
            reinterpret_cast<std::byte*>(&word)[random() % sizeof word] = static_cast<std::byte>(random());
        }
    }
}

/// What the chaos of one episode did to whom. In shared memory.
struct damage {
    std::atomic<std::uint64_t> wild{0}; ///< bodies that wrote where they may not
    std::atomic<pid_t> ready[16] = {};  ///< who is through worker_init, by seat
    /// By message: whether a wild body returned without having written its result.
    std::atomic<bool> left_out[std::size_t{1} << 20U] = {};
    [[nodiscard]] std::atomic<bool>& leaves_out(std::uint64_t index) {
        return left_out[index % std::size(left_out)];
    }
};

struct tally {
    std::uint64_t messages = 0;
    std::uint64_t deaths = 0;
    std::uint64_t recycled = 0;
    std::uint64_t retries = 0;
    std::uint64_t failures = 0;
    std::uint64_t wild = 0;
    std::uint64_t wrong = 0;        ///< results that are not what the body returned
    std::uint64_t without = 0;      ///< results that a wild body returned without having written them
    std::uint64_t broken_pools = 0; ///< episodes at whose end the pool had failed
    std::uint64_t charged = 0;      ///< attempts that ended in a death
    seconds time{0};
    std::string faults{}; ///< what may never be

    void operator+=(const tally& more) {
        messages += more.messages;
        deaths += more.deaths;
        recycled += more.recycled;
        retries += more.retries;
        failures += more.failures;
        wild += more.wild;
        wrong += more.wrong;
        without += more.without;
        broken_pools += more.broken_pools;
        charged += more.charged;
        time += more.time;
        faults += more.faults;
    }
    [[nodiscard]] double rate() const { return static_cast<double>(messages) / time.count(); }
};

std::ostream& operator<<(std::ostream& out, const tally& all) {
    return out << all.messages << " messages in " << all.time.count() << " s (" << all.rate() << "/s), "
               << all.deaths << " deaths, " << all.recycled << " recycled, " << all.retries << " retries, "
               << all.failures << " failures, " << all.wild << " wild bodies, " << all.wrong
               << " wrong results, " << all.without << " left out, " << all.broken_pools << " pools failed";
}

/// A pool in bad weather, from its beginning to its end.
class episode {
public:
    episode(std::uint64_t seed, const weather& kind)
        : seed_(seed)
        , kind_(kind)
        , fate_(seed, kind)
        , tested_(
              options(), [this](const passage& now) { pass(now); },
              [body = checking_body([this](std::uint64_t index) { live_through(index); })](
                  forkflow::nodes::worker_call& call) {
                  try {
                      body(call);
                  } catch (const without_result&) {
                  }
              },
              [](process_world&) {}) {}

    tally run(seconds duration) {
        const auto start = std::chrono::steady_clock::now();
        std::atomic<bool> over{false};
        std::thread storm([&] { rage(over); });
        while (std::chrono::steady_clock::now() - start < duration && all_.broken_pools == 0) {
            pass_some();
        }
        over.store(true);
        storm.join();
        all_.time = std::chrono::steady_clock::now() - start;
        return close();
    }

private:
    struct without_result {};

    [[nodiscard]] pool_options options() const {
        pool_options chosen = watched_pool(workers, 16, 32);
        chosen.attempts = attempts;
        chosen.deadline = std::chrono::milliseconds(kind_.deaths ? 50 : 0);
        chosen.recycle_after = kind_.deaths ? 20 : 0; // a worker hardly lives for more
        chosen.verify_results = kind_.wild_writes;
        chosen.testing.first_sequence = 0U - static_cast<sequence>(seed_ % 3000); // so that they wrap soon
        return chosen;
    }

    // In the workers.
    void pass(const passage& now) {
        if (now.here == step::initialised) {
            damage_->ready[now.seat % 16].store(::getpid());
        }
        if (fate_.dies_at(now)) {
            process_world::die();
        }
    }
    void live_through(std::uint64_t index) {
        if (fate_.runs_wild(index)) {
            run_wild(index);
        }
        if (fate_.is_deadly(index) || fate_.crashes(index)) {
            crash(fate_.seed_of_attempt(index));
        }
        if (fate_.hangs(index)) {
            process_world::linger();
        }
        if (fate_.throws(index)) {
            throw std::runtime_error("a message that throws");
        }
    }
    void run_wild(std::uint64_t index) {
        damage_->wild.fetch_add(1);
        const std::uint64_t seed = fate_.seed_of_attempt(index);
        scribble_somewhere(seed);
        if (seed % 3 == 0) {
            crash(seed / 3);
        }
        if (seed % 3 == 1) {
            damage_->leaves_out(index).store(true);
            throw without_result();
        }
    }

    // In the application.

    /// Kills and stops workers until `over`, and then lets all go on.
    void rage(const std::atomic<bool>& over) {
        if (!kind_.deaths) {
            return;
        }
        std::mt19937_64 random(seed_);
        std::vector<pid_t> stopped;
        while (!over.load()) {
            const auto pause = std::chrono::microseconds(random() % 10'000);
            std::this_thread::sleep_for(pause); // how dense the deaths are
            const pid_t victim = damage_->ready[random() % (workers + 1)].exchange(0);
            const bool kills = random() % 3 != 0;
            if (victim != 0) {
                ::kill(victim, kills ? SIGKILL : SIGSTOP);
                if (!kills) {
                    stopped.push_back(victim);
                }
            }
            if (!stopped.empty() && random() % 2 == 0) {
                ::kill(stopped.back(), SIGCONT);
                stopped.pop_back();
            }
        }
        for (const pid_t each : stopped) {
            ::kill(each, SIGCONT);
        }
    }

    /// Two producers and this thread.
    void pass_some() {
        constexpr std::size_t each = 250;
        std::thread other([&] { tested_.put_many(each); });
        std::thread producer([&] { tested_.put_many(each); });
        const auto outcomes = tested_.collect(2 * each);
        other.join();
        producer.join();
        for (const seen_outcome& outcome : outcomes) {
            judge(outcome);
        }
    }

    void judge(const seen_outcome& outcome) {
        ++all_.messages;
        const auto fault = [&](const std::string& what) {
            all_.faults += std::string(kind_.name) + ", seed " + std::to_string(seed_) + ", message " +
                           std::to_string(outcome.index) + ": " + what + "\n";
        };
        if (outcome.state == message_state::marker) {
            fault("is a marker, and nobody put one");
        } else if (!outcome.fault.empty() && damage_->leaves_out(outcome.index).load() &&
                   !outcome.fault.starts_with("sequence ")) {
            ++all_.without; // that is what its body returned
        } else if (!outcome.fault.empty()) {
            ++all_.wrong;
            fault(outcome.fault);
        }
        if (outcome.failed && outcome.failure.kind == failure_kind::pool_failed) {
            all_.broken_pools = 1;
        }
        if (!kind_.wild_writes) {
            judge_what_attempts_explain(outcome, fault);
        }
    }
    template <class Fault>
    void judge_what_attempts_explain(const seen_outcome& outcome, const Fault& fault) {
        const bool died = outcome.failed && (outcome.failure.kind == failure_kind::crashed ||
                                             outcome.failure.kind == failure_kind::timed_out);
        all_.charged += died ? outcome.failure.attempts : outcome.attempts - 1;
        if (died && outcome.failure.attempts != attempts) {
            fault("failed after " + std::to_string(outcome.failure.attempts) + " attempts");
        }
        if (outcome.failed && !died &&
            !(outcome.failure.kind == failure_kind::threw && fate_.throws(outcome.index))) {
            fault(describe(outcome.failure));
        }
        if (!outcome.failed && (fate_.is_deadly(outcome.index) || fate_.throws(outcome.index))) {
            fault("has a result");
        }
    }

    tally close() {
        const forkflow::statistics last = tested_.statistics();
        all_.deaths = last.deaths;
        all_.recycled = last.recycled;
        all_.retries = last.retries;
        all_.failures = last.failures;
        all_.wild = damage_->wild.load();
        if (last.in_flight != 0 || last.emitted != all_.messages ||
            last.results + last.failures + last.markers != all_.messages) {
            all_.faults += std::string(kind_.name) + ": the statistics do not add up\n";
        }
        if (!kind_.wild_writes && (all_.charged > last.deaths || last.retries > all_.charged)) {
            all_.faults += std::string(kind_.name) + ", seed " + std::to_string(seed_) + ": " +
                           std::to_string(all_.charged) + " attempts ended in a death, " +
                           std::to_string(last.retries) + " retries, " + std::to_string(last.deaths) +
                           " deaths\n";
        }
        return all_;
    }

    const std::uint64_t seed_;
    const weather kind_;
    const fate fate_;
    shared_value<damage> damage_;
    engine<process_world> tested_;
    tally all_;
};

/// Whether all happened that the weather is made for.
bool complete(const weather& kind, const tally& all) {
    return (!kind.deaths || (all.deaths > 0 && all.recycled > 0 && all.retries > 0 && all.failures > 0)) &&
           (!kind.wild_writes || all.wild > 0);
}

/// For `duration`, and then, where a machine is slow, until something of everything was met.
tally live_through(const weather& kind, std::uint64_t seed, seconds duration) {
    const auto start = std::chrono::steady_clock::now();
    tally all;
    for (std::uint64_t i = 0; std::chrono::steady_clock::now() - start < duration || !complete(kind, all);
         ++i) {
        all += episode(mixed(seed, i), kind).run(std::min(duration, seconds(1)));
    }
    return all;
}

double environment(const char* name, double otherwise) {
    const char* const given = std::getenv(name);
    return given != nullptr ? std::strtod(given, nullptr) : otherwise;
}

} // namespace

TEST_CASE("In chaos every message has one outcome, in its place") {
    const seconds duration(environment("FORKFLOW_CHAOS_SECONDS", 10));
    const auto seed = static_cast<std::uint64_t>(environment("FORKFLOW_SEED", std::random_device()()));
    const bounded_test frame(std::chrono::seconds(60) +
                             std::chrono::duration_cast<std::chrono::seconds>(2 * duration));
    std::cout << "chaos: seed " << seed << std::endl;
    tally by_kind[3];
    std::size_t next = 0;
    for (const auto& [kind, share] :
         {std::pair(weather{.name = "calm"}, 0.1), std::pair(weather{.name = "deaths", .deaths = true}, 0.45),
          std::pair(weather{.name = "deaths and wild writes", .deaths = true, .wild_writes = true}, 0.45)}) {
        by_kind[next] = live_through(kind, seed, duration * share);
        std::cout << "  " << kind.name << ": " << by_kind[next] << std::endl;
        CHECK(by_kind[next].faults == "");
        ++next;
    }
    const auto& [calm, deaths, wild] = by_kind;
    CHECK((calm.deaths == 0 && calm.failures == 0));
    CHECK((deaths.broken_pools == 0 && deaths.wrong == 0));
    // About one in twenty: what a wild worker costs ends with it, and the pool lives on. As results are
    // verified, none is wrong.
    CHECK(wild.failures < wild.messages / 4);
    CHECK((wild.broken_pools == 0 && wild.wrong == 0));
}

} // namespace chaos_test
