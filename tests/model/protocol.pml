// SPDX-License-Identifier: MIT
// A model of the protocol (nodes/protocol.hpp) with deaths as steps, for the model checker spin.
//
// Modelled: the state words and all their transitions; claim by CAS, condemnation, publication, retries to an
// heir, the admission counter, the four pairs "says so / looks again" (D1) to (D4), the bells, what the
// supervisor does after a death, and reliefs. Sequences wrap (FIRST is the last number before the wrap). Each
// access to shared memory is one step (one `atomic` block with one access and what follows from it alone);
// a worker may die between any two steps, by itself (DEATHS times) or by a kill that was sent (and arrives at
// any later time). How many deaths and deadlines really come is chosen at the beginning, so that no death
// that "still could come" hides a state in which everybody sleeps.
//
// Left out, and why that is sound, or that it is not shown:
// - Bytes of messages: a ghost per result slot says whose result lies there and who writes it.
// - Time: any claim may be found overdue at any time; a vacancy may end at any time. A superset of real runs.
// - The order of memory accesses is the program's. Those that matter are seq_cst; the two relaxed stores
//   (bell := 0, awaited) are released by the step that follows them.
// - The fork server: a start takes effect at once, a death is seen when the supervisor gets to it.
// - The parent's threads: any number of producers and one collector, each woken by every ring of the parent.
// - The bound on bytes, `window_bytes`: its part of (D2), the words of held pages, and of (D4), the bytes that the
//   parent counts. Not shown here at all; tests/engine/window_bytes_*test tries what they can.
// - Withdrawal and `kill_on_cancel`. To condemn for it is the same step as for a deadline; that nothing withdrawn
//   is retried, and what is committed meanwhile, only tests show.
// - Wild workers, a failed pool, the end of the pool, and the watch on who stands still (it is a second line:
//   the model must do without it).
// - Ghosts (written here with the step that they describe) check; nobody decides by them.
//
// Properties: the assertions in the text, and the one at the end of `init`: once nothing can move, every
// message has had its outcome and nobody is stuck. The run without progress cycles (see run) shows that there
// is always such an end.

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SEATS
#define SEATS WORKERS // one more: a spare seat for reliefs
#endif
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#ifndef MESSAGES
#define MESSAGES 3
#endif
#ifndef MARKERS
#define MARKERS 0 // bit i: message i is a marker
#endif
#ifndef WINDOW
#define WINDOW 1
#endif
#ifndef REQUESTS
#define REQUESTS 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef DEADLINES
#define DEADLINES 0
#endif
#ifndef RELIEFS
#define RELIEFS 0
#endif
#ifndef NO_SECOND_LOOK
#define NO_SECOND_LOOK 0 // n: a mistake, the sleeper of (Dn) does not look again
#endif

#define CAPACITY (WINDOW + REQUESTS <= 2 -> 2 : 4)
#define RESULT_SLOTS WINDOW // 1 or 2
#define MODULUS 16          // sequences are 4 bits
#define FIRST 15
#define NONE 3 // no seat
#define NOT_ARMED 255

// --- state words

#define empty 0
#define ready 1
#define claimed 2
#define published 3
#define failed 4
#define marker 5
#define condemned 6

#define word(number, state, attempt, seat, incarnation) \
    ((number) | ((state) << 4) | ((attempt) << 7) | ((seat) << 9) | ((incarnation) << 11))
#define number_of(w) ((w)&15)
#define state_of(w) (((w) >> 4) & 7)
#define attempt_of(w) (((w) >> 7) & 3)
#define seat_of(w) (((w) >> 9) & 3)
#define incarnation_of(w) ((w) >> 11)
#define with_state(w, s) (((w) & ~(7 << 4)) | ((s) << 4))
#define with_owner(w, k, i) (((w)&511) | ((k) << 9) | ((i) << 11))

#define sequence(index) ((FIRST + (index)) % MODULUS) // of the message that comes index-th
#define distance(from, to) ((((to) - (from) + MODULUS + MODULUS / 2) % MODULUS) - MODULUS / 2)
#define cell(index) state[sequence(index) % CAPACITY]
#define result_of(index) (sequence(index) % RESULT_SLOTS)

