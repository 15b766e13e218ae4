// SPDX-License-Identifier: MIT
// clang-format off
// The protocol: everything that the parent and its workers share, who may change it, and what a death means
// at each point.
//
//   parent                                                worker (seat k, incarnation i)
//   ─────────────────────────────────────────────────────────────────────────────────────────────────
//   reserve s, encode, state(s) := ready    ──(R)────►    claim: CAS ready → claimed(k, i)
//                                                         run the body
//   admitted := next to emit + window - 1   ──(A)────►    wait until s is admitted, write the result to one
//                                                         of seat k's places
//   take the result at place(s) of seat k   ◄──(P)───     publish: CAS claimed(k, i) → published
//   state(s) := empty, next to emit := s+1
//
// Every sequence s has one *state word* at s mod capacity. It holds {sequence, state, attempt, seat,
// incarnation}, so one compare-and-swap both takes a request and names who took it.
//
//   transition                  by           how                        if the owner dies before / after
//   ─────────────────────────────────────────────────────────────────────────────────────────────────
//   empty → ready               parent       store (R), bytes before    – (the parent's death ends all)
//   empty → marker              parent       store                      –
//   empty → failed              parent       store, record before       –
//   ready → claimed(k, i)       worker       CAS                        ready: another claims it /
//                                                                       claimed: charged to (k, i)
//   claimed(k, i) → published   its claimer  CAS (P), bytes before      claimed: retried, the result is
//                                                                       written anew / it counts
//   claimed(k, i) → condemned   supervisor   CAS; its deadline has      –
//                                            passed, or it was withdrawn
//                                            and what runs is to be killed
//   claimed(k, i), condemned    supervisor   store, attempt + 1, (k, i) –
//     → ready for (k', i')                   := its heir; only after
//                                            (k, i) was reaped
//   claimed(k, i), condemned    supervisor   likewise, record before    –
//     → failed
//   ready for (k', i') → ready  supervisor   store; only after (k', i') –
//     for another heir                       was reaped
//   ready → claimed(parent)     parent       CAS; when the pool has     –
//                                            failed, or to withdraw
//   claimed(parent) → failed    parent       store, record before       –
//   published → empty           collector    store, bytes taken before  –
//   marker, failed → empty      collector    store                      –
//
// Deadlines: whoever condemns a claim kills its worker afterwards. A worker that cannot publish because its
// claim is condemned waits for its death, so it never takes a further message, and nobody is killed for a
// message that it has published. If the publication is faster, the message counts and nobody is killed.
//
// Withdrawal: the parent may give up all numbers below one. Those that are ready fail; those that are claimed
// are left to their workers or, with kill_on_cancel, condemned as for a deadline. None of them is retried. What
// is being committed or claimed meanwhile the supervisor finds when it looks again, as it does until all have
// left.
//
// Retries go to a *fresh* worker: a ready word with an attempt above 1 names its heir, the one worker who may
// claim it: the incarnation that takes the dead one's seat next. It begins at the oldest message in flight, so
// it holds nothing else when it comes to this one. A worker that is at work already may not inherit: it may
// hold a result that waits for this very message. `reopened` moves after the state, and then every worker is
// rung.
//
// Relief: a worker that is to be recycled asks (relief_wanted, then the parent's bell) and works on. The
// supervisor starts its relief in a spare seat and notes in the sealed part whom it relieves. The relief,
// once ready, writes `leave` into that seat and rings it; the old one goes before its next claim, and its
// seat is the spare one from then on. If either dies on the way, the other stays; nobody waits for anybody. If
// the old one dies and leaves a retry, its seat is filled anew, and the fresh worker relieves the relief.
//
// Numbers may be committed out of turn. A worker stops at the first that is not; so who commits s rings one
// sleeper for s, and one for each ready message that follows s without a gap.
//
// Counting what waits or runs: the states are looked at from the first number that has not finished on, to the
// first that *stops workers*: one that is not committed, or ready for any of them. No worker claims what lies
// behind it, so all of that waits, but for what got its outcome without a worker: markers, messages that could
// not be encoded, were withdrawn, or whose word was spoilt. The newest of those is noted before its state is
// written; in front of it each state is looked at.
//
// Capacity: a number is reserved only while fewer than `requests` messages wait or run and fewer than
// requests + window are in flight. States and requests have a power of two of slots, at least as many as that,
// because s mod n must go on counting across the wrap of s.
//
// Places: results lie in parts that belong to one seat each. In a worker process only its own is accessible,
// so no worker can spoil another's result. A seat has as many places as there may be results in the window,
// or, with more than four workers, four times its share (but 16 at least); one for the result that is being
// made; and a last one. The user of a place is the position (64 bits, counted from the first message) of the
// message that has it, plus one; a place is free once that many outcomes were taken. Once s is admitted, its
// worker takes a free one: that which is free for longest or, where results are so large that caches do not
// matter, that which was freed last. A worker without a free one claims nothing but the next to emit, for which
// there is the last place, as its predecessor there has left; else it sleeps as if it waited for admission, and
// rings another in its stead. A fresh worker finds in the users what the one before it has handed in.
//
//   user(k, p) := position(s) + 1   worker       store; k's, and the place is free    as long as s is inside /
//                                                                                     likewise
//   handed_in(k, p) := user(k, p)   worker       store; the result is whole           free for the next worker /
//                                                                                     as long as s is inside
//   place(s) := p                   its claimer  store; before (P)                    written anew / it counts
//
// place(s) and the seat in the state word are no more than hints, as others can write them: the collector takes
// a result only if the header there, which nobody but k can write, names s.
//
// Bytes: with `window_bytes`, the bytes of requests and those of results are bounded as well, each by
// themselves. Of requests the parent counts, in its own memory, the encoded bytes from the commit to the
// taking of the outcome; one that has its number and is not committed yet counts as the largest that there
// may be. A number is given while less than window_bytes are counted: so the last one may exceed them, by
// itself, and what is inside needs no further bytes to get on.
//
// A result that outgrows its slot takes pages of its extent, and a word for each number in the window says how many
// it *holds*. Its worker, once s is admitted, writes there how many it asks for, adds up all other words, and
// goes on if the sum is within the bound. If not, it writes back what stood there and waits as for admission.
// Of two who ask at the same time the younger stands back, for which the older waits a moment. If s is the
// next to emit, it goes on in any case: so the bound is exceeded by one result at the most, and no result
// waits for ever. What a dead worker wrote counts until its heir writes anew or the outcome is released; a
// wild worker can make results wait for their turn, or exceed the bound, for one lap of the window.
//
//   held(s) := asking for n     worker       store; s is claimed by it  as it was / counts
//     → n, or as before         worker       store                      counts / counts
//   held(s) := 0                collector    store; before s is empty   –
//
// Memory: that of words and slots is asked for when the mapping is made, so nobody gets a SIGBUS there. Pages
// of an extent are asked for before they are used: those of requests by the parent, those of results by the
// worker, which touches them and takes SIGBUS for a refusal; the parent asks again for what it has not seen
// there (a wild worker may say that it has written what it has not). pages_there(k, p), written by the parent
// while it alone uses the place, tells workers what they need not touch. The parent gives pages back while
// nobody may be at work on them: those of s before it stores "s is empty", those of other requests while it
// gives no numbers, if no number in flight has the slot, those of other places in a sweep: it says so, then
// looks at their users, and leaves those that are in flight alone; a worker has become the user of a place
// before it looks whether there is a sweep, waits for its end, and only then touches an extent. All four
// accesses are seq_cst, so one of the two sees the other.
//
//   sweeping := 1, 0                parent       store; takes no outcome, gives no number    – (its death ends all)
//
// Liveness of admission: workers claim the oldest ready message. One that holds an unadmitted result waits;
// but the message that all wait for runs, or is ready in front of a worker that is free or fresh.
//
// Hints: collector_cpu says where the collector was last. A worker that waits for work or for admission gives
// way to others at once on that CPU, and elsewhere a little later. whereabouts(k) says where worker k was between
// two messages, and when; a worker that shares its CPU with another one moves (cpu_spread.hpp). Nothing else
// depends on either; what a wild worker writes there costs others a move, once in ten milliseconds at most.
//
// Buffers lie in the sealed part. A request that refers to one carries its offset and its length, which the
// worker checks; the parent keeps its pages until the request's outcome is taken, so a retry reads the same.
//
// Sleeping and waking. Each sleeper says that it will sleep, looks again, and sleeps; each waker changes what
// the sleeper waits for, looks who sleeps, and wakes. All four accesses are seq_cst, so one of the two sees
// the other (Dekker):
//
//        sleeper                  says so                 looks again at         who changes it
//   (D1) worker without work      idle_seats += k         state(cursor)          parent: state := ready
//                                                         reopened               supervisor: reopened += 1
//                                                         leave                  its relief: leave := i
//   (D2) worker, not admitted     blocked_seats += k      admitted               collector: admitted := …
//        or without bytes                                 held, admitted         collector: held, admitted
//        or without a place                               admitted, emitted      collector: emitted, admitted
//   (D3) collector, no outcome    armed := next to emit   state(next to emit)    worker: state := published
//   (D4) parent, no room          room_countdown := n     all states             worker: state := published
//                                                         bytes counted          parent: at a commit
//
// A waker takes the sleeper's name off the list (one atomic step) before it rings, so each sleep is rung at
// most once; (D3) needs no list, as only one publishes the number that is waited for. A ring spent on a dying
// worker, or not given by one that died between publishing and ringing, is made good by the supervisor: after
// every death that was not asked for it rings the parent and every worker.
//
// Trust: workers map the sealed part (requests, admission, what the collector waits for) read-only. The
// parent copies once what a worker can write, and checks the copy. What it has committed, and as what, stands
// in its own memory (commit_log), and so does who sits where (seat_table). A word that no transition can have
// written was written by a wild worker: who finds one (the collector at its next number, the supervisor after
// an event, a worker whose publication is refused) has all workers killed; once all are reaped, so that
// nobody can still be at work on it, the message fails. A wild worker can also spoil wakes: of the lists of
// sleepers, of clocks, of bells. That (D3) is out of its reach keeps the next outcome from being missed; all
// else is made good at the next death, or when the next message to emit has stood still for a deadline, or,
// without deadlines, for 1, 2, 4, … seconds.
//
// Verified results: what a worker has published and goes on to spoil itself. With `verify_results`, check(s),
// beside the state word, holds a checksum of s, of the result's kind and length, and of its bytes, as they were
// copied to the place, or stand there when they are published; until then nobody else could write there. The
// collector decodes the result and then takes the checksum of what stands there, of a long stretch that it only
// copies piece by piece, each once it was copied: what was written over, before or meanwhile, and was not
// written back, does not belong to it. No further copy is made.
//
//   check(s) := of the result       its claimer  store; before (P)                    written anew / it counts
// clang-format on
#pragma once

