"""Governed programs that start, end and are killed; afterwards all tokens must be back.

    python tests/govern/endurance.py [--births 10000] [--crowd 64] [--seconds 60]

First so many programs, one after another in two rows, each with a team of OpenMP and BLAS calls.
Then a crowd of such programs that do not end: every few milliseconds one is killed, whatever it is
doing, and replaced. After each part the group's ledger, which one more program keeps open, must
hold no token and no place of another.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BUDGET = 2
GROUP = f"endurance-{os.getpid()}"
COREWISE = Path(os.environ.get("COREWISE") or Path(sys.executable).with_name("corewise"))
# Each team wants the whole budget, and so do the products.
PROGRAM = r"""
#include <cblas.h>
#include <stdlib.h>
#include <unistd.h>
static double a[300 * 300], b[300 * 300], c[300 * 300];
static void region(void) {
  double sum = 0;
#pragma omp parallel for num_threads(2) reduction(+ : sum)
  for (int i = 0; i < 10000; ++i) sum += i;
  if (sum != 49995000.0) abort();
}
int main(int argc, char** argv) {
  for (long left = atol(argv[1]); left != 0; --left) {
    region();
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 300, 300, 300, 1, a, 300, b, 300, 0, c, 300);
  }
  if (argc > 2) sleep(atoi(argv[2]));
  return 0;
}
"""


def governed(command: list[str], *options: str) -> list[str]:
    start = [str(COREWISE), "run", "--group", GROUP, "--budget", str(BUDGET), *options]
    return [*start, "--", *command]


def none_held(program: Path) -> None:
    """Raises unless a program of the group that sleeps is alone in the ledger, and holds no token."""
    witness = subprocess.Popen(governed([str(program), "1", "60"], "-q"))
    ask = [str(COREWISE), "budget", "--group", GROUP, "--json"]
    try:
        for _ in range(50):
            done = subprocess.run(ask, capture_output=True, text=True, check=False)
            programs = json.loads(done.stdout)["programs"] if done.returncode == 0 else []
            # The witness itself computes before it sleeps.
            if len(programs) == 1 and programs[0]["granted"] == 0:
                return
            time.sleep(0.2)
    finally:
        witness.kill()
        witness.wait()
    raise SystemExit(f"endurance: tokens or places are held: {programs or done.stderr}")


def births(program: Path, count: int) -> None:
    loop = f"i=0; while [ $i -lt {count // 2} ]; do {program} 1 || exit 1; i=$((i + 1)); done"
    rows = [subprocess.Popen(governed(["sh", "-c", loop], "-q")) for _ in range(2)]
    if any(row.wait() for row in rows):
        raise SystemExit("endurance: a program failed")


def crowd(program: Path, size: int, seconds: float) -> int:
    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(governed([str(program), "-1"], "-q"))

    running = [start() for _ in range(size)]
    killed = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        victim = random.randrange(size)
        running[victim].send_signal(signal.SIGKILL)
        if (code := running[victim].wait()) != -signal.SIGKILL:
            raise SystemExit(f"endurance: a program ended by itself with {code}")
        running[victim] = start()
        killed += 1
        time.sleep(random.random() / 50)
    for process in running:
        process.kill()
    for process in running:
        process.wait()
    return killed


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--births", type=int, default=10_000)
    parser.add_argument("--crowd", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "program")
        source = program.with_suffix(".c")
        source.write_text(PROGRAM)
        command = ["cc", "-O1", "-fopenmp", str(source), "-o", str(program), "-lopenblas"]
        subprocess.run(command, check=True)
        for part, act in (
            ("births and deaths", lambda: births(program, options.births) or options.births),
            ("killed by SIGKILL", lambda: crowd(program, options.crowd, options.seconds)),
        ):
            started = time.monotonic()
            count = act()
            none_held(program)
            print(f"{count} {part} in {time.monotonic() - started:.0f} s: all tokens are back")


if __name__ == "__main__":
    main()