#define owned(w) (state_of(w) == claimed || state_of(w) == condemned)
#define has_heir(w) (state_of(w) == ready && attempt_of(w) > 1)
#define names(w, k, i) (seat_of(w) == (k) && incarnation_of(w) == (i))
// No worker takes what lies behind it as long as it is as it is.
#define stops_workers(w, index) \
    (distance(sequence(index), number_of(w)) < 0 || \
     (number_of(w) == sequence(index) && state_of(w) == ready && !has_heir(w)))
#define unfinished(w) (state_of(w) == empty || state_of(w) == ready || owned(w))

// --- what the parent and its workers share

short state[4];
byte admitted = (FIRST + WINDOW - 1) % MODULUS;
byte reopened;
byte emitted; // as many outcomes were taken
byte armed = NOT_ARMED;
short room_countdown;
byte idle_seats, blocked_seats, relief_wanted; // sets: bit k for seat k
bit bell[SEATS];
byte awaited[SEATS];
byte leave[SEATS]; // the incarnation that is to go; 0: nobody
byte order_seat[SEATS] = NONE;
byte order_incarnation[SEATS];

#define starting 0
#define at_work 1 // "ready" in protocol.hpp
#define leaving 2
byte stage[SEATS];

// --- what the parent alone knows

byte next;         // as many numbers are reserved
byte next_to_emit; // as many outcomes were released
byte finished_here; // 1 + the newest message that got its outcome without a worker
bit reserving;     // the producers' lock
bit collector_rung, supervisor_rung;
bit producer_rung[PRODUCERS];

#define nobody 0
#define living 1
#define dying 2  // it will not take another step
#define dead 3   // not reaped
#define exited 4 // likewise, by its own wish
byte life[SEATS];
byte incarnation[SEATS];
bit taken[SEATS];
byte kill_sent[SEATS]; // to which incarnation; 0: none

byte deaths_left, deadlines_left, reliefs_left = RELIEFS;

// --- ghosts

byte holder[MESSAGES];        // 1 + the seat that has claimed the message and is not reaped
byte kill_for[SEATS];         // 1 + the message for which the worker is to be killed
byte slot_content[WINDOW];    // 1 + the message whose result was begun in the slot and not taken
byte slot_writer[WINDOW];     // 1 + the seat that writes there, alive for all we know
byte unfinished_count;        // requests that wait or run
byte results_waiting;         // published, not taken
bit was_published[MESSAGES];
#ifdef TICKET
byte tickets;
#endif

// Late, so that rings are few, but before the running workers run out of requests.
#define spare_room ((REQUESTS - WORKERS) / 2 > 1 -> (REQUESTS - WORKERS) / 2 : 1)

inline select_up_to(variable, most) {
    do
    :: variable < most -> variable++
    :: break
    od
}

#define is_marker(index) ((MARKERS >> (index)) & 1)

inline ring_parent() {
    atomic {
        collector_rung = 1;
        producer_rung[0] = 1;
        producer_rung[PRODUCERS - 1] = 1;
#if RELIEFS > 0
        supervisor_rung = 1; // its listener looks for relief requests
#endif
    }
}

// Takes one seat out of idle_seats and rings it; rang tells whether there was one.
inline ring_one_idle(members, seat, rang) {
    atomic {
        rang = 0;
        seat = 0;
        members = idle_seats
    }
    do
    :: atomic { members == 0 -> break }
    :: atomic {
           members != 0;
           do
           :: !((members >> seat) & 1) -> seat++
           :: else -> break
           od;
           members = members & ~(1 << seat);
           if
           :: (idle_seats >> seat) & 1 ->
               idle_seats = idle_seats & ~(1 << seat);
               rang = 1;
               members = 0
           :: else
           fi
       }
       if
       :: atomic { rang -> bell[seat] = 1 }
       :: atomic { !rang -> skip }
       fi
    od;
    seat = 0
}