#include <forkflow/nodes/cache_line.hpp>
#include <forkflow/nodes/sequence.hpp>

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace forkflow::nodes {

inline constexpr std::size_t page_bytes = 4096;
inline constexpr std::size_t inline_bytes = 256;   ///< so long may a payload be that lies in its slot
inline constexpr std::size_t max_workers = 1023;   ///< seats are 10 bits; the last one stands for the parent
inline constexpr std::uint32_t parent_seat = 1023; ///< the owner of what the parent itself fails
inline constexpr std::uint32_t max_attempts = 31;  ///< attempts are 5 bits
inline constexpr std::uint32_t incarnation_mask = (1U << 14U) - 1U;
inline constexpr std::size_t max_stack_frames = 60;
inline constexpr std::size_t most_stderr_tail_bytes = std::size_t{32} << 10U;

/// Where a message is on its way. Zero is what fresh memory holds.
enum class message_state : std::uint8_t { empty, ready, claimed, published, failed, marker, condemned };

/// One state word, unpacked. Its 64 bits, from the lowest: sequence 32, state 3, attempt 5, seat 10,
/// incarnation 14.
struct state_word {
    sequence number = 0;
    message_state state = message_state::empty;
    std::uint32_t attempt = 0;     ///< which attempt this is or will be, from 1
    std::uint32_t seat = 0;        ///< of the claimer; while ready, with attempt > 1, of the heir
    std::uint32_t incarnation = 0; ///< likewise

    [[nodiscard]] constexpr std::uint64_t packed() const noexcept {
        return std::uint64_t{number} | (std::uint64_t{static_cast<std::uint8_t>(state)} << 32U) |
               (std::uint64_t{attempt} << 35U) | (std::uint64_t{seat} << 40U) |
               (std::uint64_t{incarnation} << 50U);
    }
    [[nodiscard]] static constexpr state_word unpacked(std::uint64_t bits) noexcept {
        return {.number = static_cast<sequence>(bits),
                .state = static_cast<message_state>((bits >> 32U) & 7U),
                .attempt = static_cast<std::uint32_t>((bits >> 35U) & 31U),
                .seat = static_cast<std::uint32_t>((bits >> 40U) & 1023U),
                .incarnation = static_cast<std::uint32_t>(bits >> 50U)};
    }
    /// True if the owner still has to hand something in (the message waits or runs).
    [[nodiscard]] constexpr bool unfinished() const noexcept {
        return state == message_state::empty || state == message_state::ready || owned();
    }
    /// True if somebody has taken the message and not handed anything in.
    [[nodiscard]] constexpr bool owned() const noexcept {
        return state == message_state::claimed || state == message_state::condemned;
    }
    /// True if only the worker in `seat` may claim the message.
    [[nodiscard]] constexpr bool has_heir() const noexcept {
        return state == message_state::ready && attempt > 1;
    }
    [[nodiscard]] constexpr bool names(std::uint32_t seat_, std::uint32_t incarnation_) const noexcept {
        return seat == seat_ && incarnation == incarnation_;
    }
    friend constexpr bool operator==(const state_word&, const state_word&) = default;
};

/// A state word in its own cache line: neighbours are claimed by different processors at the same time.
struct alignas(cache_line_bytes) state_cell {
    std::atomic<std::uint64_t> bits;
    std::atomic<std::uint64_t> check; ///< of the result, if results are verified: see result_check.hpp
    std::atomic<std::uint32_t> place; ///< of the result, among those of its worker's seat
};

/// What a worker says about one of its places, in its own part.
struct place_words {
    std::atomic<std::uint64_t> user;        ///< position + 1 of the message whose result is or was there last
    std::atomic<std::uint32_t> taken_pages; ///< so many pages of the extent may have been touched
    std::atomic<std::uint32_t> handed_in;   ///< the low half of its user, once the result is whole
};

/// A set of seats that several processes change. Used for "who sleeps".
struct alignas(cache_line_bytes) seat_set {
    std::atomic<std::uint64_t> words[(max_workers + 1) / 64];
};

/// Written by the parent alone; workers map it read-only.
struct alignas(cache_line_bytes) parent_block {
    std::atomic<sequence> admitted;      ///< (A), (D2): the newest sequence whose result may be published
    std::atomic<std::uint32_t> reopened; ///< (D1): how many messages have become ready again
    std::atomic<std::uint64_t>
        emitted; ///< a hint, never too high: how many outcomes were taken; does not wrap

    std::atomic<std::uint32_t> stopping; ///< 1: workers leave as soon as they look for work
    std::atomic<std::uint32_t> sweeping; ///< futex: 1 while pages of places without a user are given back
    std::atomic<std::uint64_t>
        armed; ///< (D3): arm_bit | the sequence that the collector waits for, or waited for last
    std::atomic<std::uint32_t> collector_cpu; ///< a hint: 1 + the CPU on which the collector was last; 0:
                                              ///< unknown
};

/// Whom the worker in a seat relieves. Written by the parent alone, before the worker is started.
struct relief_order {
    std::atomic<std::uint32_t> seat; ///< of the worker that goes once this one is ready; parent_seat: nobody
    std::atomic<std::uint32_t> incarnation;
};

/// Written by the parent and by workers: how the parent is woken.
struct alignas(cache_line_bytes) parent_bell {
    std::atomic<std::int32_t>
        room_countdown; ///< (D4): the publisher that counts it down to 0 rings; ≤ 0: not waiting
    std::atomic<std::uint32_t> rings; ///< futex: how often the parent was rung
};
inline constexpr std::uint64_t arm_bit = std::uint64_t{1} << 32U;

/// What a worker is doing, for the supervisor's report of a death.
enum class worker_stage : std::uint32_t { starting, initialising, ready, leaving };

/// One seat: its worker's doorbell and what it tells about itself.
struct alignas(cache_line_bytes) seat_block {
    std::atomic<std::uint32_t> bell;   ///< futex: 0 while the worker sleeps or may sleep, 1 once it was rung
    std::atomic<sequence> awaited;     ///< (D2): the sequence whose admission the worker waits for
    std::atomic<std::uint32_t> stage;  ///< a worker_stage
    std::atomic<std::uint32_t> tenant; ///< the worker's incarnation, for it to see that nobody wrote here
    std::atomic<std::int64_t>
        running_since_ns;             ///< CLOCK_MONOTONIC at which the body was called; 0: it is not running
    std::atomic<std::uint64_t> leave; ///< leave_bit | the incarnation that is to go before its next claim
    std::atomic<std::uint64_t> whereabouts; ///< a hint: milliseconds of CLOCK_MONOTONIC, 32 bits above 1 +
                                            ///< the CPU on which the worker was then; 0: unknown
};
/// In the word of the pages that a result holds: they are only asked for.
inline constexpr std::uint32_t asking_bit = std::uint32_t{1} << 31U;
inline constexpr std::uint64_t leave_bit = std::uint64_t{1} << 32U;

/// The exit status of a worker that found words changed which nobody else may change.
inline constexpr int broken_protocol_status = 70;

/// A worker's last words: written by its signal handler, or when its initialiser threw.
struct alignas(cache_line_bytes) last_words {
    std::atomic<std::uint32_t> frame_count;
    std::uint32_t text_bytes;
    std::uint32_t engine_frames; ///< how many of the outermost frames are the engine's, not the body's
    std::uint64_t frames[max_stack_frames];
    char text[512];
};

/// How a result ends up in its slot.
enum class result_kind : std::uint32_t { value, failure };

/// One for each slot of a request and each place of a result. They lie side by side, so that a payload begins
/// with a cache line. A payload that does not fit its slot lies in the slot's extent.
struct slot_header {
    std::uint64_t length_bytes;
    std::uint32_t kind;   ///< a result_kind
    std::uint32_t number; ///< the sequence, for checks
};

static_assert(
    state_word::unpacked(state_word{7, message_state::published, 31, 1023, incarnation_mask}.packed()) ==
    state_word{7, message_state::published, 31, 1023, incarnation_mask});
static_assert(std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(sizeof(std::atomic<std::uint32_t>) == 4 && sizeof(std::atomic<std::uint64_t>) == 8,
              "futex words");
static_assert(sizeof(state_cell) == cache_line_bytes && sizeof(parent_block) == cache_line_bytes);
static_assert(sizeof(parent_bell) == cache_line_bytes && sizeof(seat_block) == cache_line_bytes);
static_assert(sizeof(place_words) == 16);
static_assert(sizeof(seat_set) == 2 * cache_line_bytes && sizeof(slot_header) == 16 &&
              alignof(slot_header) == 8);
static_assert(offsetof(parent_bell, rings) == 4 && offsetof(seat_block, bell) == 0);
static_assert(inline_bytes % cache_line_bytes == 0);

} // namespace forkflow::nodes
