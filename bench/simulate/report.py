"""The tables of docs/simulation.md, from the simulator: the same to the last digit at every run.

    python bench/simulate/report.py [--simulate PROGRAM]   prints all
    python bench/simulate/report.py --write                puts it into the docs too
    python bench/simulate/report.py --check                whether the docs say the same, in part

`make simulate` builds the program and writes. Measured numbers are read from docs/nested.md.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from draw import draw
from scenarios import (
    BESIDE,
    CORES,
    IN_PAGE,
    POLICIES,
    PROCESSES,
    RANK_CORES,
    RANK_WORK,
    RANKS,
    SCALED,
    SMALL,
    VARIANTS,
    WEIGHTS,
    Outcomes,
    Workload,
    ranked,
    run_all,
    scaled,
    scaled_scenarios,
    small,
    small_scenarios,
    variant_scenarios,
    weighted,
)

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/simulation.md"
PICTURE = ROOT / "docs/images/simulate.svg"
MEASURED = ROOT / "docs/nested.md"
PROGRAM = ROOT / "build/dev/bench/simulate/simulate"


def times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}" if ratio < 1000 else "> 1000"


def scaled_row(outcomes: Outcomes, workload: Workload, cores: int, processes: int) -> str:
    cells = [outcomes[scaled(workload, cores, processes, policy)] for policy in POLICIES]
    best = min(cell["makespan_s"] for cell in cells)
    texts = [
        f"{times(cell['makespan_s'] / best)} · {100 * cell['utilisation']:.0f} % · "
        f"{times(cell['runnable_per_core'])}"
        for cell in cells
    ]
    return f"| {cores} | {processes} | {best:.3g} s | {' | '.join(texts)} |"


def scaled_table(outcomes: Outcomes, workload: Workload, cores: Sequence[int]) -> list[str]:
    lines = [
        f"{workload.says}:",
        "",
        f"| Cores | Processes | Best | {' | '.join(POLICIES.values())} |",
        "|---" * (3 + len(POLICIES)) + "|",
    ]
    lines += [scaled_row(outcomes, workload, c, p) for c in cores for p in PROCESSES]
    return [*lines, ""]


def variant_table(outcomes: Outcomes, variant: str) -> list[str]:
    processes = VARIANTS[variant]
    lines = [
        f"| Workload | Cores | {' | '.join(f'{p}' for p in processes)} |",
        "|---" * (2 + len(processes)) + "|",
    ]
    for workload in SCALED:
        for cores in IN_PAGE:
            ratios = [
                outcomes[scaled(workload, cores, p, variant)]["makespan_s"]
                / outcomes[scaled(workload, cores, p, "governed")]["makespan_s"]
                for p in processes
            ]
            lines.append(f"| {workload.says} | {cores} | {' | '.join(map(times, ratios))} |")
    return [*lines, ""]


def ranks_table(outcomes: Outcomes) -> list[str]:
    lines = [
        "| Work of each rank | Cores | Ranks | shares by load | default | static shares | "
        "`corewise run` |",
        "|---" * 7 + "|",
    ]
    for workload in RANK_WORK:
        for cores in RANK_CORES:
            for ranks in RANKS:
                if ranks > cores:
                    continue
                best, *others = (
                    outcomes[ranked(workload, cores, ranks, policy)]["makespan_s"]
                    for policy in ("load", "default", "plan", "ranks")
                )
                cells = " | ".join(times(each / best) for each in others)
                lines.append(f"| {workload.says} | {cores} | {ranks} | {best:.3g} s | {cells} |")
    return [*lines, ""]


def weights_table(outcomes: Outcomes) -> list[str]:
    lines = [
        f"| Workload | Cores | {' | '.join(f'{n} processes' for n in BESIDE)} |",
        "|---" * (2 + len(BESIDE)) + "|",
    ]
    for workload in SCALED:
        for cores in IN_PAGE:
            cells = []
            for processes in BESIDE:
                usual, *heavier = (
                    outcomes[weighted(workload, cores, processes, weight)] for weight in WEIGHTS
                )
                cells.append(
                    " · ".join(
                        f"{times(each['first_s'] / usual['first_s'])} "
                        f"({times(each['makespan_s'] / usual['makespan_s'])})"
                        for each in heavier
                    )
                )
            lines.append(f"| {workload.says} | {cores} | {' | '.join(cells)} |")
    return [*lines, ""]


def verdict(outcomes: Outcomes) -> list[str]:
    """How the governed column stands in the rows of the page."""
    ratios = {}
    for workload in SCALED:
        for cores in IN_PAGE:
            for processes in PROCESSES:
                spans = {
                    policy: outcomes[scaled(workload, cores, processes, policy)]["makespan_s"]
                    for policy in POLICIES
                }
                row = f"{workload.says}, {cores} cores, {processes} processes"
                ratios[row] = spans["governed"] / min(spans.values())
    near = sum(ratio <= 1.1 for ratio in ratios.values())
    worst = max(ratios, key=lambda row: ratios[row])
    return [
        f"Governed is the best of the four, or within 10 % of it, in {near} of {len(ratios)} rows; "
        f"at worst it takes {times(ratios[worst])} times as long ({worst}).",
        "",
    ]


def held_back_table(outcomes: Outcomes, cores: int) -> list[str]:
    lines = [
        f"| {cores} cores; processes: | {' | '.join(f'{p}' for p in PROCESSES)} |",
        "|---" * (1 + len(PROCESSES)) + "|",
    ]
    for workload in SCALED:
        cells = []
        for processes in PROCESSES:
            got = outcomes[scaled(workload, cores, processes, "governed")]
            mean = got["granted"] / got["regions"]
            cells.append(f"{mean:.1f} · {100 * got['held_back'] / got['regions']:.0f} %")
        lines.append(f"| {workload.says} | {' | '.join(cells)} |")
    return [*lines, ""]


def measured() -> dict[str, dict[str, str]]:
    """The table of docs/nested.md that the page names: by workload, then by column."""
    older = MEASURED.read_text().partition("\n## An older corewise\n")[2]
    lines = iter(older.splitlines())
    header = next(line for line in lines if line.startswith("| Workload |"))
    columns = [cell.strip(" `") for cell in header.strip("|").split("|")]
    found = {}
    for line in lines:
        if not line.startswith("|"):
            break
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        found[cells[0].split(":")[0]] = dict(zip(columns, cells, strict=True))
    return found


def seconds(cell: str) -> float | None:
    found = re.search(r"\(([\d.]+) s\)", cell)
    return float(found[1]) if found else None


def small_table(outcomes: Outcomes) -> list[str]:
    lines = [
        "| Workload | all limited to 1: simulated | measured | default: simulated | measured | "
        "governed: simulated | measured |",
        "|---" * 7 + "|",
    ]
    rows = measured()
    for one in SMALL:
        row = rows[one.name]
        real_base = seconds(row["all limited to 1"])
        assert real_base is not None
        base = outcomes[small(one, "one")]["makespan_s"]
        cells = [f"{base:.3f} s", f"{real_base:.3f} s"]
        for policy, column in (("default", "default"), ("governed", "corewise run")):
            cells.append(times(outcomes[small(one, policy)]["makespan_s"] / base))
            real = seconds(row[column])
            limit = float(row[column].strip("> s")) if real is None else 0
            cells.append(
                f"> {times(limit / real_base)}" if real is None else times(real / real_base)
            )
        lines.append(f"| {one.name} | {' | '.join(cells)} |")
    return [*lines, ""]


def between(text: str, name: str) -> tuple[int, int]:
    """Where in a page the lines of a table are: from the line that names it to the end mark."""
    begin = text.index(f"<!-- simulated: {name} -->\n") + len(f"<!-- simulated: {name} -->\n")
    return begin, text.index("<!-- end -->", begin)


def write(outcomes: Outcomes) -> None:
    page = PAGE.read_text()
    for name, lines in (
        ("two cores", small_table(outcomes)),
        ("scale", [line for w in SCALED for line in scaled_table(outcomes, w, IN_PAGE)]),
        ("verdict", verdict(outcomes)),
        ("grants", held_back_table(outcomes, IN_PAGE[-1])),
        ("recent", variant_table(outcomes, "recent")),
        ("renewed", variant_table(outcomes, "renewed")),
        ("ranks", ranks_table(outcomes)),
        ("weights", weights_table(outcomes)),
    ):
        begin, end = between(page, name)
        page = page[:begin] + "\n".join(lines) + page[end:]
    PAGE.write_text(page)
    ratios: dict[tuple[str, int], dict[str, list[float]]] = {}
    for workload in SCALED:
        for cores in CORES:
            panel = ratios[workload.says, cores] = {}
            for policy, says in POLICIES.items():
                panel[says] = []
                for processes in PROCESSES:
                    cells = [outcomes[scaled(workload, cores, processes, p)] for p in POLICIES]
                    best = min(cell["makespan_s"] for cell in cells)
                    mine = outcomes[scaled(workload, cores, processes, policy)]["makespan_s"]
                    panel[says].append(mine / best)
    PICTURE.write_text(draw(ratios, PROCESSES))


def simulated(row: str) -> list[str]:
    """The name and every second cell, from the first on."""
    cells = row.split("|")
    return cells[1:2] + cells[2::2]


def check(program: Path) -> int:
    """Checks that the page has the numbers that take a second or two to compute again.

    Leaves out what was measured: that is as of the day that the page names.
    """
    few = [p for p in PROCESSES if p <= 64]
    some = small_scenarios() + scaled_scenarios(IN_PAGE, few)
    outcomes = run_all(program, some + [s for s in variant_scenarios() if s.processes <= few[-1]])
    lines = [*ranks_table(outcomes), *weights_table(outcomes)]
    lines += [scaled_row(outcomes, w, c, p) for w in SCALED for c in IN_PAGE for p in few]
    page = PAGE.read_text().splitlines()
    missing = [line for line in lines if line not in page]
    begin, end = between(PAGE.read_text(), "two cores")
    shown = [simulated(line) for line in PAGE.read_text()[begin:end].splitlines()]
    missing += [row for row in small_table(outcomes)[:-1] if simulated(row) not in shown]
    for line in missing:
        print(f"not in {PAGE.relative_to(ROOT)}: {line}", file=sys.stderr)
    if missing:
        print("run `make simulate`", file=sys.stderr)
    return 1 if missing else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--simulate", type=Path, default=PROGRAM, help="the program")
    parser.add_argument("--write", action="store_true", help="into docs/")
    parser.add_argument("--check", action="store_true", help="that docs/ says the same")
    options = parser.parse_args()
    if options.check:
        return check(options.simulate)
    wanted = small_scenarios() + scaled_scenarios(CORES, PROCESSES) + variant_scenarios()
    outcomes = run_all(options.simulate, wanted)
    print("\n".join(small_table(outcomes)))
    for workload in SCALED:
        print("\n".join(scaled_table(outcomes, workload, CORES)))
    for cores in CORES:
        print("\n".join(held_back_table(outcomes, cores)))
    for variant in VARIANTS:
        print("\n".join(variant_table(outcomes, variant)))
    print("\n".join(ranks_table(outcomes)))
    print("\n".join(weights_table(outcomes)))
    if options.write:
        write(outcomes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