inline count_down_room(ring) {
    if
    :: atomic {
           room_countdown > 0 -> skip }
       atomic {
           room_countdown--;
           if
           :: room_countdown == 0 -> ring = 1
           :: else
           fi
       }
    :: atomic { room_countdown <= 0 -> skip }
    fi
}

// -----------------------------------------------------------------------------------------------------------
// A worker in seat k, one incarnation after the other.

#if defined(REASSIGN_BEFORE_REAP) || defined(TICKET)
#define may_claim(w, index) (number_of(w) == sequence(index) && state_of(w) == ready)
#else
#define may_claim(w, index) \
    (number_of(w) == sequence(index) && state_of(w) == ready && (!has_heir(w) || names(w, k, self)))
#endif
#define is_admitted(index) (distance(sequence(index), admitted) >= 0)

proctype worker(byte k) {
    byte self;   // its incarnation
    byte cursor; // as a count from the first message on: it does not wrap
    byte seen_reopened;
    short seen; // later: its claim
    bit parked, ring, asked_for_relief;
#ifdef TICKET
    bit has_ticket;
#endif

end_unborn:
    atomic {
        life[k] == living || life[k] == dying;
        self = incarnation[k];
    }
    {
        atomic { // looks from the oldest on (the cursor is set by what follows)
            stage[k] = at_work;
            seen_reopened = reopened
        }
#if RELIEFS > 0
        if
        :: atomic { order_seat[k] != NONE -> leave[order_seat[k]] = order_incarnation[k] }
           atomic { bell[order_seat[k]] = 1 }
        :: atomic { order_seat[k] == NONE -> skip }
        fi;
#endif

    find_work:
#if RELIEFS > 0
        atomic {
            if
            :: leave[k] == self -> goto leaves
            :: else
            fi
        }
#endif
    claim:
#ifdef TICKET
        atomic { // a mistake: a cursor that all share decides who takes what
            if
            :: !has_ticket ->
                has_ticket = 1;
                cursor = tickets;
                tickets++
            :: else
            fi
        }
#else
        atomic {
            if
            :: emitted > cursor -> cursor = emitted
            :: else
            fi
        }
#endif
    look:
        atomic {
            seen = cell(cursor); // (R), (D1)
        decide:
            if
            :: may_claim(seen, cursor) -> goto cas
            :: else
            fi;
            if
            :: distance(sequence(cursor), number_of(seen)) < 0 ->
                seen = 0;
                if
                :: parked -> goto found_nothing
                :: else -> goto nothing
                fi
            :: else
            fi;
#ifdef TICKET
            has_ticket = 0; // a marker: nobody's
            goto claim
#else
            cursor++;
            goto look
#endif
        }
    cas: // ready → claimed(k, self)
        atomic {
            if
            :: cell(cursor) == seen ->
                seen = with_owner(with_state(seen, claimed), k, self);
                cell(cursor) = seen;
#ifndef TICKET
                // look_for_room rests on it
                assert(cursor < next_to_emit + 1 || !stops_workers(cell(cursor - 1), cursor - 1));
                assert(cursor < next_to_emit + 2 || !stops_workers(cell(cursor - 2), cursor - 2));
#endif
                assert(holder[cursor] == 0); // no second worker before the first was reaped
                holder[cursor] = k + 1
            :: else ->
                seen = cell(cursor);
                goto decide
            fi;
            if
            :: parked -> goto got
            :: else -> goto await_admission
            fi
        }

    nothing:
        atomic { // (D1): says so
            bell[k] = 0;
            idle_seats = idle_seats | (1 << k);
            parked = 1
        }
#if NO_SECOND_LOOK != 1
        atomic { // looks again
            if
            :: reopened != seen_reopened ->
                seen_reopened = reopened;
                cursor = 0
            :: else
            fi;
            goto claim
        }
#endif
    found_nothing:
#if RELIEFS > 0
        atomic {
            if
            :: leave[k] == self -> goto not_idle
            :: else
            fi
        }
#endif
    end_sleep:
        atomic { bell[k] }
    not_idle:
        atomic {
            idle_seats = idle_seats & ~(1 << k);
            parked = 0;
            goto find_work
        }

    got:
        atomic {
            idle_seats = idle_seats & ~(1 << k);
            parked = 0
        }

        // The body runs; then: (A), (D2)
    await_admission:
        atomic {
            if
            :: is_admitted(cursor) -> goto write
            :: else
            fi
        }
        atomic { // says so
            awaited[k] = sequence(cursor);
            bell[k] = 0;
            blocked_seats = blocked_seats | (1 << k)
        }
#if NO_SECOND_LOOK != 2
        atomic {
            if
            :: is_admitted(cursor) -> goto not_blocked // looks again
            :: else
            fi
        }
#endif
        atomic { bell[k] }
    not_blocked:
        atomic {
            blocked_seats = blocked_seats & ~(1 << k);
            goto await_admission
        }

    write:
        atomic {
            assert(slot_writer[result_of(cursor)] == 0);
            assert(slot_content[result_of(cursor)] == 0 || slot_content[result_of(cursor)] == cursor + 1);
            slot_writer[result_of(cursor)] = k + 1;
            slot_content[result_of(cursor)] = cursor + 1
        }
        // claimed(k, self) → published, (P)
        atomic {
            if
            :: cell(cursor) == seen ->
                cell(cursor) = with_state(seen, published);
                assert(holder[cursor] == k + 1 && !was_published[cursor]);
                holder[cursor] = 0;
                was_published[cursor] = 1;
                slot_writer[result_of(cursor)] = 0;
                unfinished_count--;
                results_waiting++;
                assert(results_waiting <= WINDOW);
                seen = 0
            :: else -> goto wait_for_death
            fi
        }
        atomic {
            if
            :: armed == sequence(cursor) -> ring = 1 // (D3)
            :: else
            fi;
            cursor++;
#ifdef TICKET
            has_ticket = 0
#endif
        }
        count_down_room(ring); // (D4)
        atomic {
            if
            :: ring ->
                ring_parent();
                ring = 0
            :: else
            fi
        }
#if RELIEFS > 0
        if
        :: atomic {
               !asked_for_relief && reliefs_left > 0 -> asked_for_relief = 1;
               reliefs_left--;
               relief_wanted = relief_wanted | (1 << k)
           }
           ring_parent()
        :: skip
        fi;
#endif
        goto find_work;

    wait_for_death:
        atomic { assert(cell(cursor) == with_state(seen, condemned)) }
        false;

    leaves:
        atomic { stage[k] = leaving }
    } unless { life[k] == dying }
    atomic {
        life[k] = (life[k] == dying -> dead : exited);
        self = 0;
        cursor = 0;
        seen_reopened = 0;
        seen = 0;
        parked = 0;
        ring = 0;
        asked_for_relief = 0;
#ifdef TICKET
        has_ticket = 0;
#endif
        goto end_unborn
    }
}

