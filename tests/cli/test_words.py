"""Help, misspelt words, bad counts, and where words go."""

import json
import shutil
import subprocess

import pytest
from conftest import CLEAN

COMMANDS = [
    "info",
    "budget",
    "plan",
    "doctor",
    "run",
    "limit",
    "govern",
    "top",
    "record",
    "env",
    "completion",
]


def test_without_words_shows_help_and_is_a_usage_error(corewise):
    done = corewise()
    assert done.returncode == 2 and "Usage: corewise COMMAND" in done.stdout


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_version(corewise, flag):
    assert corewise(flag).stdout.startswith("corewise 0.")


@pytest.mark.parametrize("command", ["run", "env"])
def test_options_that_are_refused_are_not_offered(corewise, command):
    said = corewise(command, "--help").stdout
    assert "--blas" in said and "--tbb" not in said and "--arrow" not in said


def test_a_command_quoted_as_one_word(corewise):
    done = corewise("run", "echo hello there")
    assert done.returncode == 127 and "'echo hello there' was not found" in done.stderr
    assert "do not quote the command and its arguments together" in done.stderr
    assert ": -- echo hello there\n" in done.stderr
    assert "PATH" in corewise("run", "no-such-thing hello").stderr


@pytest.mark.parametrize("command", ["run", "doctor", "record"])
def test_a_script_is_no_command(corewise, tmp_path, command):
    (tmp_path / "km.py").write_text("")
    for script in ("km.py", "./km.py"):
        done = corewise(command, script, "a b", cwd=tmp_path)
        assert done.returncode in (126, 127)
        assert f"hint: did you mean: corewise {command} -- python {script} 'a b'\n" in done.stderr
    assert "PATH" in corewise(command, "none.py", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    "words, says",
    [
        (
            ["env", "--blas", "2", "--shell", "ksh"],
            "takes bash, zsh, sh, fish, csh or tcsh, not 'ksh'",
        ),
        (["record", "--format", "pdf", "--", "true"], "takes html or perfetto, not 'pdf'"),
        (["info", "--color", "red"], "takes auto, always or never, not 'red'"),
    ],
)
def test_what_is_no_choice_names_the_choices(corewise, words, says):
    done = corewise(*words)
    assert done.returncode == 2 and says in done.stderr


def test_zsh_is_a_shell(corewise):
    lines = corewise("env", "--openmp", "2", "--shell", "zsh").stdout
    assert lines == corewise("env", "--openmp", "2", "--shell", "bash").stdout


def test_the_man_page_is_shown_from_where_it_was_installed(corewise, program, tmp_path):
    done = corewise("help", "--man")
    assert done.returncode == 1 and "corewise help COMMAND" in done.stderr
    for folder in ("bin", "share/man/man1", "tools"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(program, tmp_path / "bin/corewise")
    page = tmp_path / "share/man/man1/corewise.1"
    page.write_text(".TH corewise 1")
    run = [tmp_path / "bin/corewise", "help", "--man"]
    done = subprocess.run(run, env=CLEAN | {"PATH": "/none"}, capture_output=True, text=True)
    assert done.returncode == 127 and f"or read {page}" in done.stderr
    (tmp_path / "tools/man").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "tools/man").chmod(0o755)
    env = CLEAN | {"PATH": f"{tmp_path}/tools:/bin"}
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"-l {page}\n")


def test_the_man_page_of_an_environment_that_a_wheel_was_installed_into(program, tmp_path):
    inside = tmp_path / "lib/python3.12/site-packages/corewise/bin"
    inside.mkdir(parents=True)
    shutil.copy(program, inside / "corewise")
    page = tmp_path / "share/man/man1/corewise.1"
    page.parent.mkdir(parents=True)
    page.write_text(".TH corewise 1")
    run = [inside / "corewise", "help", "--man"]
    done = subprocess.run(run, env=CLEAN | {"PATH": "/none"}, capture_output=True, text=True)
    assert done.returncode == 127 and f"or read {page}" in done.stderr


