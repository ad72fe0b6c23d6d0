"""Runs every suite of the project and closes with one line: N passed, N failed, N skipped.

Each step is a command with its own log in build/logs. What a step's own runner counted (doctest,
ctest, pytest) is added up; a step without a count counts as one test. A failed step prints the
end of its log, and the others still run. A step or a test that hangs is ended, and has failed.

    tools/run_tests.py            every step
    tools/run_tests.py small      the steps of `make test`; large: those that `make test-large` adds
    tools/run_tests.py NAME ...   the steps with these names
    tools/run_tests.py --list     their names
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build" / "logs"
BIN = ROOT / ".venv" / "bin"
# Seconds for a step (the longest took 773 beside two other builds), and for a test of pytest's.
PATIENCE = 1200
PATIENCE_WITH_A_TEST = 600


def build(preset: str) -> str:
    return (
        f"cmake --preset {preset} -G Ninja"
        f" {shlex.quote(f'-DCOREWISE_REAL_VENV={ROOT}/.venv-real')}"
        f" && cmake --build build/{preset} -j 2"
    )


def ctest(preset: str, *arguments: str) -> str:
    return f"ctest --test-dir build/{preset} --output-on-failure --no-tests=error -j 2 " + " ".join(
        arguments
    )


def where_there_is(program: str, command: str) -> str:
    return (
        f"if command -v {program} >/dev/null; then {command};"
        f" else echo '{program} is missing'; echo '1 skipped in 0s'; fi"
    )


# Tests of the core that need other compilers, large libraries or minutes.
LARGE_CPP = "'^(reliability|buffers-.*|govern.*|idle_pools.*|.*_ledger|real: .*|simulation_page)$'"

# Of the programs that must not notice corewise, those that need gcc alone, alone and beside others.
SMALL_SAME = "'test_idiom and gcc and not clang and (1x5 or grow)'"

# Name and shell command, in the order in which they run: builds before the suites that use them.
SMALL: list[tuple[str, str]] = [
    ("format", "tools/format.sh"),
    ("mypy", "mypy"),
    ("house", "pytest -q tests/house"),
    ("build-gcc", build("dev")),
    ("cpp", ctest("dev", "-E", LARGE_CPP)),
    ("python", "pytest -q tests/python"),
    ("cli", "pytest -q tests/cli"),
    ("same-small", f"pytest -q tests/same/test_same.py --quick -k {SMALL_SAME}"),
    ("readme", "pytest -q tests/docs -k README"),
]
LARGE: list[tuple[str, str]] = [
    # Once more, with the libraries that came after.
    ("build-large", build("dev")),
    ("cpp-large", ctest("dev", "-R", LARGE_CPP)),
    ("estimators", "pytest -q tests/estimators"),
    ("same", "pytest -q tests/same/test_same.py --quick"),
    ("bends", "pytest -q tests/same/test_bend_table.py --quick"),
    ("notebook", "pytest -q tests/notebook"),
    ("browser", "pytest -q tests/browser"),
    ("docs", "pytest -q tests/docs -k 'not README'"),
    ("site", "pytest -q tests/site"),
    ("tidy", "tools/tidy.sh"),
    # With clang, so that one build serves for the second compiler and the fuzzers too.
    ("build-asan", build("asan")),
    ("cpp-asan", ctest("asan", "-L 'unit|stubs'")),
    ("build-tsan", build("tsan")),
    ("cpp-tsan", ctest("tsan", "-L 'unit|stubs'")),
    # setup.sh leaves the compiler out where it would take the place of another package.
    ("build-arm64", where_there_is("aarch64-linux-gnu-g++", build("arm64"))),
    ("cpp-arm64", where_there_is("aarch64-linux-gnu-g++", ctest("arm64"))),
    ("fuzz", ctest("asan", "-L fuzz")),
    ("sklearn", "tests/python/run_sklearn_suite.sh"),
]
GROUPS = {"small": SMALL, "large": LARGE}
STEPS = SMALL + LARGE


def environment() -> dict[str, str]:
    env = dict(os.environ)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        env.pop(name, None)
    env["PATH"] = f"{BIN}:{env['PATH']}"
    env["COREWISE_REAL_VENV"] = str(ROOT / ".venv-real")
    env["PYTEST_TIMEOUT"] = str(PATIENCE_WITH_A_TEST)
    return env


def counts(log: str) -> tuple[int, int, int]:
    """Passed, failed and skipped that the runners in this log counted; all zero if none did."""
    passed = failed = skipped = 0
    for bad, total in re.findall(r"tests passed(?:, (\d+) tests? failed)? out of (\d+)", log):
        passed, failed = passed + int(total) - int(bad or 0), failed + int(bad or 0)
    passed -= (absent := len(re.findall(r"\*\*\*Skipped", log)))
    skipped += absent
    for line in re.findall(r"^=* ?(\d+ (?:passed|failed|skipped|error).*) in [\d.]+s", log, re.M):
        found = {
            word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", line)
        }
        passed += found.get("passed", 0)
        failed += found.get("failed", 0) + found.get("error", 0)
        skipped += found.get("skipped", 0)
    return passed, failed, skipped


def run(name: str, command: str, env: dict[str, str]) -> tuple[int, int, int]:
    log_file = LOGS / f"{name}.log"
    started = time.monotonic()
    with log_file.open("wb") as log:
        step = subprocess.Popen(
            ["bash", "-c", command],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = step.wait(PATIENCE)
        except BaseException as why:  # Ctrl-C too, which does not reach another session
            os.killpg(step.pid, signal.SIGKILL)
            code = step.wait()
            if not isinstance(why, subprocess.TimeoutExpired):
                raise
            log.write(f"\nended after {PATIENCE} s\n".encode())
    text = log_file.read_text(errors="replace")
    passed, failed, skipped = counts(text)
    if code == 0 and passed + failed + skipped == 0:
        passed = 1
    if code != 0 and failed == 0:
        failed = 1
    word = "ok  " if code == 0 else "FAIL"
    detail = f"{passed} passed, {failed} failed, {skipped} skipped"
    print(f"{word} {name:<12} {detail:<40} {time.monotonic() - started:6.1f} s", flush=True)
    if code != 0:
        print("\n".join("     | " + line for line in text.splitlines()[-60:]), flush=True)
    return passed, failed, skipped


def main() -> int:
    wanted = sys.argv[1:]
    if wanted == ["--list"]:
        print("\n".join(name for name, _ in STEPS))
        return 0
    groups = [GROUPS[word] for word in wanted if word in GROUPS]
    steps = [step for group in groups for step in group] or STEPS
    wanted = [word for word in wanted if word not in GROUPS]
    unknown = set(wanted) - {name for name, _ in steps}
    if unknown:
        print(f"run_tests: no step named {', '.join(sorted(unknown))}; see --list", file=sys.stderr)
        return 2
    LOGS.mkdir(parents=True, exist_ok=True)
    env = environment()
    totals = [0, 0, 0]
    for name, command in steps:
        if wanted and name not in wanted:
            continue
        totals = [a + b for a, b in zip(totals, run(name, command, env), strict=True)]
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] else 0


if __name__ == "__main__":
    sys.exit(main())