// -----------------------------------------------------------------------------------------------------------
// The producers: reserve a number, fill its slot, commit it; numbers may be committed out of turn.

// Takes the lock, and looks whether one more message may come.
inline look_for_room() {
    atomic {
        !reserving;
        reserving = 1;
        i = next_to_emit;
        if
        :: next - i + 1 > REQUESTS + WINDOW -> i = next; count = REQUESTS
        :: next - i + 1 <= REQUESTS + WINDOW && (is_marker(next) || next - i + 1 <= REQUESTS) -> i = next
        :: else
        fi
    }
    do
    :: i >= next -> break
    :: atomic {
           i < next;
           if
           :: stops_workers(cell(i), i) && finished_here <= i + 1 -> // all behind it waits, too
               count = count + next - i;
               i = next
           :: stops_workers(cell(i), i) && finished_here > i + 1 -> count++; i++
           :: !stops_workers(cell(i), i) && number_of(cell(i)) == sequence(i) &&
              (state_of(cell(i)) == ready || owned(cell(i))) -> count++; i++
           :: else -> i++
           fi
       }
    od
}

// Rings a sleeper for each ready message that follows without a gap.
inline wake_workers(index, members, seat, rang) {
    index++;
    do
    :: atomic {
           if
           :: index >= next || number_of(cell(index)) != sequence(index) -> break
           :: else
           fi;
           if
           :: state_of(cell(index)) != ready -> rang = 1
           :: else -> rang = 0
           fi
       }
       if
       :: rang
       :: else ->
           ring_one_idle(members, seat, rang);
           if
           :: !rang -> break
           :: else
           fi
       fi;
       index++
    od
}

