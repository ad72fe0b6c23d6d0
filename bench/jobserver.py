"""One build, and two side by side, plainly and under `corewise run`: time, and most jobs at once.

`python bench/jobserver.py [--rounds 3]`; wants gcc and make; COREWISE chooses the program.

A build compiles 30 C files of about 0.1 s each, with `make -j`; the last one makes 400 files with
`touch`, where a job takes about a millisecond and each token is passed on 400 times.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES, TOUCHED = 30, 400
SOURCE = "#include <math.h>\n" + "".join(
    f"double f{i}(const double *x, int n) {{ double s = {i}; for (int j = 0; j < n; ++j)"
    f" s += sin(x[j] * {i}) / (1 + x[j] * x[j]); return s; }}\n"
    for i in range(60)
)
# Bash tells the time without starting a program.
COMPILER = """#!/bin/bash
echo "start $$ $EPOCHREALTIME" >> "$BENCH_LOG"
gcc "$@"
code=$?
echo "end $$ $EPOCHREALTIME" >> "$BENCH_LOG"
exit $code
"""


def make_folder(folder: Path) -> None:
    folder.mkdir(parents=True)
    for i in range(FILES):
        (folder / f"c{i}.c").write_text(SOURCE)
    objects = " ".join(f"c{i}.o" for i in range(FILES))
    touched = " ".join(f"t{i}" for i in range(TOUCHED))
    (folder / "Makefile").write_text(
        f"all: {objects}\n%.o: %.c\n\t@../cc -O2 -c $< -o $@\n"
        f"touched: {touched}\nt%:\n\t@touch $@\nclean:\n\t@rm -f *.o t*\n"
    )


def most_at_once(log: Path) -> int:
    events = []
    for line in log.read_text().splitlines() if log.exists() else []:
        what, _, when = line.split()
        events.append((float(when), 1 if what == "start" else -1))
    most = now = 0
    for _, change in sorted(events):
        now += change
        most = max(most, now)
    return most


def run(folder: Path, command: list[str], builds: int, target: str) -> tuple[float, int]:
    log = folder / "log"
    log.unlink(missing_ok=True)
    for i in range(builds):
        subprocess.run(["make", "-s", "clean"], cwd=folder / f"b{i}", check=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    env["BENCH_LOG"] = str(log)
    begin = time.monotonic()
    started = [
        subprocess.Popen([*command, target], cwd=folder / f"b{i}", env=env) for i in range(builds)
    ]
    for one in started:
        if one.wait() != 0:
            raise SystemExit(f"{command} failed")
    return time.monotonic() - begin, most_at_once(log)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    built = sorted(ROOT.glob("build/*/cli/corewise"), key=lambda path: path.stat().st_mtime)
    program = os.environ.get("COREWISE") or (str(built[-1]) if built else shutil.which("corewise"))
    cpus = len(os.sched_getaffinity(0))
    governed = [str(program), "run", "-q", "--group", f"bench {os.getpid()}", "--"]
    ways = {
        f"make -j{cpus}": ["make", f"-j{cpus}"],
        "make -j": ["make", "-j"],
        "corewise run -- make -j": [*governed, "make", "-j"],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(2):
            make_folder(folder / f"b{i}")
        (folder / "cc").write_text(COMPILER)
        (folder / "cc").chmod(0o755)
        print(f"{cpus} CPUs, medians of {rounds}:  SECONDS  MOST JOBS AT ONCE")
        for builds, target, what in (
            (1, "all", "30 files"), (2, "all", "two of them"), (1, "touched", "400 touches"),
        ):  # fmt: skip
            seen: dict[str, list[tuple[float, int]]] = {way: [] for way in ways}
            for _ in range(rounds):  # in turn, so that all meet the same neighbours
                for way, command in ways.items():
                    seen[way].append(run(folder, command, builds, target))
            for way, results in seen.items():
                seconds = statistics.median(result[0] for result in results)
                most = max(result[1] for result in results)
                print(f"{what:12} {way:24} {seconds:7.2f}  {most or '-':>3}")


if __name__ == "__main__":
    main()
