# SPDX-License-Identifier: MIT
"""The plots: what each shows, and how the lines are called."""
from crossover import crossovers, speed_ups
from results import lines_of
from svg_chart import Chart
from units import number, size_bytes, time_ns, time_us

# The same way has the same colour in every plot.
WAYS = {
    "node": ("forkflow", "#dc2626"),
    "node_window_1024": ("forkflow, window 1024", "#f97316"),
    "sequencer": ("function_node → sequencer", "#2563eb"),
    "sequencer_limited": ("limiter → function → sequencer", "#2563eb"),
    "sequencer_locked": ("the same behind one lock", "#7c3aed"),
    "pipeline": ("parallel_pipeline", "#0891b2"),
    "pipes": ("pool on pipes", "#16a34a"),
    "message_queues": ("pool on message_queue", "#a16207"),
    "python_imap": ("Python Pool.imap", "#64748b"),
    "python_executor": ("Python ProcessPoolExecutor", "#a8a29e"),
}
SPREADS = {
    "constant": ("constant", "#2563eb"),
    "exponential": ("exponential", "#16a34a"),
    "lognormal_1": ("lognormal, σ = 1", "#0891b2"),
    "lognormal_2": ("lognormal, σ = 2", "#f97316"),
    "one_in_50_times_100": ("1 in 50 takes 100 × longer", "#dc2626"),
}
SHADES = "medians; bars from quartile to quartile"


def chart_of(lines, names, title, subtitle):
    chart = Chart(title, subtitle)
    for line, (name, colour) in names.items():
        if line in lines:
            chart.add_line(name, lines[line], colour)
    return chart


def values_of(lines):
    return sorted({point[0] for points in lines.values() for point in points})


# By axis: title, what is the same for all points, name of the axis, and how its values are written.
SWEEPS = {
    "body": ("Time per message against the length of the body",
             "64 bytes, 2 workers, window 20 if not said otherwise", "computing per message", time_us),
    "payload": ("Time per message against its size",
                "empty body that gives the bytes back, 2 workers, window 20", "size of the message", size_bytes),
    "workers": ("Time per message against the number of workers",
                "20 µs of computing, 64 bytes, window 10 × workers", "workers, or threads", number),
    "window": ("Time per message against the window",
               "64 bytes, empty body, 2 workers", "window: messages inside", number),
}


def draw_sweep(axis):
    title, constants, x_label, x_text = SWEEPS[axis]

    def draw(measurements):
        lines = lines_of(measurements, f"sweep/{axis}", "ns")
        chart = chart_of(lines, WAYS, title, f"{constants}; {SHADES}")
        chart.set_axes(x_label, x_text, "time per message", time_ns, values_of(lines))
        return chart

    return draw


def draw_crossover(measurements):
    lines = lines_of(measurements, "sweep/body", "ns")
    chart = Chart("When does the process pay?",
                  "speed of forkflow with 2 workers as a multiple of the in-thread node's, against the body's length")
    for peer, node, name, colour in (
            ("sequencer_locked", "node", "body behind a lock, default window", "#7c3aed"),
            ("sequencer_locked", "node_window_1024", "body behind a lock, window 1024", "#c084fc"),
            ("sequencer", "node", "body without a lock, default window", "#2563eb"),
            ("sequencer", "node_window_1024", "body without a lock, window 1024", "#60a5fa")):
        if peer in lines and node in lines:
            chart.add_line(name, speed_ups(lines[peer], lines[node]), colour)
    bodies = values_of(lines)
    chart.add_line("as fast as in the thread", [(bodies[0], 1), (bodies[-1], 1)], "#334155", dashed=True)
    for x in crossovers(lines.get("sequencer_locked", []), lines.get("node", [])):
        chart.add_mark(x, f"behind a lock it pays from {time_us(x)}")
    chart.set_axes("computing per message", time_us, "speed to the in-thread node", number, bodies)
    return chart


def draw_needed_window(measurements):
    lines = lines_of(measurements, "window/needed", "window_per_worker")
    chart = chart_of(lines, SPREADS, "How large must the window be for 95 % of full throughput?",
                     "simulated, by how run times spread; dashed: the default")
    workers = values_of(lines)
    chart.add_line("10 × workers", [(workers[0], 10), (workers[-1], 10)], "#334155", dashed=True)
    chart.set_axes("workers", number, "window / workers", number, workers)
    return chart


def draw_memcpy(measurements):
    lines = lines_of(measurements, "payload", "ratio")
    names = {"copying": ("body copies", "#dc2626"), "in_place": ("body reads and writes in place", "#2563eb")}
    chart = chart_of(lines, names, "Time per message as a multiple of one memcpy of its bytes",
                     f"the same bytes in and out, 2 workers; {SHADES}")
    chart.set_axes("size of the message", size_bytes, "time / time of memcpy", number, values_of(lines))
    return chart


# By the name of the file: the group of measurements that it needs, and who draws it.
PLOTS = {axis: (f"sweep/{axis}/", draw_sweep(axis)) for axis in SWEEPS} | {
    "crossover": ("sweep/body/", draw_crossover),
    "needed_window": ("window/needed/", draw_needed_window),
    "memcpy": ("payload/", draw_memcpy),
}


def draw_all(measurements, directory):
    """Writes the plots for which there are measurements, and returns their names."""
    drawn = []
    for name, (group, draw) in PLOTS.items():
        if any(measurement.startswith(group) for measurement in measurements):
            (directory / f"{name}.svg").write_text(draw(measurements).svg())
            drawn.append(name)
    return drawn