proctype producer(byte me) {
    byte mine, i, count, members, seat;
    bit room, ring, rang;

    do
    :: look_for_room();
       atomic {
           if
           :: next >= MESSAGES -> // another producer has taken the last number
               count = 0;
               i = 0;
               reserving = 0;
               break
           :: else
           fi;
           room = (count + 1 <= REQUESTS);
           count = 0;
           i = 0;
           if
           :: room ->
               mine = next;
               next++;
               if
               :: !is_marker(mine) ->
                   unfinished_count++;
                   assert(unfinished_count <= REQUESTS)
               :: else
               fi
           :: else
           fi;
           reserving = 0
       }
       if
       :: room && !is_marker(mine) ->
           atomic { cell(mine) = word(sequence(mine), ready, 1, 0, 0) } // (R), (D1)
           ring_one_idle(members, seat, rang);
           if
           :: rang -> wake_workers(mine, members, seat, rang)
           :: else
           fi
       :: room && is_marker(mine) ->
           atomic {
               if
               :: finished_here < mine + 1 -> finished_here = mine + 1
               :: else
               fi
           }
           atomic { cell(mine) = word(sequence(mine), marker, 0, 0, 0) } // (D3), (D4)
           atomic {
               if
               :: armed == sequence(mine) -> ring_parent()
               :: else
               fi
           }
           count_down_room(ring);
           if
           :: ring -> ring_parent()
           :: else
           fi;
           wake_workers(mine, members, seat, rang)
       :: !room ->
           atomic { // (D4): says so
               producer_rung[me] = 0;
               if
               :: room_countdown <= 0 -> room_countdown = spare_room
               :: else
               fi
           }
#if NO_SECOND_LOOK != 4
           look_for_room(); // looks again
           atomic {
               if
               :: count + 1 <= REQUESTS -> producer_rung[me] = 1 // as if rung
               :: else
               fi;
               count = 0;
               i = 0;
               reserving = 0
           }
#endif
           atomic { producer_rung[me] }
       fi;
       atomic {
           mine = 0;
           room = 0;
           ring = 0;
           rang = 0;
           if
           :: next >= MESSAGES -> producer_rung[me] = 1; break
           :: else
           fi
       }
    od
}

// -----------------------------------------------------------------------------------------------------------
// The collector: takes outcomes in order, admits, arms.