@pytest.mark.parametrize("command", ["run", "doctor", "record"])
def test_a_command_that_is_not_there_is_told_alike(corewise, command, tmp_path):
    done = corewise(command, "--", "no-such-program", cwd=tmp_path)
    assert done.returncode == 127
    assert done.stderr == (
        f"corewise: error: {command}: 'no-such-program' was not found\n"
        "hint: is its folder in PATH?\n"
    )


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("words", [["{}", "--help"], ["{}", "-h"], ["help", "{}"]])
def test_each_command_has_help_with_an_example(corewise, command, words):
    done = corewise(*(word.format(command) for word in words))
    assert done.returncode == 0 and done.stderr == ""
    assert "Example:\n  " in done.stdout and f"corewise {command}" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(
    "words, hint",
    [
        (["inof"], "did you mean `corewise info`?"),
        (["rnu", "--", "ls"], "did you mean `corewise run`?"),
        (["help", "completoin"], "did you mean `corewise completion`?"),
        (["zzzzzz"], "lists the commands"),
        (["info", "--jsn"], "did you mean --json?"),
        (["info", "--pyhton", "x"], "did you mean --python?"),
        (["run", "--opnemp", "3", "--", "ls"], "did you mean --openmp?"),
        (["info", "4711"], "did you mean: corewise info --pid 4711"),
        (["limit", "--pid", "1", "openmp=8"], "did you mean: --openmp 8"),
        (["env", "blas=4"], "did you mean: --blas 4"),
        (["plan", "processes=2"], "did you mean: --processes 2"),
        (
            ["info", "numpy"],
            "unexpected argument 'numpy'\nhint: did you mean: corewise info -i numpy",
        ),
        (["budget", "numpy"], "has an example"),
        (["--json"], "no command given\nhint: `corewise --help` lists the commands"),
        (["-i", "numpy"], "no command given\nhint: did you mean: corewise info -i numpy"),
        (["-q", "--pid=4711"], "did you mean: corewise info -q --pid=4711"),
        (["--nonsense", "numpy"], "no option '--nonsense'\nhint: `corewise --help` lists"),
        (["--colour", "never"], "no option '--colour'\nhint: did you mean --color?"),
        (["--"], "no command given"),
        (["plan", "-"], "`corewise plan --help` lists the options"),
        (["plan", "--processes"], "plan: --processes takes one value: N\n"),
        (["info", "-i"], "info: --import takes MODULE...\n"),
        (["budget", "--cap", "1", "--cap", "2"], "budget: --cap takes one value: CPUS\n"),
        (["run", "--weight", "0", "--", "ls"], "--weight takes a whole number from 1 to 100, not"),
        (["run", "--seed", "-1", "--", "ls"], "--seed takes a whole number from 0 to 4294967295"),
        (
            ["env", "--shell", "ksh"],
            "env: --shell takes bash, zsh, sh, fish, csh or tcsh, not 'ksh'\n",
        ),
        (["govern"], "govern: --pid is missing\n"),
        (["govern", "--pid", "x"], "--pid takes the number of a process, not 'x'"),
        (["budget", "--cap", "99999"], "budget: --cap: a budget of 99999 CPUs is above the"),
        (["info", "--color", "blue"], "lists the options"),
        (["--color", "sometimes"], "error: --color takes auto, always or never, not 'sometimes'\n"),
        (["--color"], "error: --color takes one value: auto|always|never\n"),
        (["help", "run", "extra"], "help: unexpected argument 'extra'\n"),
        (["help", "--man", "run"], "help: unexpected argument 'run'\n"),
        (["budget", "8"], "did you mean: corewise budget --cap 8\n"),
        (["completion", "tcsh"], "error: completion takes bash, zsh or fish, not 'tcsh'\n"),
        (["completion"], "bash|zsh|fish"),
        (["completion", "--shell", "zsh"], "did you mean: corewise completion bash|zsh|fish"),
        (["help", "--json"], "help: there is no option '--json'\nhint: `corewise help --help`"),
        (["budget", "--cap", "99999999999999999999"], "a budget of that many CPUs is above"),
        (["info", "-i", "numpy", "--pid", "1"], ""),
        (["info", "--python", "python3"], ""),
        (["run", "--openmp", "2"], "after --"),
        (["run", "--no-govern", "--", "ls"], "--openmp N"),
        (["run", "--no-govern", "--budget", "2", "--", "ls"], "--no-govern"),
        (["run", "--budget", "0", "--", "ls"], "above 0"),
        (["run", "--budget", "-1", "--", "ls"], "--budget"),
        (["run", "--budget", "nan", "--", "ls"], "--budget"),
        (["run", "--budget", "two", "--", "ls"], "error: run: --budget: 'two' is not a number"),
        (
            ["run", "--budget", "99999", "--", "ls"],
            "--budget: a budget of 99999 CPUs is above the machine",
        ),
        (["run", "--report=xml", "--", "ls"], "lists the options"),
        (["run", "--openmp", "2", "--", ""], "after --"),
        (["env"], "--openmp N"),
        (["env", "--unset", "--blas", "2"], "removes every"),
        (["run", "--tbb", "2", "--", "ls"], "oneTBB reads no environment variable"),
        (["env", "--arrow", "2"], "use --openmp"),
        (["run", "--group", "", "--", "ls"], "--group takes a name"),
        (["budget", "--cpa", "2"], "did you mean --cap?"),
        (["plan", "--env", "--json"], ""),
        (["plan", "--shell", "fish"], ""),
        (["plan", "--python", "python3"], ""),
        (["plan", "--procesess", "2"], "did you mean --processes?"),
        (["doctor", "-i", "numpy", "--pid", "1"], ""),
        (["doctor", "--pid", "1", "--", "true"], ""),
        (["doctor", "--python", "python3"], ""),
    ],
)
def test_usage_errors_say_what_is_right(corewise, words, hint):
    done = corewise(*words)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("corewise: error: ") and hint in done.stderr


