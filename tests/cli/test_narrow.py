"""Every screen in 40 columns: it is folded between words, and nothing is lost."""

import re
import shlex

import pytest
from conftest import CLEAN, RECORDED, need
from terminal import Terminal
from test_words import COMMANDS

NARROW = 40
PROCESSES = sorted(path.name for path in RECORDED.iterdir() if path.is_dir())
SCREENS = [
    ("info",),
    ("plan",),
    ("plan", "--processes", "2", "--openmp", "1", "--blas", "1", "--cap", "2"),
    ("budget", "--cap", "1"),
    ("doctor", "--last"),
    ("top", "--once"),
    ("run", "--try-bend", "libnone", "--tries", "1", "--", "true"),
    ("--help",),
    *((name, "--help") for name in COMMANDS),
    *(("info", "--recorded", str(RECORDED / each)) for each in PROCESSES),
    *(("doctor", "--recorded", str(RECORDED / each)) for each in PROCESSES),
]
# Each ends with a message: an error, mostly with a hint, or what the command is about to do.
MESSAGES = [
    ("nosuch",),
    ("-i", "numpy"),
    ("info", "numpy"),
    ("info", "--pid", "0"),
    ("limit", "--pid", "1"),
    ("limit", "--blas", "2"),
    ("govern", "--off"),
    ("plan", "--env", "--json"),
    ("top", "--interval", "x"),
    ("doctor", "--", "./no-such-program-is-here"),
    ("run", "--", "./no-such-program-is-here"),
    ("run", "--budget", "many", "--", "true"),
    ("run", "--openmp", "2", "--blas", "1", "--", "true"),
    ("record", "--pid", "x"),
    ("env", "--openmp", "0"),
    ("completion", "tcsh"),
]


def too_wide(text):
    """Lines that are wider though they could be folded: not a single path behind "warning"."""
    heading = len("warning  ")
    lines = (line.removesuffix(" \\").rstrip() for line in text.splitlines())
    return [line for line in lines if len(line) > NARROW and line.rfind(" ") >= heading]


@pytest.mark.parametrize("words", SCREENS, ids=" ".join)
def test_a_screen(corewise, tmp_path, words):
    env = {"XDG_STATE_HOME": str(tmp_path), "COLUMNS": str(NARROW)}
    done = corewise(*words, env=env)
    said = done.stdout + done.stderr
    assert said and too_wide(said) == []


@need("tmux")
@pytest.mark.parametrize("words", MESSAGES, ids=" ".join)
def test_a_message_on_a_terminal(corewise, program, words):
    said = corewise(*words, stdin=None).stderr
    assert max(map(len, said.splitlines())) > NARROW, "this one shows nothing"
    opened = Terminal(f"{shlex.join([str(program), *words])}; echo ended", CLEAN, NARROW, 40)
    try:
        screen = opened.wait("ended").rpartition("ended")[0]
    finally:
        opened.close()
    # A terminal would break words at its edge.
    assert screen.split() == said.split()


def test_a_pipe_gets_each_message_as_one_line(corewise):
    assert len(corewise("limit", "--blas", "2").stderr.splitlines()) == 2


def test_an_example_can_be_copied(corewise):
    wide, narrow = (
        corewise("record", "--help", env={"COLUMNS": columns}).stdout.partition("\nExample:\n")[2]
        for columns in ("80", str(NARROW))
    )
    assert "\\\n" in narrow and len(narrow.splitlines()) > len(wide.splitlines())
    unfolded = re.sub(r" \\\n +", " ", narrow)
    assert [shlex.split(line) for line in unfolded.splitlines()] == [
        shlex.split(line) for line in wide.splitlines()
    ]
