# SPDX-License-Identifier: MIT
"""A chart with lines on logarithmic axes, as SVG."""
import math
from html import escape

WIDTH, HEIGHT = 980, 520
LEFT, RIGHT, TOP, BOTTOM = 90, 310, 56, 64  # margins; the legend stands in the right one
SLATE, GRID = "#334155", "#e2e8f0"


class Axis:
    """A logarithmic axis from the first to the last tick."""

    def __init__(self, label, ticks, text, start, end):
        self.label, self.ticks, self.text = label, ticks, text
        self.start, self.end = start, end

    def at(self, value):
        low, high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        share = (math.log(max(value, self.ticks[0])) - low) / (high - low)
        return self.start + share * (self.end - self.start)


def round_ticks(values, steps=(1, 2, 5)):
    """Round numbers around all values: 1, 2 and 5 of each power of ten, or fewer if these are many."""
    low, high = min(values), max(values)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [step * 10.0**power for power in powers for step in steps]
    below = max([tick for tick in ticks if tick <= low * 1.0001])
    above = min([tick for tick in ticks if tick >= high * 0.9999])
    if below == above:
        above = below * 10
    ticks = [tick for tick in ticks if below <= tick <= above]
    return ticks if len(ticks) <= 10 or len(steps) == 1 else round_ticks(values, (1,))


class Chart:
    def __init__(self, title, subtitle=""):
        self.title, self.subtitle = title, subtitle
        self.lines = []
        self.marks = []

    def add_line(self, name, points, colour, dashed=False):
        """Points are (x, y) or (x, y, low, high)."""
        self.lines.append((name, points, colour, dashed))

    def add_mark(self, x, text):
        """A vertical line with a word to it."""
        self.marks.append((x, text))

    def set_axes(self, x_label, x_text, y_label, y_text, x_ticks=None):
        xs = [point[0] for line in self.lines for point in line[1]]
        ys = [y for line in self.lines for point in line[1] for y in point[1:] if y > 0]
        self.x = Axis(x_label, x_ticks or round_ticks(xs, (1,)), x_text, LEFT, WIDTH - RIGHT)
        self.y = Axis(y_label, round_ticks(ys), y_text, HEIGHT - BOTTOM, TOP)

    def svg(self):
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="13" fill="{SLATE}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
            text(LEFT, 24, self.title, size=17, weight="bold"),
            text(LEFT, 43, self.subtitle),
        ]
        parts += self._grid()
        for mark in self.marks:
            parts += self._mark(*mark)
        for place, line in enumerate(self.lines):
            parts += self._line(*line)
            parts += self._legend(place, *line)
        return "\n".join(parts + ["</svg>"]) + "\n"

    def _grid(self):
        bottom, right = self.y.at(self.y.ticks[0]), self.x.at(self.x.ticks[-1])
        for tick in self.x.ticks:
            yield segment(self.x.at(tick), TOP, self.x.at(tick), bottom, GRID)
            yield text(self.x.at(tick), bottom + 20, self.x.text(tick), anchor="middle")
        for tick in self.y.ticks:
            yield segment(LEFT, self.y.at(tick), right, self.y.at(tick), GRID)
            yield text(LEFT - 8, self.y.at(tick) + 4, self.y.text(tick), anchor="end")
        yield text((LEFT + right) / 2, HEIGHT - 16, self.x.label, anchor="middle")
        middle = (TOP + bottom) / 2
        yield text(20, middle, self.y.label, anchor="middle", turned=True)

    def _mark(self, x, word):
        at = self.x.at(x)
        yield segment(at, TOP, at, self.y.start, SLATE, dashed=True)
        yield text(at + 6, TOP + 14, word)

    def _line(self, _, points, colour, dashed):
        places = " ".join(f"{self.x.at(p[0]):.1f},{self.y.at(p[1]):.1f}" for p in points)
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        yield f'<polyline points="{places}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
        for point in points:
            x = self.x.at(point[0])
            if len(point) == 4:  # from quartile to quartile
                yield segment(x, self.y.at(point[2]), x, self.y.at(point[3]), colour, width=5, opacity=0.35)
            if not dashed:
                yield f'<circle cx="{x:.1f}" cy="{self.y.at(point[1]):.1f}" r="3" fill="{colour}"/>'

    def _legend(self, place, name, _, colour, dashed):
        x, y = WIDTH - RIGHT + 18, TOP + 12 + 22 * place
        yield segment(x, y, x + 24, y, colour, width=2, dashed=dashed)
        yield text(x + 32, y + 4, name)


def text(x, y, content, size=13, weight="normal", anchor="start", turned=False):
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" '
            f'text-anchor="{anchor}"{turn}>{escape(content)}</text>')


def segment(x1, y1, x2, y2, colour, width=1, opacity=1.0, dashed=False):
    dash = ' stroke-dasharray="6 4"' if dashed else ""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}" stroke-opacity="{opacity}"{dash}/>')