proctype collector() {
    short seen;
    bit found;
    byte members, seat;

    do
    :: atomic { next_to_emit == MESSAGES -> break }
    :: atomic {
           next_to_emit < MESSAGES -> seen = cell(next_to_emit); // (P), (D3)
           found = (number_of(seen) == sequence(next_to_emit) && !unfinished(seen))
       }
       if
       :: found ->
           atomic { // takes what is there
               found = 0;
               assert(state_of(seen) == (is_marker(next_to_emit) -> marker : state_of(seen)));
               assert(state_of(seen) != marker || is_marker(next_to_emit));
               assert(holder[next_to_emit] == 0);
               assert(was_published[next_to_emit] == (state_of(seen) == published));
               if
               :: state_of(seen) == published ->
                   assert(slot_content[result_of(next_to_emit)] == next_to_emit + 1);
                   assert(slot_writer[result_of(next_to_emit)] == 0);
                   results_waiting--
               :: state_of(seen) == failed -> assert(attempt_of(seen) == ATTEMPTS)
               :: else
               fi;
               if // a failed message may leave the result of an attempt that died
               :: slot_content[result_of(next_to_emit)] == next_to_emit + 1 ->
                   slot_content[result_of(next_to_emit)] = 0
               :: else
               fi;
               seen = 0
           }
           atomic {
               cell(next_to_emit) = word(sequence(next_to_emit), empty, 0, 0, 0);
               next_to_emit++
           }
           atomic {
               emitted = next_to_emit;
               admitted = (sequence(next_to_emit) + WINDOW - 1) % MODULUS // (A), (D2)
           }
           atomic { members = blocked_seats }
           do
           :: atomic { members == 0 -> break }
           :: atomic {
                  members != 0;
                  do
                  :: !((members >> seat) & 1) -> seat++
                  :: else -> break
                  od;
                  members = members & ~(1 << seat)
              }
              if
              :: atomic { distance(awaited[seat], admitted) >= 0 -> skip }
                 if
                 :: atomic {
                        (blocked_seats >> seat) & 1 -> blocked_seats = blocked_seats & ~(1 << seat)
                    }
                    atomic { bell[seat] = 1 }
                 :: atomic { !((blocked_seats >> seat) & 1) -> skip }
                 fi
              :: atomic { distance(awaited[seat], admitted) < 0 -> skip }
              fi
           od;
           atomic {
               seat = 0;
               producer_rung[0] = 1; // the parent itself sees that there is room in flight
               producer_rung[PRODUCERS - 1] = 1
           }
       :: else ->
           atomic { // (D3): says so
               armed = sequence(next_to_emit);
               collector_rung = 0;
               seen = 0
           }
#if NO_SECOND_LOOK != 3
           atomic { // looks again
               if
               :: number_of(cell(next_to_emit)) == sequence(next_to_emit) &&
                       !unfinished(cell(next_to_emit)) ->
                   collector_rung = 1 // as if rung: there is something to take
               :: else
               fi
           }
#endif
           atomic { collector_rung -> collector_rung = 0 }
       fi
    od
}

// -----------------------------------------------------------------------------------------------------------
// The supervisor: buries, charges, replaces, condemns, relieves.

// Starts a worker; nobody else looks at these fields meanwhile.
inline fill(seat) {
    stage[seat] = starting;
    leave[seat] = 0;
#if RELIEFS > 0
    if
    :: whom[seat] != NONE ->
        order_seat[seat] = whom[seat];
        order_incarnation[seat] = incarnation[whom[seat]]
    :: else ->
        order_seat[seat] = NONE;
        order_incarnation[seat] = 0
    fi;
#endif
    vacant[seat] = 0;
    taken[seat] = 1;
    incarnation[seat]++;
    life[seat] = living
}

// Whom the worker in `seat` relieves, and the other way round.
#define relief_of(seat) \
    (whom[0] == (seat) -> 0 : (whom[1] == (seat) -> 1 : (whom[SEATS - 1] == (seat) -> SEATS - 1 : NONE)))

#define is_overdue(index) \
    (deadlines_left > 0 && (index) < next && number_of(cell(index)) == sequence(index) && \
     state_of(cell(index)) == claimed)

#define is_spare(seat) (!taken[seat] && !vacant[seat])

