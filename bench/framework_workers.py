"""Two workers of Ray or Dask, of which the first has three times the work, under several settings.

    python bench/framework_workers.py ray|dask [-n 5]

Both set OMP_NUM_THREADS=1 for their workers, so the CPU of the one that waits idles. Prints medians
of seconds, of runs that alternate. Ideal: the first row's work, of which one worker did three
quarters on its CPU, spread over both. The Python that runs this needs corewise, NumPy and the
framework (`pip install ray`).
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

COREWISE = [str(Path(sys.executable).with_name("corewise")), "run", "-q"]
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
END = {"ray": "    ray.shutdown()\n", "dask": "    client.close(); cluster.close()\n"}

# Name, words before the interpreter, words after the program.
SETTINGS: dict[str, list[tuple[str, list[str], list[str]]]] = {
    "ray": [
        ("Ray", [], []),
        ("OMP_NUM_THREADS=2", ["env", "OMP_NUM_THREADS=2"], []),
        ("corewise run", [*COREWISE, "--"], []),
        ("corewise run --openmp 2", [*COREWISE, "--openmp", "2", "--"], []),
    ],
    "dask": [
        ("Dask", [], []),
        ("2 threads in Dask's pre-spawn-environ", [], ["two"]),
        ("corewise.dask.Plugin()", [], ["plugin"]),
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
    source = WORK + {"ray": RAY, "dask": DASK}[options.framework] + ROUND + END[options.framework]
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "program.py"
        program.write_text(source)
        for _ in range(options.repetitions):
            for name, before, after in settings:
                words = [*before, sys.executable, str(program), *after]
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
