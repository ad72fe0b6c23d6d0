"""run becomes the program; env says the same to a shell."""

import json
import os
import shutil
import signal
import subprocess

import pytest
from conftest import CLEAN

BLAS = {
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "FLEXIBLAS_NUM_THREADS",
    "GOTO_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
}  # fmt: skip


def environment(text):
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def test_sets_what_the_runtimes_read_and_says_so(corewise):
    done = corewise("run", "--no-govern", "--openmp", "8", "--blas", "4", "--", "env")
    after = environment(done.stdout)
    assert after["OMP_NUM_THREADS"] == "8" and all(after[name] == "4" for name in BLAS)
    assert set(after) - set(CLEAN) <= BLAS | {"OMP_NUM_THREADS", "_"}
    assert done.stderr.count("\n") == 1 and "OMP_NUM_THREADS=8" in done.stderr


def test_blas_alone_leaves_openmp_alone(corewise):
    after = environment(corewise("run", "--blas", "1", "--", "env").stdout)
    assert "OMP_NUM_THREADS" not in after


def test_numba_and_numexpr(corewise):
    after = environment(corewise("run", "--numba", "2", "--numexpr", "3", "env").stdout)
    assert after["NUMBA_NUM_THREADS"] == "2"
    assert after["NUMEXPR_NUM_THREADS"] == after["NUMEXPR_MAX_THREADS"] == "3"


def test_what_would_overrule_is_removed_and_said(corewise):
    inherited = {"MKL_DOMAIN_NUM_THREADS": "MKL_BLAS=9", "OPENBLAS_NUM_THREADS": "9"}
    done = corewise("run", "--blas", "2", "--", "env", env=inherited)
    assert "MKL_DOMAIN_NUM_THREADS" not in environment(done.stdout)
    assert "removed MKL_DOMAIN_NUM_THREADS=MKL_BLAS=9" in done.stderr
    assert "OPENBLAS_NUM_THREADS=2 (was 9)" in done.stderr


def test_quiet_says_nothing(corewise):
    assert corewise("run", "-q", "--openmp", "2", "--", "true").stderr == ""


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_the_exit_code_is_the_programs(corewise, code):
    assert corewise("run", "--openmp", "2", "--", "sh", "-c", f"exit {code}").returncode == code


def test_a_signal_is_the_programs(corewise):
    done = corewise("run", "--openmp", "2", "--", "sh", "-c", "kill -SEGV $$")
    assert done.returncode == -signal.SIGSEGV