proctype supervisor() {
    byte k, i, first, victim, members, seat;
    byte heir, heir_incarnation;
    short seen;
    bit asked, barren, moved, rang;
    bit vacant[SEATS];
#if RELIEFS > 0
    byte whom[SEATS] = NONE;
    byte tired[SEATS]; // the incarnation that asked for a relief; 0: nobody
#endif

    atomic {
        k = 0;
        do
        :: k < WORKERS -> fill(k); k++
        :: else -> break
        od;
        k = 0
    }

end_supervisor:
    do
    :: atomic { // a death is reported: the worker is reaped
           if
           :: life[0] == dead || life[0] == exited -> k = 0
           :: life[1 % SEATS] == dead || life[1 % SEATS] == exited -> k = 1 % SEATS
           :: life[SEATS - 1] == dead || life[SEATS - 1] == exited -> k = SEATS - 1
           fi;
           asked = (life[k] == exited);
           barren = (stage[k] == starting);
           life[k] = nobody;
           taken[k] = 0;
           victim = kill_for[k];
           kill_for[k] = 0;
           kill_sent[k] = 0;
           i = 0;
           do // ghosts
           :: i < MESSAGES ->
               if
               :: holder[i] == k + 1 -> holder[i] = 0
               :: else
               fi;
               i++
           :: else -> break
           od;
           i = 0;
           do
           :: i < WINDOW ->
               if
               :: slot_writer[i] == k + 1 -> slot_writer[i] = 0
               :: else
               fi;
               i++
           :: else -> break
           od;
           idle_seats = idle_seats & ~(1 << k);
           blocked_seats = blocked_seats & ~(1 << k);
           heir = k;
           heir_incarnation = incarnation[k] + 1;
#if RELIEFS > 0 && defined(HEIR_IS_RELIEF)
           if // a mistake: the relief may be at work on a later message, and never come to this one
           :: relief_of(k) != NONE && taken[relief_of(k)] ->
               heir = relief_of(k);
               heir_incarnation = incarnation[heir]
           :: else
           fi;
#endif
           i = next_to_emit
       }
       do
       :: atomic { // a word that names it is nobody's but the supervisor's now
              i < next;
              seen = cell(i);
              if
              :: number_of(seen) == sequence(i) && owned(seen) && names(seen, k, incarnation[k]) ->
                  moved = 1;
                  assert(holder[i] == 0);
                  assert(victim == 0 || victim == i + 1); // who is killed for one is not charged for another
                  if
                  :: attempt_of(seen) < ATTEMPTS ->
                      cell(i) = word(number_of(seen), ready, attempt_of(seen) + 1, heir, heir_incarnation)
                  :: else ->
                      cell(i) = with_state(seen, failed);
                      unfinished_count--
                  fi
              :: number_of(seen) == sequence(i) && has_heir(seen) && names(seen, k, incarnation[k]) ->
                  moved = 1;
                  cell(i) = with_owner(seen, heir, heir_incarnation)
              :: else
              fi;
              i++;
              seen = 0
          }
       :: atomic { i >= next -> break }
       od;
       atomic { // (D1); and replaces
           reopened++;
           i = 0;
           victim = 0;
#if RELIEFS > 0
           if
           :: relief_of(k) != NONE && (heir != k || !moved) -> // it takes over, and this seat is spare
               i = relief_of(k);
               whom[i] = NONE;
               i = 0
           :: relief_of(k) != NONE && heir == k && moved ->
               // The heir must be fresh, and the relief may not be: they change places.
               i = relief_of(k);
               whom[i] = NONE;
               whom[k] = i;
               i = 0;
               if
               :: barren -> vacant[k] = 1
               :: else -> fill(k)
               fi
           :: relief_of(k) == NONE && !barren -> fill(k)
#ifdef BARREN_HEIR_DROPPED
           :: relief_of(k) == NONE && barren && whom[k] != NONE -> // a mistake: it may be somebody's heir
#else
           :: relief_of(k) == NONE && barren && whom[k] != NONE && !moved ->
#endif
               i = whom[k];
               tired[i] = incarnation[i];
               whom[k] = NONE;
               i = 0
           :: else -> vacant[k] = 1
           fi;
#else
           if
           :: barren -> vacant[k] = 1
           :: else -> fill(k)
           fi;
#endif
           heir = 0;
           heir_incarnation = 0;
           barren = 0
       }
#ifndef NO_RING_AFTER_DEATH
       if
       :: asked && !moved -> ring_one_idle(members, seat, rang) // for the ring that it may have been given
       :: else ->
           atomic { room_countdown = 0 }
           atomic {
               bell[0] = 1;
               bell[1 % SEATS] = 1;
               bell[SEATS - 1] = 1;
               ring_parent()
           }
       fi;
#endif
       atomic {
           k = 0;
           asked = 0;
           moved = 0;
           rang = 0;
#if RELIEFS > 0
           supervisor_rung = 1 // after each event it looks who asks
#endif
       }

    :: atomic { vacant[0] -> fill(0) }
#if SEATS > 1
    :: atomic { vacant[1] -> fill(1) }
#endif
#if SEATS > 2
    :: atomic { vacant[2] -> fill(2) }
#endif

#if RELIEFS > 0
    :: atomic { supervisor_rung -> supervisor_rung = 0 }
       do
       :: atomic {
              i < SEATS;
              if
              :: (relief_wanted >> i) & 1 ->
                  relief_wanted = relief_wanted & ~(1 << i);
                  if
                  :: taken[i] && relief_of(i) == NONE -> tired[i] = incarnation[i]
                  :: else
                  fi
              :: else
              fi;
              i++
          }
       :: atomic { i >= SEATS -> i = 0; break }
       od
    :: atomic { // a seat is spare, and somebody is tired
           (tired[0] || tired[1] || tired[SEATS - 1]) && (is_spare(0) || is_spare(1) || is_spare(SEATS - 1));
           if
           :: is_spare(0) -> i = 0
           :: is_spare(1) -> i = 1
           :: is_spare(SEATS - 1) -> i = SEATS - 1
           fi;
           if
           :: tired[0] -> k = 0
           :: tired[1] -> k = 1
           :: tired[SEATS - 1] -> k = SEATS - 1
           fi;
           if
           :: taken[k] && tired[k] == incarnation[k] && relief_of(k) == NONE ->
               whom[i] = k;
               fill(i)
           :: else
           fi;
           tired[k] = 0;
           k = 0;
           i = 0
       }
#endif

#if DEADLINES > 0
    :: atomic { // an owner is overdue
           if
           :: is_overdue(next_to_emit) -> i = next_to_emit
           :: is_overdue(next_to_emit + 1) -> i = next_to_emit + 1
           fi;
           seen = cell(i);
           deadlines_left--
       }
#ifndef KILL_WITHOUT_CONDEMNING
       atomic {
           if
           :: cell(i) == seen -> cell(i) = with_state(seen, condemned)
           :: else -> i = 0; seen = 0; goto end_supervisor
           fi
       }
#endif
       atomic {
           kill_sent[seat_of(seen)] = incarnation_of(seen);
           kill_for[seat_of(seen)] = i + 1
       }
#ifdef REASSIGN_BEFORE_REAP
       atomic { cell(i) = word(number_of(seen), ready, attempt_of(seen) + 1, 0, 0) }
       atomic { reopened++ }
       do
       :: atomic { k < SEATS -> bell[k] = 1; k++ }
       :: atomic { k >= SEATS -> k = 0; break }
       od;
#endif
       atomic {
           i = 0;
           seen = 0
       }
#endif
    od
}

