"""A hook needs hardly more stack than the call that it stands for."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def small_stack(tmp_path_factory):
    built = tmp_path_factory.mktemp("small") / "small_stack"
    source = Path(__file__).parent / "small_stack.c"
    subprocess.run(["cc", "-O1", source, "-o", built, "-ldl", "-pthread"], check=True)
    return built


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other frames, other sizes")
@pytest.mark.parametrize(
    "words",
    [
        # PTHREAD_STACK_MIN; the alternate stacks are those of SIGSTKSZ.
        ["thread", "16384", "dlsym"],
        ["8192", "dlsym"],
        ["8192", "fork"],
        ["8192", "execve"],
        ["8192", "execlp"],
        ["8192", "posix_spawnp"],
    ],
    ids=" ".join,
)
def test_what_has_room_plainly_has_room_governed(program, small_stack, words):
    plain, governed = (
        subprocess.run([*start, small_stack, *words], capture_output=True, text=True, timeout=60)
        for start in ([], [program, "run", "-q", "--"])
    )
    assert plain.stdout == f"{words[-1]} ended with 0\n"
    assert (governed.stdout, governed.returncode) == (plain.stdout, plain.returncode)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="other frames, other sizes")
@pytest.mark.parametrize("size", [24, 32])
def test_a_small_main_stack(corewise, size):
    start = ["bash", "-c", f"ulimit -s {size}; exec /bin/true"]
    done = corewise("run", "-q", "--", *start)
    assert done.returncode == 0
