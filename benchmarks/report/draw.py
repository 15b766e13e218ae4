#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tables and plots of what the benchmarks have measured.

    draw.py DIRECTORY

reads *.json there, and writes results.md and *.svg beside them.
"""
import pathlib
import sys

import plots
import results
import tables


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    directory = pathlib.Path(sys.argv[1])
    context, measurements = results.load(directory)
    if not measurements:
        sys.exit(f"{directory}: no measurements")
    drawn = plots.draw_all(measurements, directory)
    (directory / "results.md").write_text(tables.write_all(context, measurements, drawn))


if __name__ == "__main__":
    main()
