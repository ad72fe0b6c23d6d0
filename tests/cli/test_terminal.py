"""A real terminal, by tmux: width, colour, progress."""

import shlex
import sys

import pytest
from conftest import CLEAN, RECORDED, need
from terminal import Terminal

pytestmark = need("tmux")
SHOW = ["info", "--recorded", str(RECORDED / "plain")]


@pytest.fixture
def terminal():
    """Runs a line in a terminal of some width; gives its screen, escapes included."""

    def run(line, columns=100, env=None, watch="the line has ended"):
        settings = " ".join(f"{k}={shlex.quote(v)}" for k, v in (env or {}).items())
        shell = f"env {settings} sh -c {shlex.quote(line)}; echo 'the line has' ended"
        opened = Terminal(shell, CLEAN, columns, 40)
        try:
            return opened.wait(watch, escapes=True)
        finally:
            opened.close()

    return run


def line(program, *words):
    return shlex.join([str(program), *words])


def test_colour_and_width_of_a_terminal(terminal, program):
    screen = terminal(line(program, *SHOW), columns=120)
    assert "\x1b[1m" in screen and "LIBRARY" in screen
    assert "LIBRARY" not in terminal(line(program, *SHOW), columns=70)


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_no_colour_where_it_is_not_wanted(terminal, program, env):
    assert "\x1b[" not in terminal(line(program, *SHOW), env=env)


def test_an_empty_no_color_means_nothing(terminal, program):
    assert "\x1b[1m" in terminal(line(program, *SHOW), env={"NO_COLOR": ""})


def test_never_and_always(terminal, program, corewise):
    assert "\x1b[" not in terminal(line(program, *SHOW, "--color", "never"))
    assert "\x1b[1m" in corewise(*SHOW, "--color=always").stdout
    assert "\x1b[" not in corewise(*SHOW).stdout


def test_a_slow_import_shows_progress(terminal, program, tmp_path):
    (tmp_path / "slow.py").write_text("import time; time.sleep(6)\n")
    words = ["info", "-i", "slow", "--python", sys.executable]
    env = {"PYTHONPATH": str(tmp_path)}
    assert "importing slow ..." in terminal(line(program, *words), env=env, watch="importing slow")
    after = terminal(line(program, *words), env=env)
    assert "importing" not in after and "No thread pools" in after
