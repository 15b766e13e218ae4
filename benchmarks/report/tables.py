# SPDX-License-Identifier: MIT
"""The tables, in Markdown."""
from crossover import speed_ups
from plots import SPREADS
from results import lines_of
from units import number, size_bytes, time_ns, time_us


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def machine(context):
    facts = {
        "processor": f"{context.get('processor', '?')}, {context['num_cpus']} CPUs at {context['mhz_per_cpu']} MHz",
        "kernel": context.get("kernel", "?"),
        "compiler": context.get("compiler", "?"),
        "oneTBB, Boost": f"{context.get('oneTBB', '?')}, {context.get('Boost', '?').replace('_', '.')}",
        "Python": context.get("python", "none"),
        "commit": context.get("commit", "unknown"),
        "run": f"{context.get('effort', '?')}, {context['date']}, "
               f"load at its start {number(context['load_avg'][0]) if context.get('load_avg') else '?'}",
    }
    return table(["", ""], [[key, value] for key, value in facts.items()])


def measured_of(row):
    """The counter that the row is about, and how it is written."""
    if row.has("ratio"):
        return "ratio", number
    quantity = next(counter for counter in row.counters if counter.startswith("quantity_"))
    unit = quantity[len("quantity_"):].replace("us", "µs")
    return quantity, lambda value: f"{number(value)} {unit}"


def goal_of(row, value):
    """The target, and whether the value meets it."""
    if row.has("at_most"):
        goal = row.median("at_most")
        return f"≤ {number(goal)}", "met" if value <= goal else "**missed**"
    if row.has("at_least"):
        goal = row.median("at_least")
        return f"≥ {number(goal)}", "met" if value >= goal else "**missed**"
    return "", ""


def promises(measurements):
    rows = []
    for row in measurements.values():
        if not row.name.startswith("row/"):
            continue
        if row.error:
            rows.append([row.label, "", row.error, "", "", "", ""])
            continue
        counter, write = measured_of(row)
        goal, met = goal_of(row, row.median(counter))
        low, high = row.quartiles(counter)
        times = [time_ns(row.median(c)) if row.has(c) else "" for c in ("subject_ns", "peer_ns")]
        spread = f"{write(low)} – {write(high)}" if row.repetitions > 1 else ""
        rows.append([row.label, goal, write(row.median(counter)), spread, *times, met])
    rows.sort(key=lambda row: (("met", "**missed**", "").index(row[-1]), row[0]))
    return table(["what", "target", "median", "quartiles", "forkflow", "peer", ""], rows)


def when_it_pays(measurements):
    lines = lines_of(measurements, "sweep/body", "ns")
    lengths = sorted({point[0] for points in lines.values() for point in points})
    rows = []
    for peer, what in (("sequencer_locked", "behind one lock"), ("sequencer", "without a lock")):
        for node, window in (("node", "default"), ("node_window_1024", "1024")):
            if peer in lines and node in lines:
                speeds = dict(speed_ups(lines[peer], lines[node]))
                rows.append([what, window] + [number(speeds[x]) if x in speeds else "" for x in lengths])
    return table(["in-thread body", "window"] + [time_us(x) for x in lengths], rows)


def payloads(measurements):
    rows = []
    points = [m for m in measurements.values() if m.name.startswith("payload/") and m.has("x")]
    for m in sorted(points, key=lambda m: (m.label, m.median("x"))):
        rows.append([m.label.replace("_", " "), size_bytes(m.median("x")), time_ns(m.median("ns")),
                     number(m.median("ratio")), " – ".join(map(number, m.quartiles("ratio"))),
                     number(m.median("faults_per_message")), f"{100 * m.median('share_in_faults'):.0f} %",
                     f"{m.median('held_mib'):.1f}",
                     f"{m.median('held_later_mib'):.1f}" if m.has("held_later_mib") else ""])
    return table(["body", "size", "time", "× memcpy", "quartiles", "page faults", "of processor time in them",
                  "MiB held after", "and 2.5 s later"], rows)


def windows(measurements):
    needed = lines_of(measurements, "window/needed", "window_per_worker")
    share = lines_of(measurements, "window/needed", "share_with_10_per_worker")
    workers = sorted({int(point[0]) for points in needed.values() for point in points})
    rows = []
    for spread, (name, _) in SPREADS.items():
        if spread in needed:
            rows.append([name] + [f"{number(n[1])} ({100 * s[1]:.0f} %)"
                                  for n, s in zip(needed[spread], share[spread])])
    return table(["run times"] + [f"{count} workers" for count in workers], rows)


def checks(measurements):
    rows = sorted([m.label.replace("_", " "), number(m.median("measured_to_simulated")),
                   " – ".join(map(number, m.quartiles("measured_to_simulated")))]
                  for m in measurements.values() if m.has("measured_to_simulated"))
    return table(["real bodies that sleep", "measured / simulated", "quartiles"], rows)


def recoveries(measurements):
    rows = []
    for m in measurements.values():
        if m.name.startswith("recovery/"):
            rows.append([m.name, f"{number(m.median('p50_us'))} µs", f"{number(m.median('p99_us'))} µs",
                         f"{number(m.median('x_fork'))} × fork + exit + wait"])
        if m.name.startswith("recycling/"):
            rows.append([m.name, f"{number(m.median('gap_us'))} µs longest gap",
                         f"{number(m.median('gap_us_without'))} µs without", f"{number(m.median('ratio'))} × the speed"])
    return table(["", "median", "99 %", "ratio"], rows)


SECTIONS = [
    ("row/", "What was promised", "Times and speeds are multiples of the peer's in the same run.", promises),
    ("sweep/body/", "When does the process pay?",
     "Speed of the node, 2 workers, as a multiple of that of `function_node` → `sequencer_node` in two threads, by how long "
     "a body computes. Above 1 the process is faster.", when_it_pays),
    ("payload/", "Payloads", "", payloads),
    ("window/needed/", "How large must the window be?",
     "Window / workers that reaches 95 % of full throughput, simulated; in brackets: what 10 × workers reaches.", windows),
    ("window/check/", "The simulation beside the real node", "", checks),
    ("recovery/", "Deaths and recycling", "", recoveries),
]


def write_all(context, measurements, plots):
    parts = ["# Benchmarks of forkflow", machine(context)]
    for group, title, words, write in SECTIONS:
        if any(name.startswith(group) for name in measurements):
            parts += [f"## {title}"] + ([words] if words else []) + [write(measurements)]
    if plots:
        parts += ["## Plots"] + [f"![{name}]({name}.svg)" for name in plots]
    return "\n\n".join(parts) + "\n"