@pytest.mark.parametrize(
    "count", ["0", "-1", "1.5", "many", "", " 2", "+2", "32769", "9" * 40, "2x", "0x2", "٣"]
)
@pytest.mark.parametrize("command", ["run", "env", "plan"])
def test_bad_counts_start_nothing(corewise, tmp_path, command, count):
    witness = tmp_path / "started"
    tail = ["--", "touch", str(witness)] if command == "run" else []
    done = corewise(command, "--openmp", "2", "--blas", count, *tail)
    assert done.returncode == 2 and not witness.exists() and done.stdout == ""
    assert "--blas" in done.stderr


@pytest.mark.parametrize("word", ["--help", "-h"])
def test_help_has_help(corewise, word):
    done = corewise("help", word)
    assert (done.returncode, done.stdout, done.stderr) == (0, corewise("--help").stdout, "")


def test_shared_options_may_stand_before_the_command(corewise):
    assert json.loads(corewise("--json", "info").stdout)["schema_version"] == 1


@pytest.mark.parametrize("words", [["info"], ["--help"], ["completion", "bash"]])
def test_a_reader_that_leaves_is_no_error_to_report(program, words):
    for ignored in ("", "trap '' PIPE; "):
        line = f"{ignored}'{program}' {' '.join(words)} | true; exit ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], env=CLEAN, capture_output=True, text=True)
        assert done.stderr == "" and done.returncode in (0, 1, 141)


def test_head_gets_its_line(program):
    done = subprocess.run(f"'{program}' info | head -1", shell=True, env=CLEAN, capture_output=True)
    assert done.stdout == b"This machine\n" and done.stderr == b""


def test_a_full_disk_is_said(program):
    with open("/dev/full", "w") as full:
        done = subprocess.run([program, "info"], env=CLEAN, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1 and b"No space left" in done.stderr


def test_closed_streams_do_not_hang_or_crash(program):
    done = subprocess.run(f"'{program}' info >&- 2>&- <&-", shell=True, env=CLEAN)
    assert done.returncode in (0, 1)


def test_words_are_shown_without_their_control_characters(corewise):
    done = corewise("\x1b[31mred\nline")
    assert "\x1b" not in done.stderr and "\\x1b[31mred\\nline" in done.stderr
