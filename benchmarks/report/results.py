# SPDX-License-Identifier: MIT
"""What the benchmarks have measured: reads the JSON files that Google benchmark has written."""
import json
import re
import statistics


class Measurement:
    """One benchmark with all its repetitions."""

    def __init__(self, name, label):
        self.name = name
        self.label = label
        self.error = None
        self.counters = {}

    def add(self, run):
        if run.get("error_occurred"):
            self.error = run.get("error_message", "failed")
            return
        for counter, value in run.items():
            if isinstance(value, (int, float)):
                self.counters.setdefault(counter, []).append(value)

    def has(self, counter):
        return counter in self.counters

    def median(self, counter):
        return statistics.median(self.counters[counter])

    def quartiles(self, counter):
        """The lower and the upper one."""
        values = self.counters[counter]
        if len(values) < 2:
            return values[0], values[0]
        lower, _, upper = statistics.quantiles(values, n=4, method="inclusive")
        return lower, upper

    @property
    def repetitions(self):
        return len(self.counters.get("real_time", []))


def load(directory):
    """The context of the run, and its measurements by name, in the order in which they were made."""
    context = {}
    measurements = {}
    for path in sorted(directory.glob("*.json")):
        content = json.loads(path.read_text())
        for key, value in content["context"].items():
            context.setdefault(key, value)
        for run in content["benchmarks"]:
            if run["run_type"] != "iteration":
                continue  # medians and quartiles are taken here
            name = re.sub(r"/(iterations|repeats):\d+|/manual_time", "", run["name"])
            measurements.setdefault(name, Measurement(name, run.get("label", ""))).add(run)
    return context, measurements


def lines_of(measurements, group, counter):
    """The points (x, median, lower and upper quartile) of each line of a group, by the line's name."""
    lines = {}
    for measurement in measurements.values():
        if measurement.name.startswith(group + "/") and measurement.has("x") and measurement.has(counter):
            line = measurement.name[len(group) + 1:].split("/")[0]
            point = (measurement.median("x"), measurement.median(counter), *measurement.quartiles(counter))
            lines.setdefault(line, []).append(point)
    return {line: sorted(points) for line, points in lines.items()}
