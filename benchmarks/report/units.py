# SPDX-License-Identifier: MIT
"""Numbers with units, for people."""


def number(value):
    """Three significant digits, and no exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def scaled(value, step, units):
    for unit in units[:-1]:
        if abs(value) < step * 0.9995:
            return f"{number(value)} {unit}"
        value /= step
    return f"{number(value)} {units[-1]}"


def time_ns(value):
    return scaled(value, 1000, ["ns", "µs", "ms", "s"])


def time_us(value):
    return time_ns(value * 1000)


def size_bytes(value):
    return scaled(value, 1024, ["B", "KiB", "MiB", "GiB"])