// -----------------------------------------------------------------------------------------------------------
// Death: by itself at any step, or by a kill on its way.

inline may_die(k) {
    if
    :: life[k] == living && deaths_left > 0 ->
        deaths_left--;
        life[k] = dying
    :: life[k] == living && kill_sent[k] == incarnation[k] ->
        assert(holder[kill_for[k] - 1] == k + 1); // it has not published what it is killed for
        life[k] = dying
    fi
}

proctype death() {
end_death:
    do
    :: atomic { may_die(0) }
#if SEATS > 1
    :: atomic { may_die(1) }
#endif
#if SEATS > 2
    :: atomic { may_die(2) }
#endif
    od
}

init {
    byte i;

    atomic {
        do
        :: i < CAPACITY -> // one lap behind: not committed yet
            cell(i) = word((sequence(i) - CAPACITY + MODULUS) % MODULUS, empty, 0, 0, 0);
            i++
        :: else -> break
        od;
        i = 0;
        select_up_to(deaths_left, DEATHS);
        select_up_to(deadlines_left, DEADLINES);
        run supervisor();
        run death();
        run collector();
        do
        :: i < PRODUCERS -> run producer(i); i++
        :: else -> break
        od;
        i = 0;
        do
        :: i < SEATS -> run worker(i); i++
        :: else -> break
        od;
        i = 0
    }
    atomic {
        timeout; // nothing can move any more
        assert(next_to_emit == MESSAGES);
        assert(unfinished_count == 0 && results_waiting == 0)
    }
}
