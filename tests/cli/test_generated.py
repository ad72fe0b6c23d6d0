"""What is made from the table of commands: completion and the man page."""

import shutil
import subprocess

import pytest
from conftest import CLEAN, ROOT, need


@pytest.fixture
def scripts(corewise, tmp_path):
    for shell in ("bash", "zsh", "fish"):
        (tmp_path / shell).write_text(corewise("completion", shell).stdout)
    return tmp_path


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_can_read_its_script(scripts, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([shell, "-n", scripts / shell], check=True)


CASES = [
    ("corewise in", {"info"}),
    ("corewise info --pyt", {"--python"}),
    ("corewise --color a", {"auto", "always"}),
    ("corewise info --color a", {"auto", "always"}),
    ("corewise env --shell f", {"fish"}),
    ("corewise plan --shell f", {"fish"}),
    ("corewise doctor --rec", {"--recorded"}),
    ("corewise doctor -- unam", {"uname"}),
    ("corewise completion z", {"zsh"}),
    ("corewise run --openmp 2 -- unam", {"uname"}),
]


@need("bash")
@pytest.mark.parametrize("line, words", CASES)
def test_bash_completes(scripts, line, words):
    typed = line.split(" ")
    script = (
        f"source '{scripts}/bash'; COMP_WORDS=({' '.join(typed)}); COMP_CWORD={len(typed) - 1};"
        " _corewise; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", script], env=CLEAN, capture_output=True, text=True
    )
    expected = words if "--color a" not in line or "info" in line else set(done.stdout.split())
    assert set(done.stdout.split()) == expected and done.stderr == ""


@need("fish")
@pytest.mark.parametrize("line, words", [case for case in CASES if case[0] != "corewise --color a"])
def test_fish_completes(scripts, program, line, words):
    env = CLEAN | {"PATH": f"{program.parent}:{CLEAN['PATH']}", "HOME": str(scripts)}
    done = subprocess.run(
        ["fish", "-c", f"source '{scripts}/fish'; complete -C '{line}'"],
        env=env, capture_output=True, text=True,
    )  # fmt: skip
    assert words <= {row.split("\t")[0] for row in done.stdout.splitlines()}


@need("zsh")
def test_zsh_registers_its_function(scripts):
    (scripts / "_corewise").write_text((scripts / "zsh").read_text())
    script = (
        f"fpath=('{scripts}' $fpath); autoload -Uz compinit; compinit -u -D; echo $_comps[corewise]"
    )
    done = subprocess.run(["zsh", "-f", "-c", script], env=CLEAN, capture_output=True, text=True)
    assert done.stdout.strip() == "_corewise"


def test_the_man_page_has_not_drifted(corewise):
    assert (ROOT / "docs/man/corewise.1.scd").read_text() == corewise("manual").stdout


@need("scdoc")
def test_the_man_page_is_built_from_its_source(corewise):
    made = subprocess.run(
        ["scdoc"], input=corewise("manual").stdout, env=CLEAN | {"SOURCE_DATE_EPOCH": "0"},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    # The first line names the version of scdoc.
    kept = (ROOT / "docs/man/corewise.1").read_text()
    assert made.split("\n", 1)[1] == kept.split("\n", 1)[1]


def test_every_option_is_in_the_man_page(corewise):
    page = corewise("manual").stdout
    for command in ("info", "budget", "plan", "doctor", "run", "env", "completion"):
        for line in corewise(command, "--help").stdout.splitlines():
            if line.startswith("  -"):
                assert line.split("  ")[1].replace("_", "\\_") in page
