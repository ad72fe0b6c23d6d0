"""Two workers of torchrun, of which the first has three times the work, under four settings.

    .venv/bin/python bench/torch_ranks.py

torchrun sets OMP_NUM_THREADS=1 for its workers, so the CPU of the one that waits idles. Prints
medians of seconds, of runs that alternate. Ideal: the first row's work, of which one worker did
three quarters on its CPU, spread over both.
Needs .venv-real (`make setup-large`).
"""

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COREWISE = [str(ROOT / ".venv/bin/corewise"), "run", "-q"]
TORCHRUN = [str(ROOT / ".venv-real/bin/torchrun"), "--nproc-per-node", "2"]
ROUNDS = 5

WORKER = """
import time, torch, torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
a = torch.rand(700, 700)
def round():
    for _ in range(60 if rank == 0 else 20):
        torch.mm(a, a)
    dist.barrier()
round()
began = time.perf_counter()
for _ in range(5): round()
if rank == 0: print(time.perf_counter() - began, flush=True)
dist.destroy_process_group()
"""
SETTINGS = {
    "torchrun": TORCHRUN,
    "OMP_NUM_THREADS=2 torchrun": ["env", "OMP_NUM_THREADS=2", *TORCHRUN],
    "corewise run -- torchrun": [*COREWISE, "--", *TORCHRUN],
    "corewise run --openmp 2 -- torchrun": [*COREWISE, "--openmp", "2", "--", *TORCHRUN],
}


def main() -> None:
    ours = ("OMP_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    seconds: dict[str, list[float]] = {name: [] for name in SETTINGS}
    with tempfile.TemporaryDirectory() as folder:
        worker = Path(folder) / "worker.py"
        worker.write_text(WORKER)
        for _ in range(ROUNDS):
            for name, words in SETTINGS.items():
                done = subprocess.run([*words, worker], env=env, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name}: {done.stderr}")
                seconds[name].append(float(done.stdout))
    for name, each in seconds.items():
        print(f"{statistics.median(each):6.2f} s  {name}")
    print(f"{statistics.median(seconds['torchrun']) * 2 / 3:6.2f} s  ideal: all work on both CPUs")


if __name__ == "__main__":
    main()
