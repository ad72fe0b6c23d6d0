"""Two workers of Ray, Dask or torchrun, of which the first has three times the work.

    python bench/framework_workers.py ray|dask|torchrun [-n 5]

All three set OMP_NUM_THREADS=1 for their workers, so the CPU of the one that waits idles. Prints
medians of seconds under several settings, of runs that alternate. Ideal: the first row's work, of
which one worker did three quarters on its CPU, spread over both. The Python that runs this needs
corewise, NumPy and the framework (`pip install ray`); torchrun is that of .venv-real (`make
setup-large`).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COREWISE = [str(Path(sys.executable).with_name("corewise")), "run", "-q"]
TORCHRUN = Path(__file__).resolve().parent.parent / ".venv-real/bin/torchrun"
LONG, SHORT, ROUNDS = 60, 20, 5

WORK = """
import sys, time
def work(products):
    import numpy
    a = numpy.ones((700, 700))
    for _ in range(products):
        a @ a
"""
ROUND = f"""
    round = lambda: wait([workers[0]({LONG}), workers[1]({SHORT})])
    round()
    began = time.perf_counter()
    for _ in range({ROUNDS}): round()
    print(time.perf_counter() - began, flush=True)
"""
RAY = """
import ray
class Worker:
    def work(self, products): work(products)
if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    actors = [ray.remote(Worker).options(num_cpus=1).remote() for _ in range(2)]
    workers = [actor.work.remote for actor in actors]
    wait = ray.get
"""
DASK = """
import functools, dask, distributed
if __name__ == "__main__":
    if "two" in sys.argv:
        for name in ("OMP", "OPENBLAS"):
            dask.config.set({f"distributed.nanny.pre-spawn-environ.{name}_NUM_THREADS": 2})
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    client = distributed.Client(cluster)
    if "plugin" in sys.argv:
        import corewise.dask
        client.register_plugin(corewise.dask.Plugin())
    places = list(client.scheduler_info()["workers"])
    workers = [functools.partial(client.submit, work, workers=p, pure=False) for p in places]
    wait = client.gather
"""
TORCH = f"""
import time, torch, torch.distributed as dist
dist.init_process_group("gloo")
a = torch.rand(700, 700)
def round():
    for _ in range({LONG} if dist.get_rank() == 0 else {SHORT}):
        torch.mm(a, a)
    dist.barrier()
round()
began = time.perf_counter()
for _ in range({ROUNDS}): round()
if dist.get_rank() == 0: print(time.perf_counter() - began, flush=True)
dist.destroy_process_group()
"""
SOURCES = {
    "ray": WORK + RAY + ROUND + "    ray.shutdown()\n",
    "dask": WORK + DASK + ROUND + "    client.close(); cluster.close()\n",
    "torchrun": TORCH,
}

PYTHON = [sys.executable]
RANKS = [str(TORCHRUN), "--nproc-per-node", "2"]
# Name, words before the program, words after it.
SETTINGS: dict[str, list[tuple[str, list[str], list[str]]]] = {
    "ray": [
        ("Ray", PYTHON, []),
        ("OMP_NUM_THREADS=2", ["env", "OMP_NUM_THREADS=2", *PYTHON], []),
        ("corewise run", [*COREWISE, "--", *PYTHON], []),
        ("corewise run --openmp 2", [*COREWISE, "--openmp", "2", "--", *PYTHON], []),
    ],
    "dask": [
        ("Dask", PYTHON, []),
        ("2 threads in Dask's pre-spawn-environ", PYTHON, ["two"]),
        ("corewise.dask.Plugin()", PYTHON, ["plugin"]),
    ],
    "torchrun": [
        ("torchrun", RANKS, []),
        ("OMP_NUM_THREADS=2 torchrun", ["env", "OMP_NUM_THREADS=2", *RANKS], []),
        ("corewise run -- torchrun", [*COREWISE, "--", *RANKS], []),
        ("corewise run --openmp 2 -- torchrun", [*COREWISE, "--openmp", "2", "--", *RANKS], []),
    ],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("framework", choices=SETTINGS)
    parser.add_argument("-n", "--repetitions", type=int, default=5)
    options = parser.parse_args()
    settings = SETTINGS[options.framework]
    ours = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
    env = {name: value for name, value in os.environ.items() if name not in ours}
    seconds: dict[str, list[float]] = {name: [] for name, _, _ in settings}
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(SOURCES[options.framework])
        for _ in range(options.repetitions):
            for name, before, after in settings:
                words = [*before, str(program), *after]
                done = subprocess.run(words, env=env, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(f"{name}: {done.stderr}")
                seconds[name].append(float(done.stdout.splitlines()[-1]))
    for name, each in seconds.items():
        print(f"{statistics.median(each):6.2f} s  {name}")
    spread = (LONG + SHORT) / (2 * LONG)
    print(f"{statistics.median(seconds[settings[0][0]]) * spread:6.2f} s  ideal")


if __name__ == "__main__":
    main()
