"""R and Octave under `corewise run`, on Debian's OpenBLAS. Skipped where they are not installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

# Products that are large enough to ask for threads; both languages call the same BLAS.
R = "a <- matrix(1, 600, 600); for (i in 1:20) b <- a %*% a; cat(b[1], fill=TRUE)"
R_FORKS = f"invisible(parallel::mclapply(1:3, function(i) {{ {R} }}, mc.cores=3))"
OCTAVE = "a = ones(600); for i = 1:20, b = a * a; end; disp(b(1))"
PROGRAMS = [
    ("Rscript", ["-e", R]),
    ("Rscript", ["-e", R_FORKS]),
    ("octave-cli", ["--eval", OCTAVE]),
]


@pytest.mark.parametrize(("program", "words"), PROGRAMS, ids=["R", "R forks", "Octave"])
def test_governed(program: str, words: list[str]) -> None:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    command = [sys.executable, "-m", "corewise", "run", "-q", "--report=json", "--budget", "1"]
    env = {k: v for k, v in os.environ.items() if not k.startswith("OMP")}
    done = subprocess.run(
        [*command, "--group", f"languages-{os.getpid()}", "--", found, *words],
        capture_output=True,
        text=True,
        timeout=120,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stderr[done.stderr.index("{") :])
    ledgers = {process["ledger"]["path"] for process in report["processes"]}
    for path in filter(None, ledgers):
        if os.path.exists(path):
            os.unlink(path)
    if report["sum"]["widest"] < 2:
        pytest.skip(f"{program} has no BLAS with threads here: {report['findings']}")
    assert report["sum"]["calls"] + report["sum"]["regions"] >= 20
    # With a budget of one thread each call got one.
    assert report["sum"]["granted"] == report["sum"]["calls"] + report["sum"]["regions"]
