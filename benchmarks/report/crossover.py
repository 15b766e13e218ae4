# SPDX-License-Identifier: MIT
"""From which body length on another process is faster than the thread."""
import math


def speed_ups(peer, subject):
    """(body length, how many times faster the subject is) where both were measured."""
    times = {point[0]: point[1] for point in subject}
    return [(point[0], point[1] / times[point[0]]) for point in peer if point[0] in times]


def crossovers(peer, subject):
    """Where the subject begins to be faster: between two measured lengths, on a straight line in the logarithms."""
    found = []
    line = speed_ups(peer, subject)
    for (x1, y1), (x2, y2) in zip(line, line[1:]):
        if y1 < 1 <= y2:
            share = math.log(1 / y1) / math.log(y2 / y1)
            found.append(math.exp(math.log(x1) + share * math.log(x2 / x1)))
    return found
