"""The picture of docs/simulation.md: a panel for each workload and machine, a line a policy."""

import math
from collections.abc import Mapping, Sequence

WIDTH, HEIGHT = 158, 110  # of a panel's inside
LEFT, TOP, GAP_X, GAP_Y = 56, 66, 34, 48
MOST = 1000.0  # higher values are drawn there
COLOURS = ("#d1495b", "#8d6cab", "#e09f3e", "#2a9d8f")
# Dashes too, for readers who see no colours.
DASHES = ("", "2 3", "7 3", "")
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.faint { fill: #57606a }
.grid { stroke: #d0d7de }
.frame { fill: none; stroke: #8c959f }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .faint { fill: #9da7b3 }
  .grid { stroke: #373e47 }
}
"""

Panels = Mapping[tuple[str, int], Mapping[str, Sequence[float]]]


def text(x: float, y: float, says: str, anchor: str = "start", kind: str = "faint") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{says}</text>'


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def curve(points: Sequence[tuple[float, float]], number: int) -> str:
    listed = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    width = 2.5 if number == len(COLOURS) - 1 else 1.8
    return (
        f'<polyline fill="none" stroke="{COLOURS[number]}" stroke-width="{width}" '
        f'stroke-dasharray="{DASHES[number]}" points="{listed}"/>'
    )


def height_of(ratio: float) -> float:
    return HEIGHT * math.log(min(ratio, MOST)) / math.log(MOST)


def panel(
    x: float, y: float, lines: Mapping[str, Sequence[float]], processes: Sequence[int]
) -> list[str]:
    out = []
    bottom = y + HEIGHT
    for ratio in (1, 10, 100):
        out.append(line(x, bottom - height_of(ratio), x + WIDTH, bottom - height_of(ratio)))
    step = WIDTH / (len(processes) - 1)
    for number, ratios in enumerate(lines.values()):
        points = [(x + i * step, bottom - height_of(ratio)) for i, ratio in enumerate(ratios)]
        out.append(curve(points, number))
    return [*out, f'<rect class="frame" x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}"/>']


def draw(panels: Panels, processes: Sequence[int]) -> str:
    workloads = list(dict.fromkeys(workload for workload, _ in panels))
    machines = list(dict.fromkeys(cores for _, cores in panels))
    width = LEFT + len(machines) * (WIDTH + GAP_X)
    height = TOP + len(workloads) * (HEIGHT + GAP_Y) - 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'aria-label="Makespan of four policies as a multiple of the best, by processes">',
        f"<style>{STYLE}</style>",
        text(4, 16, "Makespan, times the best of the four; by processes", kind="title"),
    ]
    names = list(next(iter(panels.values())))
    x = 340.0
    for number, name in enumerate(names):
        out.append(curve([(x, 12), (x + 22, 12)], number))
        out.append(text(x + 27, 16, name))
        x += 46 + 5.9 * len(name)
    step = WIDTH / (len(processes) - 1)
    for row, workload in enumerate(workloads):
        y = TOP + row * (HEIGHT + GAP_Y)
        out.append(text(LEFT, y - 8, workload, kind="title"))
        for ratio in (1, 10, 100, 1000):
            says = f"{ratio}" if ratio < MOST else f"≥ {ratio}"
            out.append(text(LEFT - 6, y + HEIGHT - height_of(ratio) + 4, says, "end"))
        for column, cores in enumerate(machines):
            x = LEFT + column * (WIDTH + GAP_X)
            out += panel(x, y, panels[workload, cores], processes)
            if row == 0:
                out.append(text(x + WIDTH, y - 24, f"{cores} cores", "end", "title"))
            for i in range(0, len(processes), 2):
                out.append(text(x + i * step, y + HEIGHT + 14, str(processes[i]), "middle"))
    return "\n".join([*out, "</svg>"]) + "\n"
