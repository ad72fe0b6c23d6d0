"""Runs a real program ungoverned and governed, and reports the differences that a user would see:
its output and its exit code.

A `Program` is a command, a `Mode` the conditions under which it runs governed: the budget, the size
of its teams, how many copies run side by side, and when another job of the group holds the whole
budget. The ungoverned program is the judge: it runs twice with teams of the same size, and what it
prints both times must come out governed, to the bit. Only an entry that gives a reason compares to
rounding.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
BUILT = ROOT / "build/same"
GROUP = f"same-{os.getpid()}"
PATIENCE = (
    60.0  # seconds until a program counts as hanging, beside twenty times what it needs ungoverned
)

CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not re.match(r"(OMP|KMP|GOMP|OPENBLAS|MKL|NUMBA|COREWISE|LD)_", name)
}
CLEAN |= {"ASAN_OPTIONS": "verify_asan_link_order=0", "PYTHONDONTWRITEBYTECODE": "1"}
# As if the user had chosen them: then corewise does not preset them to the budget, and a governed
# program counts as many CPUs as its judge.
COUNTS = ("LOKY_MAX_CPU_COUNT", "PYTHON_CPU_COUNT", "RAYON_NUM_THREADS", "POLARS_MAX_THREADS")
COUNTS += ("PYTEST_XDIST_AUTO_NUM_WORKERS",)
COUNTS += ("OPENCV_FOR_THREADS_NUM", "TF_NUM_INTEROP_THREADS", "TF_NUM_INTRAOP_THREADS")
CLEAN |= dict.fromkeys(COUNTS, str(len(os.sched_getaffinity(0))))

# How an ungoverned program waits does not change what it computes. With more threads than CPUs,
# spinning takes minutes where sleeping takes seconds, on a machine that also runs other tests.
PATIENT = {"GOMP_SPINCOUNT": "0", "KMP_BLOCKTIME": "0", "OPENBLAS_THREAD_TIMEOUT": "4"}


@dataclass(frozen=True)
class Program:
    name: str
    command: tuple[str, ...]
    rounding: float = 0.0

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Mode:
    name: str
    # OMP_NUM_THREADS; 0: not set, as most programs are run.
    threads: int
    budget: int = 2
    copies: int = 1
    # During which of the two runs in a process another job holds the budget.
    held: int | None = None
    # Not governed: Python imports corewise "before" or "after" it uses the package.
    imports: str = ""

    def __str__(self) -> str:
        return self.name


ALONE = [Mode("1xall", threads=0, budget=1)]
ALONE += [Mode(f"{b}x{t}", threads=t, budget=b) for b in (1, 2) for t in (2, 5, 8)]
CROWDED = [Mode("two", threads=2, copies=2), Mode("four", threads=5, copies=4)]
HELD = [Mode("grow", threads=2, held=0), Mode("shrink", threads=2, held=1)]
MODES = ALONE + CROWDED + HELD
# For `make test-smoke`, with teams as most programs have them.
SMOKE = [Mode("before", threads=0, imports="before"), Mode("after", threads=0, imports="after")]
SMOKE += [Mode("run", threads=0), Mode("1xall", threads=0, budget=1)]
# For `make test-large`: a small and a larger share of a team, and each way to change it; one
# package for each kind of loop, of those that it has an environment for.
QUICK = ("1xall", "1x5", "2x8", "two", "grow", "shrink")
QUICK_PACKAGES = ("kmeans-lloyd", "boosting-classifier", "nearest-neighbours", "mdtraj-sasa")


@dataclass(frozen=True)
class Ended:
    """How a program ended; `code` is None if the harness had to end it."""

    code: int | None
    out: str
    err: str = field(compare=False)
    seconds: float = field(compare=False)

    def __str__(self) -> str:
        end = f"hangs ({self.seconds:.0f} s)" if self.code is None else f"exit code {self.code}"
        err = f"\n  {self.err[-1500:]}" if self.code != 0 and self.err else ""
        return f"{end}: {self.out.strip()}{err}"


class Running:
    """A program that we started, in its own process group, so that all of it can be ended."""

    def __init__(self, command: tuple[str | Path, ...], env: dict[str, str]) -> None:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        self._process = subprocess.Popen(
            command, env=CLEAN | env, text=True, start_new_session=True, **pipes
        )
        self._started = time.monotonic()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, file: Path) -> bool:
        """Whether the program made this file before it ended, and in time."""
        while not file.exists():
            if not self.alive or time.monotonic() > self._started + PATIENCE:
                return False
            time.sleep(0.005)
        return True

    def end(self, patience: float = PATIENCE) -> Ended:
        hangs = False
        try:
            out, err = self._process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            hangs = True
            os.killpg(self._process.pid, signal.SIGKILL)
            out, err = self._process.communicate()
        seconds = time.monotonic() - self._started
        return Ended(None if hangs else self._process.returncode, out, err, seconds)


def corewise() -> str:
    return os.environ.get("COREWISE") or str(Path(sys.executable).with_name("corewise"))


@functools.cache
def corewise_alone() -> Path:
    """A folder with only our package, for environments that do not have it installed."""
    folder = BUILT / "corewise-alone"
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "corewise"
    link.unlink(missing_ok=True)
    link.symlink_to(Path(sysconfig.get_path("platlib")) / "corewise")
    return folder


def governed(command: tuple[str | Path, ...], budget: int) -> tuple[str | Path, ...]:
    chosen = ("--budget", str(budget), "--group", GROUP)
    return (corewise(), "run", "-q", *chosen, "--", *command)


def teams_of(threads: int) -> dict[str, str]:
    return {"OMP_NUM_THREADS": str(threads)} if threads else {}


@functools.cache
def ungoverned(program: Program, threads: int) -> tuple[Ended, Ended]:
    env = PATIENT | teams_of(threads)
    first, second = (Running(program.command, env) for _ in range(2))
    return first.end(10 * PATIENCE), second.end(10 * PATIENCE)


def run(program: Program, mode: Mode, patience: float = PATIENCE) -> list[Ended]:
    """The program governed, each copy, or beside an imported corewise."""
    command, env = governed(program.command, mode.budget), teams_of(mode.threads)
    if mode.imports:
        env = env | {"SAME_IMPORT": mode.imports, "PYTHONPATH": str(corewise_alone())}
        return [Running(program.command, env).end(patience)]
    if mode.held is not None:
        return [run_held(command, env, mode, patience)]
    copies = []
    for _ in range(mode.copies):
        copies.append(Running(command, env))
        if mode.copies > 1:
            time.sleep(random.random() / 2)
    return [copy.end(patience) for copy in copies]


def run_held(
    command: tuple[str | Path, ...], env: dict[str, str], mode: Mode, patience: float
) -> Ended:
    """The program's two runs, of which one finds the budget taken."""
    with tempfile.TemporaryDirectory() as folder:
        reached, go = Path(folder, "reached"), Path(folder, "go")
        env = env | {"SAME_MIDDLE": folder}
        if mode.held == 0:
            with budget_held(mode.budget):
                program = Running(command, env)
                program.wait_for(reached)
            go.touch()
            return program.end(patience)
        program = Running(command, env)
        program.wait_for(reached)
        with budget_held(mode.budget):
            go.touch()
            return program.end(patience)


