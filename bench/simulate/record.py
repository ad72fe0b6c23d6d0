"""Records the traces that the simulator runs: what the nested benchmark's tasks do.

    .venv/bin/python bench/simulate/record.py [NAME ...]

Each task runs in a fresh process, with every region on one thread, so that a region's length is its
serial work. The shortest of seven recordings is kept: noise only adds. Written to traces/NAME.csv.
`make simulate` builds the recorder.
"""

import ctypes
import gc
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
TRACES = HERE / "traces"
RECORDER = HERE.parents[1] / "build/dev/bench/simulate/libcorewise_recorder.so"
RECORDINGS = 7
# The counts that the two OpenBLAS copies are set to, so that what a call wants tells whose it is.
WANTED = {"numpy.libs": 3, "scipy.libs": 5}
NAMES = {0: "-", 3: "blas1", 5: "blas2"}


class Source(NamedTuple):
    workload: str  # of bench/nested/workloads.py
    tasks: int  # recorded in a row
    pieces: int  # into which an OpenMP region can be divided at most
    why: str


SOURCES = (
    Source("logreg-serial", 1, 1, "no OpenMP"),
    Source("kmeans-serial", 1, 20, "chunks of 256 of 5,000 rows"),
    Source("kmeans-processes8", 1, 79, "chunks of 256 of 20,000 rows"),
    Source("hgb-processes2", 1, 20, "features"),
    Source("svd200-serial", 4, 1, "no OpenMP"),
    Source("gemm2000-serial", 1, 1, "no OpenMP"),
    Source("gemm220-serial", 50, 1, "no OpenMP"),
    Source("alternate-serial", 20, 1, "no OpenMP"),
    Source("lu-serial", 20, 1, "no OpenMP"),
    Source("lloyd-serial", 1, 391, "chunks of 256 of 100,000 rows"),
)


def record_here(source: Source, into: Path) -> None:
    """Runs in a fresh process: the rows of the shortest recording."""
    sys.path.insert(0, str(HERE.parent / "nested"))
    import workloads
    from threadpoolctl import ThreadpoolController

    workload = next(w for w in workloads.WORKLOADS if w.name == source.workload)
    workloads.prepare(workload)
    workload.task(0)
    for library in ThreadpoolController().lib_controllers:
        for folder, count in WANTED.items():
            if folder in library.filepath:
                library.set_num_threads(count)
    recorder = ctypes.CDLL(str(RECORDER))
    if recorder.corewise_record_start() != 0:
        sys.exit("record.py: this process cannot be governed")
    gc.collect()
    gc.freeze()
    shortest = float("inf")
    with tempfile.TemporaryDirectory() as folder:
        rows = Path(folder) / "rows"
        for _ in range(RECORDINGS):
            recorder.corewise_record_start()
            began = time.perf_counter()
            for number in range(source.tasks):
                workload.task(number + 1)
            took = time.perf_counter() - began
            if recorder.corewise_record_stop(str(rows).encode()) < 0:
                sys.exit("record.py: the recorder's rows are full, or its file cannot be written")
            if took < shortest:
                shortest = took
                text = rows.read_text()
    steps = []
    for line in text.splitlines():
        before, wanted, work = line.split(",")
        steps.append(f"{before},{NAMES.get(int(wanted), 'omp')},{work}")
    head = (
        f"# {source.workload}: {workload.says.replace('²', '^2')}; nanoseconds before, pool, work\n"
        f"# tasks {source.tasks}\n"
        f"# pieces {source.pieces}\n"
        f"# of OpenMP regions: {source.why}; {shortest:.4f} s in all\n"
    )
    into.write_text(head + "\n".join(steps) + "\n")


def main() -> int:
    known = {source.workload: source for source in SOURCES}
    if len(sys.argv) == 3 and sys.argv[1] == "--here":
        record_here(known[sys.argv[2]], TRACES / f"{sys.argv[2]}.csv")
        return 0
    chosen = sys.argv[1:] or list(known)
    if unknown := [name for name in chosen if name not in known]:
        print(f"record.py: no task named {', '.join(unknown)}: {', '.join(known)}", file=sys.stderr)
        return 2
    TRACES.mkdir(exist_ok=True)
    for name in chosen:
        subprocess.run([sys.executable, __file__, "--here", name], check=True)
        text = (TRACES / f"{name}.csv").read_text()
        print(f"{name:<22} {len(text.splitlines()) - 4:>6} rows {len(text) / 1000:>7.1f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
