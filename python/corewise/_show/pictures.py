"""The pictures: CPUs as cells, a plan as nested boxes, threads as a bar. Each says in words what it
shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from .._budget import Budget
from .._numbers import most_that_fit
from .._plan import Plan
from .html import Markup, ornament, picture
from .text import counted

_MOST_CELLS = 1024
_MOST_BOXES = 8


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="1.5"/>'
    )


def listed_cpus(text: str) -> list[int]:
    """The CPUs of a list as the kernel writes it: 0-3,8."""
    cpus: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cpus += range(int(first), int(last or first) + 1)
    return cpus


def _machine(budget: Budget) -> int:
    return int(max((c.cpus for c in budget.constraints if c.source == "machine"), default=0))


def _kinds(budget: Budget) -> Iterator[float]:
    """For each CPU of the machine how much of it is ours, from 0 to 1; -1: not allowed."""
    allowed = listed_cpus(budget.allowed)
    cpus = max(_machine(budget), len(allowed))
    if allowed and allowed[-1] >= cpus:
        # Offline CPUs leave gaps in the numbers: show the allowed ones first.
        allowed = list(range(len(allowed)))
    places = set(allowed)
    left = budget.cpus
    for cpu in range(cpus):
        if cpu not in places:
            yield -1
        else:
            yield max(0.0, min(1.0, left))
            left -= 1


def budget_words(budget: Budget) -> str:
    """What the cells show, as a sentence."""
    allowed = len(listed_cpus(budget.allowed))
    machine = max(_machine(budget), allowed)
    parts = [f"You may use {budget.cpus:.4g} of {counted(machine, 'CPU')}"]
    if allowed - budget.cpus > 1e-9:
        parts.append(f"{allowed - budget.cpus:.4g} more, but not all the time (empty)")
    if machine > allowed:
        parts.append(f"{machine - allowed} not at all (crossed out)")
    if parts[1:]:
        parts[0] += " (filled)"
    return ", ".join(parts)


def budget_cells(budget: Budget) -> Markup:
    """Each CPU of the machine as a cell: ours, kept back by a quota or share, or fenced off."""
    kinds = list(_kinds(budget))[:_MOST_CELLS]
    size, row = (18, 16) if len(kinds) <= 32 else (10, 32)
    step = size + 4
    body = ""
    for i, part in enumerate(kinds):
        x, y = (i % row) * step + 1, (i // row) * step + 1
        body += _rect(x, y, size, size, "off" if part < 0 else "free")
        if part < 0:
            body += f'<path class="off" d="M{x} {y + size}l{size} {-size}"/>'
        elif part > 0:
            body += _rect(x, y, size * part, size, "own")
    rows = -(-len(kinds) // row)
    return picture(budget_words(budget), min(row, len(kinds)) * step + 2, rows * step + 2, body)


def plan_words(plan: Plan) -> str:
    """What the boxes show, as a sentence."""
    most = max(plan.processes, plan.openmp, plan.blas)
    drawn = f" (drawn: at most {_MOST_BOXES} of each)" if most > _MOST_BOXES else ""
    return (
        f"{counted(plan.processes, 'process', 'processes')}, in each "
        f"{counted(plan.openmp, 'OpenMP thread')}, in each {counted(plan.blas, 'BLAS thread')}: "
        f"{counted(plan.threads, 'thread')} on {counted(plan.cpus, 'CPU')}{drawn}"
    )


def plan_boxes(plan: Plan) -> Markup:
    """Processes as boxes, their OpenMP threads as boxes inside, BLAS threads as cells in these. No
    text inside: it would stay where the picture is removed (html.picture)."""
    processes, teams, calls = (
        min(count, _MOST_BOXES) for count in (plan.processes, plan.openmp, plan.blas)
    )
    cell, gap = 12, 4
    team_width, team_height = cell + 2 * gap, calls * (cell + gap) + gap
    wide, high = teams * (team_width + gap) + gap, team_height + 2 * gap
    body = ""
    for p in range(processes):
        left = p * (wide + 2 * gap) + 1
        body += _rect(left, 1, wide, high, "box")
        for t in range(teams):
            x = left + gap + t * (team_width + gap)
            body += _rect(x, 1 + gap, team_width, team_height, "box")
            for c in range(calls):
                body += _rect(x + gap, 1 + 2 * gap + c * (cell + gap), cell, cell, "own")
    return picture(plan_words(plan), processes * (wide + 2 * gap), high + 2, body)


# Kinds of threads, in the order in which they are stacked.
KINDS = ("blas", "openmp", "other", "program", "unknown")


def kind_of(api: str) -> str:
    """The hue of a pool of that API."""
    return api if api in ("blas", "openmp") else "other"


def swatch(kind: str) -> Markup:
    """A square in the hue of threads of that kind."""
    return ornament(10, 10, _rect(0, 0, 10, 10, kind), "bar swatch")


def pools_words(pools: Sequence[tuple[str, str, int]], cpus: int) -> str:
    """What `pools_bar` shows, as a sentence."""
    total = sum(threads for _, _, threads in pools)
    parts = ", ".join(f"{threads} {name}" for _, name, threads in pools)
    return f"Threads by pool: {parts}; {total} in all, for {counted(cpus, 'CPU')}"


def pools_bar(
    pools: Sequence[tuple[str, str, int]], cpus: int, governed: float | None = None
) -> Markup:
    """Pools, given as API, name and threads, side by side in one bar, with a line where the CPUs
    end. Where a pool alone has more threads than CPUs, what is beyond the line is underlined; not
    where they are governed, by a budget: fewer run at a time."""
    width, height = 460, 22
    total = sum(threads for _, _, threads in pools)
    scale = (width - 2) / max(total, cpus)
    body, x = "", 1.0
    for api, _, threads in pools:
        body += _rect(x, 5, max(1.0, threads * scale - 1.5), height, kind_of(api))
        x += threads * scale
    end = 1 + cpus * scale
    if governed is None and any(threads > cpus for _, _, threads in pools):
        body += _rect(end, height + 8, (total - cpus) * scale - 1.5, 4, "over")
    body += f'<rect class="box" x="1" y="5" width="{cpus * scale:g}" height="{height}"/>'
    body += f'<path class="mark" d="M{min(end, width - 1):g} 0v{height + 14}"/>'
    return picture(pools_words(pools, cpus), width, height + 14, body)


def pools_line(
    pools: Sequence[tuple[str, str, int]], cpus: int, governed: float | None = None
) -> str:
    """`pools_bar` for a terminal, as `corewise top` draws it without colours: a letter a thread, or
    for several where there are many, and a bar where the CPUs end."""
    most = 48
    names = {"blas": "BLAS", "openmp": "OpenMP", "other": "other pools"}
    letters = {"blas": "B", "openmp": "O", "other": "+"}
    counts = dict.fromkeys(names, 0)
    for api, _, threads in pools:
        counts[kind_of(api)] += threads
    unit = max(1.0, max(sum(counts.values()), cpus) / most)
    drawn = "".join(
        letters[kind] * max(1, round(threads / unit)) for kind, threads in counts.items() if threads
    )
    end = max(1, round(cpus / unit))
    bar = f"{drawn[:end].ljust(end, '.')}|{drawn[end:]}"
    key = "  ".join(
        f"{letters[kind]} {names[kind]} {threads}" for kind, threads in counts.items() if threads
    )
    return f"{bar}  {key}{_at_a_time(governed)}"


def _at_a_time(governed: float | None) -> str:
    return "" if governed is None else f"; governed: {governed:.4g} at a time"


def pools_key(
    pools: Sequence[tuple[str, str, int]], cpus: int, governed: float | None = None
) -> Markup:
    """The colours of `pools_bar` in words."""
    total = sum(threads for _, _, threads in pools)
    keys = "".join(
        f'<span class="key">{swatch(kind_of(api))}{threads} {escape(name)}</span>'
        for api, name, threads in pools
    )
    many = "in all" if governed is None else "allowed" + _at_a_time(governed)
    line = f"{counted(total, 'thread')} {many}; the line is your {counted(cpus, 'CPU')}"
    return Markup(f"<p>{keys}{line}</p>")


def _too_many(running: Mapping[str, int], cpus: float | None) -> bool:
    return bool(cpus) and sum(running.values()) > most_that_fit(cpus or 0)


def minute_words(samples: Sequence[tuple[float, Mapping[str, int], float | None]]) -> str:
    """What `minute` shows, as a sentence."""
    _, running, budget = samples[-1]
    over = sum(1 for _, ran, cpus in samples if _too_many(ran, cpus))
    return (
        f"In the last of {counted(len(samples), 'sample')}: "
        f"{counted(sum(running.values()), 'thread')} on "
        f"{counted(budget, 'CPU') if budget else '? CPUs'}. "
        f"Samples with more threads than CPUs: {over}."
    )


def minute(samples: Sequence[tuple[float, Mapping[str, int], float | None]]) -> Markup:
    """Threads that ran, by sample: when in seconds, how many of each kind, and how many CPUs there
    were. They are stacked against the line of the CPUs; where more ran, the sample is underlined.
    The newest is at the right, a minute ago at the left."""
    width, height, bar = 420, 90, 7
    newest, _, budget = samples[-1]
    most = max(2, budget or 0, *(sum(running.values()) for _, running, _ in samples))
    scale = (height - 14) / most
    body = ""
    for when, running, cpus in samples:
        x = width - (min(59, round(newest - when)) + 1) * bar
        y = float(height)
        for kind in KINDS:
            if threads := running.get(kind, 0):
                y -= threads * scale
                body += _rect(x, y, bar - 1, threads * scale, kind)
        if _too_many(running, cpus):
            body += _rect(x, height + 2, bar - 1, 4, "over")
    body += f'<path class="box" d="M0 {height}h{width}"/>'
    if budget:
        body += f'<path class="line" d="M0 {height - budget * scale:g}h{width}"/>'
    return picture(minute_words(samples), width, height + 7, body)


def threads_bar(threads: int, cpus: int, kind: str) -> Markup:
    """Goes beside a count of threads, in their kind's hue: the frame is the CPUs. What runs over it
    is more than they hold, and the words say so too."""
    scale = 64 / max(threads, cpus)
    inside, frame = min(threads, cpus) * scale, cpus * scale
    body = _rect(1, 1, inside, 9, kind)
    if threads > cpus:
        body += _rect(1 + frame, 1, (threads - cpus) * scale, 9, "over")
    body += _rect(1, 1, frame, 9, "box")
    return Markup(ornament(66, 11, body) + (" too many" if threads > cpus else ""))