@contextmanager
def budget_held(budget: int) -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        up, done = Path(folder, "up"), Path(folder, "done")
        job = Running(governed((holder(), str(budget), up, done), budget), {})
        assert job.wait_for(up), job.end()
        try:
            yield
        finally:
            done.touch()
            assert job.end().code == 0


def forget_group() -> None:
    """Removes the ledgers that our runs shared."""
    with tempfile.TemporaryDirectory() as folder:
        up, done = Path(folder, "up"), Path(folder, "done")
        done.touch()
        for budget in {mode.budget for mode in MODES}:
            command = list(governed((holder(), "1", up, done), budget))
            command.insert(command.index("--"), "--report=json")
            report = Running(tuple(command), {}).end().err.strip().splitlines()[-1]
            for process in json.loads(report)["processes"]:
                Path(process["ledger"]["path"]).unlink(missing_ok=True)


def difference(program: Program, mode: Mode) -> str | None:
    """The difference, in words; None if there is none."""
    judges = ungoverned(program, mode.threads)
    for judge in judges:
        if judge.code != 0 or "NaN" in judge.out:
            return f"unusable, as it fails ungoverned: {judge}"
    if program.rounding == 0 and judges[0] != judges[1]:
        return f"varies ungoverned, which its entry has to say:\n{judges[0]}\n{judges[1]}"
    for copy in run(program, mode, PATIENCE + 20 * max(judge.seconds for judge in judges)):
        if not any(alike(judge, copy, program.rounding) for judge in judges):
            return f"ungoverned {judges[0]}\ngoverned   {copy}"
    return None


def alike(expected: Ended, got: Ended, rounding: float) -> bool:
    if rounding == 0 or got.code != 0:
        return expected == got
    return close(values(expected.out), values(got.out), rounding)


def values(text: str) -> Any:
    return [json.loads(line) for line in text.splitlines()]


def close(a: Any, b: Any, rounding: float) -> bool:
    """Equal except for rounding; leaves out the bytes of arrays."""
    if isinstance(a, dict) and isinstance(b, dict):
        names = a.keys() - {"bits"}
        return a.keys() == b.keys() and all(close(a[name], b[name], rounding) for name in names)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(close(x, y, rounding) for x, y in zip(a, b, strict=True))
    if isinstance(a, float) and isinstance(b, float):
        return math.isclose(a, b, rel_tol=rounding, abs_tol=rounding)
    return bool(a == b)