def test_it_is_the_same_process(program):
    child = subprocess.Popen(
        [program, "run", "-q", "--openmp", "2", "--", "sh", "-c", "echo $$"],
        env=CLEAN, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert int(child.communicate()[0]) == child.pid


def test_options_of_the_program_are_its_own(corewise):
    for mark in (["--"], []):
        done = corewise(
            "run", "--openmp", "2", *mark, "echo", "-q", "--json", "--openmp", "x", "--"
        )
        assert done.stdout == "-q --json --openmp x --\n"


def test_bytes_that_are_no_text_pass_through(corewise):
    done = corewise("run", "--openmp", "2", "--", "printf", "%s", b"\xff\xfe\n", text=False)
    assert done.stdout == b"\xff\xfe\n"


def test_not_found_and_cannot_start(corewise, tmp_path):
    assert corewise("run", "--openmp", "2", "--", "no-such-program-here").returncode == 127
    done = corewise("run", "--openmp", "2", "--", "/no/such/file")
    assert done.returncode == 127 and "governed" not in done.stderr
    assert corewise("run", "--openmp", "2", "--", str(tmp_path)).returncode == 126
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = corewise("run", "--openmp", "2", "--", str(script))
    assert done.returncode == 126 and "interpreter" in done.stderr


def test_json_says_it_as_json(corewise):
    words = ("--json", "--openmp", "2", "--", "true")
    said = json.loads(corewise("run", "--no-govern", *words).stderr)
    assert said == {
        "schema_version": 1, "governed": False, "budget": 0,
        "set": {"OMP_NUM_THREADS": "2"}, "remove": [], "notes": [],
    }  # fmt: skip
    said = json.loads(corewise("run", *words).stderr)
    assert said["governed"] and said["budget"] >= 1
    assert said["set"]["LD_PRELOAD"].split("/")[-1].startswith("libcorewise.so")


@pytest.mark.parametrize("option", ["--json", "--report=json"])
def test_json_holds_all_that_is_said(corewise, tmp_path, option):
    (tmp_path / "corewise.toml").write_text("[govern]\nbudget = 9999\n")
    said = json.loads(corewise("run", option, "--", "true", cwd=tmp_path).stderr)
    assert said["budget"] >= 1
    (note,) = said["notes"]
    assert "budget 9999 is above this machine: it gets" in note
    text = corewise("run", "--", "true", cwd=tmp_path).stderr
    assert f"corewise: {note}\n" in text


def test_json_says_why_a_program_is_not_governed(corewise):
    done = corewise("run", "--json", "--", "/sbin/ldconfig", "--version")
    said = json.loads(done.stderr)
    assert (said["governed"], said["budget"]) == (False, 0)
    (note,) = said["notes"]
    assert note == (
        "'/sbin/ldconfig' is statically linked and cannot be governed; corewise only sets "
        "environment variables"
    )
    quiet = corewise("run", "-q", "--json", "--", "/sbin/ldconfig", "--version")
    assert quiet.stderr == ""
    # Another rank than the first has no object either.
    text = f"corewise: warning: {note}\n"
    rank = {"OMPI_COMM_WORLD_LOCAL_SIZE": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "1"}
    done = corewise("run", "--json", "--", "/sbin/ldconfig", "--version", env=rank)
    assert done.stderr == text


@pytest.mark.parametrize(
    "shell, line, tool",
    [
        ("bash", 'eval "$({} env --shell bash {})"; env', "bash"),
        ("bash", 'eval "$({} env --shell bash {})"; env', "zsh"),
        ("fish", "{} env --shell fish {} | source; env", "fish"),
    ],
)
def test_a_shell_evaluates_the_lines(program, shell, line, tool):
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    inherited = {"BLIS_JC_NT": "2"}
    for words, expected in (("--openmp 8 --blas 4", ["8", "4"]), ("--unset", [None, None])):
        inherited |= {"OMP_NUM_THREADS": "1"}
        text = subprocess.run(
            [tool, "-c", line.format(program, words)], env=CLEAN | inherited,
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        after = environment(text)
        assert [after.get("OMP_NUM_THREADS"), after.get("MKL_NUM_THREADS")] == expected
        assert "BLIS_JC_NT" not in after


def test_csh_lines(corewise):
    lines = corewise("env", "--openmp", "3", "--shell", "csh").stdout
    assert lines == "setenv OMP_NUM_THREADS 3;\n"


@pytest.mark.parametrize(
    "shell, line", [("/usr/bin/fish", "set -gx"), ("/bin/tcsh", "setenv"), ("/bin/zsh", "export")]
)
def test_env_speaks_the_users_shell(corewise, shell, line):
    assert corewise("env", "--openmp", "2", env={"SHELL": shell}).stdout.startswith(line)


def test_env_json(corewise):
    assert json.loads(corewise("env", "--json", "--numba", "2").stdout)["set"] == {
        "NUMBA_NUM_THREADS": "2"
    }


def test_the_terminal_and_stdin_are_the_programs(corewise):
    assert corewise("run", "-q", "--openmp", "2", "--", "cat", input="hello\n").stdout == "hello\n"


@pytest.mark.parametrize("report", [[], ["--report"]])
def test_where_openmp_binds_the_program_is_told_the_mask_from_before(corewise, report):
    # A program that is linked with libgomp is bound before the agent runs.
    script = "echo $$; cat /proc/$$/stat; echo $COREWISE_LAUNCHED_ON"
    done = corewise("run", "-q", *report, "--", "sh", "-c", script, env={"OMP_PROC_BIND": "true"})
    pid, stat, told = done.stdout.splitlines()
    assert told.split()[:2] == [pid, stat.rsplit(")", 1)[1].split()[19]]
    assert told.split()[2] == ",".join(map(str, sorted(os.sched_getaffinity(0))))
    assert corewise("run", "-q", "--", "sh", "-c", script).stdout.splitlines()[2] == ""
