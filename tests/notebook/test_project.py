"""corewise.toml: what %load_ext and %threads reset make of it, and that `corewise run` reads it
alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import corewise
import pytest
from conftest import ENVIRONMENT, Kernel
from corewise import BadFile, Project, project

GOOD = '[limits]\nopenmp = 8\nblas = 4\n\n[govern]\non = true\nbudget = 1\ngroup = "mine"\n'
GOOD += 'bend = ["libmine", "libother.so"]\nweight = 40\nshare = "machine"\n'

BEND = "govern.bend: expected a list of names of libraries in quotes, without ':'"

# What stands in the file, the line that is wrong, what both readers say of it.
BAD = [
    ("[limits]\nblas = 0\n", 2, "limits.blas: expected a whole number of threads from 1 to 32768"),
    ("[limits]\n\nblas = '4'\n", 3, "limits.blas: expected a whole number"),
    ("[limits]\nblas = 4.0\n", 2, "limits.blas: expected a whole number"),
    ("[limits]\nblas = true\n", 2, "limits.blas: expected a whole number"),
    ("limits.openmp = -1\n", 1, "limits.openmp: expected a whole number"),
    ("[limits]\nopenmp = 1\nopnmp = 2\n", 3, "[limits] has no key 'opnmp': expected one of openmp"),
    ("# mine\nlimits = 4\n", 2, "expected a table [limits]"),
    (
        "[limits]\nblas = 1\n[limit]\nblas = 1\n",
        3,
        "expected the tables [limits] and [govern], not",
    ),
    ("[govern]\non = 1\n", 2, "govern.on: expected true or false"),
    ("[govern]\nbudget = 'all'\n", 2, "govern.budget: expected a number of threads above 0"),
    ("[govern]\nbudget = 0\n", 2, "govern.budget: expected a number of threads above 0"),
    ("[govern]\nbudget = nan\n", 2, "govern.budget: expected a number of threads above 0"),
    ("[govern]\nbudget = true\n", 2, "govern.budget: expected a number of threads above 0"),
    ("[govern]\ngroup = ''\n", 2, "govern.group: expected a name in quotes"),
    ("[govern]\nweight = 0\n", 2, "govern.weight: expected a whole number from 1 to 100"),
    ("[govern]\nweight = 101\n", 2, "govern.weight: expected a whole number from 1 to 100"),
    ("[govern]\nweight = 1.5\n", 2, "govern.weight: expected a whole number from 1 to 100"),
    ("[govern]\nweight = true\n", 2, "govern.weight: expected a whole number from 1 to 100"),
    ("[govern]\nshare = 'all'\n", 2, 'govern.share: expected "machine" or "user"'),
    ("[govern]\nshare = true\n", 2, 'govern.share: expected "machine" or "user"'),
    ("[govern]\nshare = ['user']\n", 2, 'govern.share: expected "machine" or "user"'),
    ("[govern]\nbend = 'libmine'\n", 2, BEND),
    ("[govern]\n\nbend = ['libmine', '']\n", 3, BEND),
    ("[govern]\nbend = ['libmine:libother']\n", 2, BEND),
    ("[govern]\nbend = [1]\n", 2, BEND),
    ("[govern]\nbend = [['libmine']]\n", 2, BEND),
    ("[govern]\nbend = true\n", 2, BEND),
    ('[govern]\nbend = ["lib\\u0000mine"]\n', 2, BEND),
    ("[limits]\nblas = 4\nblas = 5\n", 3, ""),
    ("[limits\nblas = 4\n", 1, ""),
    ("[limits]\nblas =\n", 2, ""),
]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "corewise", "run", *words]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=60
    )


needs_tool = pytest.mark.skipif(
    subprocess.run([sys.executable, "-m", "corewise", "--version"], capture_output=True).returncode
    != 0,
    reason="the wheel was built without the command line tool",
)


def test_the_nearest_file_counts(tmp_path: Path) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    file = tmp_path / "corewise.toml"
    file.write_text(GOOD)
    bend = ("libmine", "libother.so")
    said = Project(str(file), {"openmp": 8, "blas": 4}, True, 1, "mine", bend, 40, "machine")
    assert project(below) == project(tmp_path) == said
    (below / "corewise.toml").write_text("")
    assert project(below) == Project(str(below / "corewise.toml"), {}, None, None, None)
    file.unlink()
    assert project(tmp_path) is None


@needs_tool
def test_an_empty_file_and_a_byte_order_mark_say_nothing(tmp_path: Path) -> None:
    for bytes_ in (b"", b"\xef\xbb\xbf[govern]\nbudget = 1\n"):
        (tmp_path / "corewise.toml").write_bytes(bytes_)
        found = project(tmp_path)
        assert found is not None and found.budget == (1 if bytes_ else None)
        done = run(tmp_path, "--", "echo", "started")
        assert done.stdout == "started\n" and done.returncode == 0


def test_a_working_directory_that_was_removed_has_no_file(kernel: Kernel, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    kernel("%unload_ext corewise")
    kernel(f"import os; os.mkdir({str(gone)!r}); os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})")
    cell = kernel("%load_ext corewise")
    assert cell.error == "" and kernel("corewise.project()").result == ""
    assert "which was removed" in kernel("%threads reset").text
    kernel(f"os.chdir({str(tmp_path)!r})")


@pytest.mark.parametrize(("text", "line", "what"), BAD)
def test_bad_files_name_file_line_and_what_was_expected(
    tmp_path: Path, text: str, line: int, what: str
) -> None:
    (tmp_path / "corewise.toml").write_text(text)
    with pytest.raises(BadFile) as failed:
        project(tmp_path)
    assert str(failed.value).startswith(f"{tmp_path}/corewise.toml:{line}: {what}")


@needs_tool
@pytest.mark.parametrize(("text", "line", "what"), BAD)
def test_the_command_line_says_the_same(tmp_path: Path, text: str, line: int, what: str) -> None:
    (tmp_path / "corewise.toml").write_text(text)
    done = run(tmp_path, "--", "touch", "started")
    assert done.returncode == 2 and not (tmp_path / "started").exists()
    assert f"run: {tmp_path}/corewise.toml:{line}: {what}" in done.stderr


# What stands there in place of a file that can be understood; what Python says of it.
STRANGE = [
    (b"\n\n# caf\xe9\n", ":3: expected UTF-8"),
    (b"[limits]\nblas = " + b"[" * 100_000, ": cannot be read: "),
    (b"[limits]\nblas = " + b"9" * 5_000, ": cannot be read: "),
    ("folder", ": expected a file"),
    ("link", ": expected a file"),
    ("pipe", ": expected a file"),
]


@pytest.mark.parametrize(("found", "what"), STRANGE)
def test_what_is_no_such_file_is_refused(tmp_path: Path, found: bytes | str, what: str) -> None:
    file = tmp_path / "corewise.toml"
    match found:
        case "folder":
            file.mkdir()
        case "link":
            file.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(file)
        case bytes():
            file.write_bytes(found)
    with pytest.raises(BadFile) as failed:
        project(tmp_path)
    assert str(failed.value).startswith(f"{file}{what}")


@needs_tool
@pytest.mark.parametrize(("found", "what"), STRANGE)
def test_nor_does_run_start_with_it(tmp_path: Path, found: bytes | str, what: str) -> None:
    test_what_is_no_such_file_is_refused(tmp_path, found, what)
    done = run(tmp_path, "--", "touch", "started")
    assert done.returncode == 2 and not (tmp_path / "started").exists()
    line = what if isinstance(found, str) else ":3: " if b"caf" in found else ":2: "
    assert f"run: {tmp_path}/corewise.toml{line}" in done.stderr


@needs_tool
def test_a_budget_above_the_machine_is_said_and_the_lower_holds(tmp_path: Path) -> None:
    """A file in a shared repository goes to smaller machines too."""
    (tmp_path / "corewise.toml").write_text("[govern]\nbudget = 9999\n")
    done = run(tmp_path, "--", "true")
    assert done.returncode == 0 and "corewise: governed, budget " in done.stderr
    says = f"corewise: {tmp_path}/corewise.toml: budget 9999 is above this machine: it gets "
    assert done.stderr.count(says) == 1 and done.stderr.count("\n") == 2
    # What it starts is not told again.
    nested = run(tmp_path, "--", sys.executable, "-m", "corewise", "run", "--", "true")
    assert nested.returncode == 0 and nested.stderr.count("is above this machine") == 1


@needs_tool
def test_run_takes_defaults_and_the_command_line_wins(tmp_path: Path) -> None:
    (tmp_path / "corewise.toml").write_text(GOOD)
    below = tmp_path / "below"
    below.mkdir()
    done = run(below, "--openmp", "3", "--", "env")
    after = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert after["COREWISE_SHARE"] == "machine"
    assert after["OMP_NUM_THREADS"] == "3" and after["OPENBLAS_NUM_THREADS"] == "4"
    assert after["COREWISE_BUDGET"] == "1" and after["COREWISE_GROUP"] == "mine"
    assert after["COREWISE_BEND"] == "libmine:libother.so"
    assert "governed, budget 1" in done.stderr and f"({tmp_path}/corewise.toml)" in done.stderr
    (tmp_path / "corewise.toml").write_text("[limits]\nblas = 1\narrow = 2\n[govern]\non = false\n")
    done = run(below, "--", "env")
    assert "OPENBLAS_NUM_THREADS=1" in done.stdout and "COREWISE_GOVERN" not in done.stdout
    (tmp_path / "corewise.toml").write_text("[govern]\non = false\n")
    done = run(below, "--", "env")
    assert done.returncode == 0 and "COREWISE_GOVERN" not in done.stdout
    assert done.stderr == f"corewise: not governed ({tmp_path}/corewise.toml)\n"


@needs_tool
@pytest.mark.parametrize("own", ["libown", ""])
def test_libraries_that_bend_in_the_environment_win(tmp_path: Path, own: str) -> None:
    (tmp_path / "corewise.toml").write_text(GOOD)
    command = [sys.executable, "-m", "corewise", "run", "--", "env"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=ENVIRONMENT | {"COREWISE_BEND": own},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert f"COREWISE_BEND={own}\n" in done.stdout


@needs_tool
def test_a_library_that_no_process_loads_is_said(tmp_path: Path) -> None:
    (tmp_path / "corewise.toml").write_text('[govern]\nbend = ["libmine", "libc.so"]\n')
    # The shell does not load NumPy, and its child does.
    words = ["--report", "--", "sh", "-c", f"{sys.executable} -c 'import numpy'; true"]
    said = "COREWISE_BEND names 'libmine', which matches no library that was loaded"
    assert run(tmp_path, *words).stderr.count(f"Finding: {said}\n") == 1
    (tmp_path / "corewise.toml").write_text('[govern]\nbend = ["/libscipy_openblas"]\n')
    assert "COREWISE_BEND" not in run(tmp_path, *words).stderr


def test_a_notebook_begins_with_its_folders_limits(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "corewise.toml").write_text("[limits]\nopenmp = 3\nblas = 1\n")
    kernel("%unload_ext corewise")
    said = kernel("%load_ext corewise").text
    assert said == f"corewise: openmp=3 blas=1 ({tmp_path}/corewise.toml)\n"
    assert kernel("now()").result == "[['blas', 1], ['blas', 1], ['openmp', 3]]"
    kernel("%threads off")
    assert kernel("now()").result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"
    kernel("%threads reset")
    assert kernel("now()").result == "[['blas', 1], ['blas', 1], ['openmp', 3]]"


def test_on_a_smaller_machine_its_own_budget_holds(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    file.write_text("[limits]\nopenmp = 3\n[govern]\non = true\nbudget = 4096\n")
    kernel("%unload_ext corewise")
    said = kernel("%load_ext corewise").text
    own = f"{corewise.budget().cpus:.4g}"
    assert said.startswith(
        f"corewise: {file}: budget 4096 is above this machine: it gets {own} CPU"
    )
    assert f"\ncorewise: openmp=3, governed, budget {corewise.budget().floor} ({file})\n" in said
    kernel("%govern off")


def test_limits_end_if_the_file_cannot_govern(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    file.write_text("[limits]\nopenmp = 3\n[govern]\non = true\nbudget = 2\n")
    kernel("corewise.govern(1)")
    said = kernel("%threads reset").text
    kernel("corewise.ungovern()")
    assert f"{file}: this process is governed already" in said
    assert kernel("now()").result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"


def test_a_bad_file_is_said_and_nothing_of_it_applied(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    for text, what in (
        ("[limits]\nopenmp = 3\nblas = 'x'\n", f"{file}:3: limits.blas: expected"),
        ("[limits]\nblas = 1000\n", f"{file}: "),
    ):
        file.write_text(text)
        kernel("%unload_ext corewise")
        cell = kernel("%load_ext corewise")
        assert what in cell.text and "nothing of it was applied" in cell.text
        assert ".;" not in cell.text
        assert what in kernel("%threads reset").text
        assert kernel("now()").result == "[['blas', 2], ['blas', 2], ['openmp', 2]]"
        assert kernel("corewise.govern_report()['governed']").result == "False"


def test_governing_from_the_file(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "corewise.toml").write_text("[govern]\non = true\nbudget = 1\n")
    assert "governed, budget 1" in kernel("%threads reset").text
    assert kernel("corewise.govern_report()['budget']").result == "1"


def test_what_bends_in_a_notebook(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    bending = "[b['why'] for b in corewise.govern_report()['bending'] if 'libgomp' in b['path']]"
    set_now = "import os; os.environ.get('COREWISE_BEND')"
    kernel("%govern on 1")
    file.write_text('[govern]\non = true\nbudget = 1\nbend = ["libgomp", "libnone"]\n')
    assert "bends: libgomp, libnone" in kernel("%threads reset").text
    # Also in libraries that were looked at before, and in the children to come.
    assert kernel(bending).result == "['COREWISE_BEND']"
    assert kernel(set_now).result == "'libgomp:libnone'"
    said = kernel("%govern").shown[0]["text/plain"]
    assert "names 'libnone', which matches no library" in said and "libgomp'" not in said
    file.write_text("[govern]\non = true\nbudget = 1\nbend = ['a:b']\n")
    assert "without ':'" in kernel("%threads reset").text
    assert kernel(set_now).result == "'libgomp:libnone'"
    file.write_text("[govern]\non = true\nbudget = 1\n")
    kernel("%threads reset")
    assert kernel(bending).result == "[]" and kernel(set_now).result == ""
    # What somebody else set stays.
    kernel("os.environ['COREWISE_BEND'] = 'libother'")
    file.write_text('[govern]\non = true\nbudget = 1\nbend = ["libgomp"]\n')
    assert "bends:" not in kernel("%threads reset").text
    kernel("%unload_ext corewise")
    assert kernel(set_now).result == "'libother'"
    kernel("del os.environ['COREWISE_BEND']")


def test_the_weight_of_a_notebook(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    weight_now = "import os; os.environ.get('COREWISE_WEIGHT')"
    file.write_text("[govern]\nweight = 40\n")
    kernel("%threads reset")
    assert kernel(weight_now).result == "'40'"
    # A file that cannot be applied changes nothing.
    file.write_text("[govern]\non = true\nbudget = 2\nweight = 50\n")
    kernel("corewise.govern(1)")
    assert f"{file}: " in kernel("%threads reset").text
    assert kernel(weight_now).result == "'40'"
    kernel("corewise.ungovern()")
    file.unlink()
    kernel("%threads reset")
    assert kernel(weight_now).result == ""
    # What somebody else set stays.
    kernel("os.environ['COREWISE_WEIGHT'] = '7'")
    file.write_text("[govern]\nweight = 40\n")
    kernel("%threads reset")
    assert kernel(weight_now).result == "'7'"
    kernel("del os.environ['COREWISE_WEIGHT']")


def test_the_share_of_a_notebook(kernel: Kernel, tmp_path: Path) -> None:
    file = tmp_path / "corewise.toml"
    share_now = "import os; os.environ.get('COREWISE_SHARE')"
    for end in ("%threads reset", "%unload_ext corewise"):
        file.write_text('[govern]\nshare = "machine"\n')
        kernel("%threads reset")
        assert kernel(share_now).result == "'machine'"
        file.unlink()
        kernel(end)
        assert kernel(share_now).result == ""


@pytest.mark.parametrize("after", ["[govern]\non = false\n", "", None])
def test_governing_that_the_file_began_ends_with_it(
    kernel: Kernel, tmp_path: Path, after: str | None
) -> None:
    file = tmp_path / "corewise.toml"
    governed_now = "corewise.govern_report()['governed']"
    file.write_text("[govern]\non = true\nbudget = 1\n")
    kernel("%threads reset")
    assert kernel(governed_now).result == "True"
    if after is None:
        file.unlink()
    else:
        file.write_text(after)
    said = kernel("%threads reset").text
    assert kernel(governed_now).result == "False" and "governed, " not in said
    if after is not None:
        what = "not governed" if after else "nothing to apply"
        assert said == f"corewise: {what} ({file})\n"


def test_governing_of_ones_own_ends_only_where_the_file_says_so(
    kernel: Kernel, tmp_path: Path
) -> None:
    file = tmp_path / "corewise.toml"
    governed_now = "corewise.govern_report()['governed']"
    file.write_text("[govern]\non = true\nbudget = 1\n")
    kernel("%threads reset\n%govern on 1")
    file.write_text("[limits]\nblas = 2\n")
    assert kernel("%threads reset").text == f"corewise: blas=2 ({file})\n"
    assert kernel(governed_now).result == "True"
    file.write_text("[govern]\non = false\n")
    kernel("%threads reset")
    assert kernel(governed_now).result == "False"


def test_the_words_are_those_of_limits() -> None:
    from corewise._limits import APIS

    assert corewise.limits.__init__.__kwdefaults__.keys() == set(APIS)
