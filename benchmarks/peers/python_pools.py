#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints how many seconds one message takes through one of Python's pools of processes.

    python_pools.py imap|executor WORKERS MESSAGES BYTES BODY_US

The body computes for BODY_US of processor time and gives its message back. The pool is at work before the clock
starts.
"""
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

rounds = 0


def compute(count):
    value = count
    for _ in range(count):
        value = value * 6364136223846793005 & 0xFFFFFFFFFFFFFFFF
    return value


def body(message):
    compute(rounds)
    return message


def rounds_of(microseconds):
    """How many rounds take so long when nothing else runs: from the best of many tries."""
    tried = 1000
    best = float("inf")
    for _ in range(100):
        start = time.perf_counter()
        compute(tried)
        best = min(best, time.perf_counter() - start)
    return int(microseconds * 1e-6 * tried / best)


def time_of_one(run, messages, size_bytes):
    warm_up = [bytes(size_bytes)] * 20
    list(run(body, warm_up))
    sent = [number.to_bytes(8, "little") + bytes(size_bytes - 8) for number in range(messages)]
    start = time.perf_counter()
    received = list(run(body, sent))
    taken = time.perf_counter() - start
    if received != sent:
        sys.exit("messages came out of order, or not at all")
    return taken / messages


def main():
    global rounds
    kind = sys.argv[1]
    workers, messages, size_bytes = (int(argument) for argument in sys.argv[2:5])
    body_us = float(sys.argv[5])
    rounds = rounds_of(body_us) if body_us > 0 else 0
    multiprocessing.set_start_method("fork")  # as forkflow's workers come into being
    if kind == "imap":
        with multiprocessing.Pool(workers) as pool:
            print(time_of_one(pool.imap, messages, size_bytes))
    else:
        with ProcessPoolExecutor(workers) as pool:
            print(time_of_one(pool.map, messages, size_bytes))


if __name__ == "__main__":
    main()
