"""The weight of a program: what the command line, corewise.toml and the environment make of it."""

import json

import pytest


def weight(corewise, *words, env=None, cwd=None):
    done = corewise(
        "run", "-q", *words, "--", "sh", "-c", "echo $COREWISE_WEIGHT", env=env, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_command_line_wins_then_the_environment_then_the_file(corewise, tmp_path):
    (tmp_path / "corewise.toml").write_text("[govern]\nweight = 20\n")
    assert weight(corewise, cwd=tmp_path) == "20"
    assert weight(corewise, cwd=tmp_path, env={"COREWISE_WEIGHT": "30"}) == "30"
    both = {"COREWISE_WEIGHT": "30"}
    assert weight(corewise, "--weight", "40", cwd=tmp_path, env=both) == "40"
    assert weight(corewise) == ""


@pytest.mark.parametrize("bad", ["0", "-1", "101", "1.5", "many", ""])
def test_bad_weights_are_refused(corewise, bad):
    done = corewise("run", f"--weight={bad}" if bad else "--weight", *([] if bad else [""]), "true")
    assert done.returncode == 2 and "--weight" in done.stderr


def test_it_is_about_governing(corewise):
    done = corewise("run", "--no-govern", "--weight", "40", "--", "true")
    assert done.returncode == 2 and "--weight" in done.stderr


@pytest.mark.parametrize("bad", ["0", "101", "many", "1e1"])
def test_a_bad_variable_is_a_finding(corewise, bad):
    done = corewise("run", "--report=json", "--", "true", env={"COREWISE_WEIGHT": bad})
    (finding,) = json.loads(done.stderr.splitlines()[-1])["findings"]
    assert "COREWISE_WEIGHT" in finding and f"'{bad}'" in finding and "ignored" in finding