# The idioms, and how each is compiled.

INTEL = ROOT / ".venv-real/lib"
COMPILERS = {
    "gcc": ("gcc", "-fopenmp"),
    "clang": ("clang-19", "-fopenmp"),
    "intel": ("clang-19", "-fopenmp=libiomp5", f"-L{INTEL}", f"-Wl,-rpath,{INTEL}"),
}
FLAGS = ("-O1", "-g", "-w", "-pthread", f"-I{HERE / 'idioms'}")
# In these a team that is larger than expected writes past the end.
CHECKED = ("measured_then_indexed", "thread_buffers", "per_thread_minimum", "task_scratch")
# These rely on regions of a library as others do on those of a program.
IN_LIBRARY = ("clause_division", "max_threads_division", "nested_clauses", "measured_then_indexed")
# These run in a library beside the runtime of a program that another compiler made.
BESIDE_OTHER = ("set_num_threads", "max_threads_division")
BINDINGS = {"lazy": "RTLD_LAZY", "deep": "RTLD_LAZY|RTLD_DEEPBIND"}
# Ungoverned, a child of libgomp's hangs; governed it must not (tests/same/test_same.py).
HANGS_UNGOVERNED = ("forked_child",)


def compiled(name: str, sources: tuple[Path, ...], *command: str) -> Path:
    """The program, compiled unless it is there and newer than what it is made of."""
    made = BUILT / name
    newest = max(
        file.stat().st_mtime for file in (*sources, HERE / "idioms/idiom.h", HERE / "harness.py")
    )
    if not made.exists() or made.stat().st_mtime < newest:
        BUILT.mkdir(parents=True, exist_ok=True)
        scratch = made.with_name(f"{name}.{os.getpid()}")
        subprocess.run([*command, *sources, "-o", scratch], check=True)
        scratch.rename(made)
    return made


@functools.cache
def holder() -> Path:
    return compiled("hold", (HERE / "hold.c",), *COMPILERS["gcc"], *FLAGS)


def idiom(name: str, how: str) -> Path:
    source = (HERE / f"idioms/{name}.c",)
    compiler = COMPILERS[how.partition("-")[0]]
    if how.endswith("asan"):
        return compiled(f"{name}.{how}", source, *compiler, *FLAGS, "-fsanitize=address")
    shared = ("-shared", "-fPIC", "-Wl,-z,lazy", "-Dmain=idiom_main")
    if "-in-" in how:
        outer, binding = how.partition("-in-")[2].split("-")
        library = compiled(f"lib{name}.{how}.so", source, *compiler, *FLAGS, *shared)
        caller = (HERE / "idioms/in_library/other_runtime.c",)
        told = (f'-DLIBRARY="{library}"', f"-DBINDING={BINDINGS[binding]}")
        return compiled(f"{name}.{how}", caller, *COMPILERS[outer], *FLAGS, *told)
    if how.endswith("library"):
        library = compiled(f"lib{name}.{how}.so", source, *compiler, *FLAGS, *shared)
        caller = (HERE / "idioms/in_library/caller.c", library)
        return compiled(f"{name}.{how}", caller, *compiler, f"-Wl,-rpath,{BUILT}")
    return compiled(f"{name}.{how}", source, *compiler, *FLAGS)


def idioms() -> list[tuple[str, str]]:
    """Each idiom and how it is compiled."""
    present = [name for name, command in COMPILERS.items() if shutil.which(command[0])]
    if not (INTEL / "libiomp5.so").exists():
        present.remove("intel")
    found = []
    for file in sorted((HERE / "idioms").glob("*.c")):
        variants = (
            [""] + ["-asan"] * (file.stem in CHECKED) + ["-library"] * (file.stem in IN_LIBRARY)
        )
        found += [(file.stem, name + variant) for name in present for variant in variants]
        if file.stem in BESIDE_OTHER and {"gcc", "clang"} <= set(present):
            pairs = ("gcc-in-clang", "clang-in-gcc")
            found += [(file.stem, f"{pair}-{how}") for pair in pairs for how in BINDINGS]
    # Intel's runtime leaks of its own, and AddressSanitizer counts that.
    return [(name, how) for name, how in found if how != "intel-asan"]


# The packages.


def packages(smoke: bool = False) -> list[Program]:
    """Those of programs/*.py whose environment is there; `smoke`: what `make test-smoke` adds."""
    sys.path.insert(0, str(HERE))
    import same

    for file in sorted((HERE / "programs").glob("*.py")):
        importlib.import_module(f"programs.{file.stem}")
    found = []
    for entry in same.ENTRIES:
        if entry.target.startswith("smoke.") != smoke:
            continue
        python = ROOT / "-".join(filter(None, (".venv", entry.environment))) / "bin/python"
        command = (str(python), str(HERE / "same.py"), entry.target)
        if python.exists():
            found.append(Program(entry.name, command, entry.rounding))
    return found
