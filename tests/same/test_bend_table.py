"""The libraries that bend, src/govern/teams/bend_table.cpp: each row is proven with the real
library, holds for what it says and for nothing else, and is what docs/govern.md shows.

Uses the library that COREWISE_LIBRARY names, or the installed package's."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TABLE = ROOT / "src/govern/teams/bend_table.cpp"
SITE = next((ROOT / ".venv/lib").glob("python3*")) / "site-packages"
LIBRARY = os.environ.get("COREWISE_LIBRARY") or str(next(SITE.glob("corewise/**/libcorewise.so")))


class Row(NamedTuple):
    library: str
    module: str
    constant: str
    same: str


def table():
    text = TABLE.read_text()
    text = re.sub(r'"\s*"', "", text)
    rows = re.findall(r'(\w+)\("([\w.]+)",\s*"PyInit_\w+",\s*"([\w.]+)",\s*Same::(\w+)\)', text)
    libraries = dict(re.findall(r"constexpr BendRow (\w+)\([^{]*\{\s*return \{\"([^\"]+)\"", text))
    return [Row(libraries[maker], *rest) for maker, *rest in rows]


ROWS = table()
VERSIONS = re.findall(
    r'"([\d.]+)"',
    re.search(r"kSklearnVersions = \{(.*?)\};", TABLE.read_text(), re.S)[1],
)
# Rounding errors of the largest number in a result. Sums of a few thousand numbers have some ten.
MOST_ROUNDING = 1000


def run(python, program, *arguments, **environment):
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "OPENBLAS_"))}
    # If teams are wider than the machine, spinning only costs time.
    keep |= {"OMP_WAIT_POLICY": "PASSIVE", "OPENBLAS_NUM_THREADS": "1"}
    keep |= {"COREWISE_LIBRARY": LIBRARY, "PYTHONPATH": f"{ROOT}/tests/govern:{HERE}"} | environment
    done = subprocess.run(
        [python, *program, *arguments],
        env=keep,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def check_rows(python, rows, program, *arguments):
    out = run(python, [HERE / program], *arguments)
    assert {Path(path).name.split(".")[0] for path in out["bending"]} == {
        row.module.rpartition(".")[2] for row in rows
    }
    tried = {module for kernel in out["kernels"].values() for module in kernel["modules"]}
    assert tried == {row.module for row in rows}
    to_the_bit = {row.module for row in rows if row.same == "kToTheBit"}
    for name, kernel in out["kernels"].items():
        assert kernel["cut"] > 0, f"{name} was never cut"
        most = 0 if to_the_bit.issuperset(kernel["modules"]) else MOST_ROUNDING
        assert kernel["worst"] <= most, (name, kernel)


SKLEARN = [row for row in ROWS if row.library == "scikit-learn"]


def test_scikit_learn_bends():
    check_rows(sys.executable, SKLEARN, "bending_sklearn.py", "1,2,3,5,8", "1")


def test_mdtraj_bends():
    rows = [row for row in ROWS if row.library == "mdtraj"]
    check_rows(sys.executable, rows, "bending_mdtraj.py", "1,2,3,5,8", "3")


# The last of each minor version; the others have the same regions.
@pytest.mark.parametrize("version", ["1.5", "1.6", "1.7", "1.8"])
def test_other_versions_of_scikit_learn_bend(version, request):
    python = ROOT / f".venv-bend-{version}/bin/python"
    if request.config.getoption("--quick", default=False) or not python.exists():
        pytest.skip("make test-bend installs it")
    check_rows(python, SKLEARN, "bending_sklearn.py", "1,2,3,5,8", "3")


LOADED = """
import cw, ctypes, json, os, shutil, sys
path, then = sys.argv[1:]
library = ctypes.CDLL(path)
if then == "deleted": os.unlink(path)
if then == "replaced":
    shutil.copy(path, path + ".new")
    with open(path + ".new", "r+b") as file:
        file.seek(0x200)
        byte = file.read(1)
        file.seek(0x200)
        file.write(bytes([byte[0] ^ 1]))
    os.replace(path + ".new", path)
if then == "copied over":
    shutil.copy(path, path + ".new")
    os.replace(path + ".new", path)
cw.govern(2)
print(json.dumps([b["why"] for b in cw.report()["bending"]]))
"""
LLOYD = next(SITE.glob("sklearn/cluster/_k_means_lloyd.*.so"))


def loaded(folder, file="sklearn/cluster/_k_means_lloyd.so", source=LLOYD, then="", **environment):
    """What bends once the module is loaded from that place under the folder."""
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, path)
    record(folder, file, path.stat().st_size)
    # The module looks for its libgomp relative to its own place.
    environment = {"LD_LIBRARY_PATH": str(SITE / "scikit_learn.libs")} | environment
    return run(sys.executable, ["-c", LOADED], path, then, **environment)


def record(folder, file, size):
    for note in folder.glob("*.*-info"):
        if not (note / "RECORD").exists():
            (note / "RECORD").write_text(f"sklearn/__init__.py,,0\n{file},sha256=x,{size}\n")


def with_metadata(folder, *names):
    for name in names:
        (folder / name).mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    ("metadata", "bends"),
    [
        (["scikit_learn-1.9.1.dist-info"], ["scikit-learn 1.9.1"]),
        (["scikit_learn-1.5.2-py3.11.egg-info"], []),
        (["scikit_learn-1.4.2.dist-info"], []),
        (["scikit_learn-1.9.2.dist-info"], []),
        (["scikit_learn-1.10.dev0.dist-info"], []),
        (["scikit_learn-1.9.1.dist-info", "scikit_learn-1.4.2.dist-info"], []),
        ([], []),
    ],
    ids=str,
)
def test_a_version_that_was_not_tried_is_whole(tmp_path, metadata, bends):
    assert loaded(with_metadata(tmp_path, *metadata)) == bends


def test_a_module_is_recognised_where_it_was_installed(tmp_path):
    with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info")
    tagged = "sklearn/cluster/_k_means_lloyd.cpython-311-x86_64-linux-gnu.so"
    assert loaded(tmp_path, tagged) == ["scikit-learn 1.9.1"]
    others = next(SITE.glob("sklearn/cluster/_dbscan_inner.*.so"))
    assert loaded(tmp_path, source=others) == []


@pytest.mark.parametrize(
    "file",
    [
        "sklearn/cluster/renamed.so",
        "foo/_k_means_lloyd.so",
        "foo/cluster/_k_means_lloyd.so",
        "foo/sklearn/cluster/_k_means_lloyd.so",
        "sklearn/cluster/more/_k_means_lloyd.so",
        "sklearn/cluster/_k_means_lloyd.d/x.so",
    ],
)
def test_a_package_beside_a_module_of_another_is_no_proof(tmp_path, file):
    """A project that took the module over. Its own RECORD may be perfect."""
    assert loaded(with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info"), file) == []


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("RECORD", ""),
        ("RECORD", "sklearn/cluster/_k_means_lloyd.so,sha256=x,4711\n"),
        ("direct_url.json", '{"url": "file:///src/scikit-learn", "dir_info": {}}'),
        ("direct_url.json", '{"url": "https://x/y", "vcs_info": {"vcs": "git"}}'),
    ],
)
def test_a_release_that_does_not_have_the_module_is_no_proof(tmp_path, file, text):
    with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info")
    (tmp_path / "scikit_learn-1.9.1.dist-info" / file).write_text(text)
    assert loaded(tmp_path) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_module_that_merely_has_the_names_is_whole(tmp_path):
    with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info")
    # A module that takes a class of scikit-learn's module, and is called like it.
    (tmp_path / "own.c").write_text(
        'const char* const taken[] = {"sklearn._loss._loss", "CyHalfTweedieLossIdentity"};\n'
        "void PyInit__loss(void) {}\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "own.c", "-o", "own.so"], cwd=tmp_path, check=True)
    assert loaded(tmp_path, "sklearn/_loss/_loss.so", source=tmp_path / "own.so") == []


@pytest.mark.parametrize(
    ("then", "bends"), [("deleted", []), ("replaced", []), ("copied over", ["scikit-learn 1.9.1"])]
)
def test_a_module_whose_file_was_replaced_is_whole(tmp_path, then, bends):
    assert loaded(with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info"), then=then) == bends


def test_exact_teams_win(tmp_path):
    with_metadata(tmp_path, "scikit_learn-1.9.1.dist-info")
    both = {"COREWISE_BEND": "_k_means_lloyd", "COREWISE_EXACT_TEAMS": "_k_means"}
    assert loaded(tmp_path, COREWISE_BEND="_k_means_lloyd") == ["COREWISE_BEND"]
    assert loaded(tmp_path, **both) == []


@pytest.mark.parametrize("bend", ["_k_means_lloyd", "_k_means_lloyd.so", "/cluster/_k"])
def test_a_name_is_no_folder_of_the_users(tmp_path, bend):
    # It names the file; with a slash, a part of the path.
    project = tmp_path / "_k_means_lloyd" / "_k_means_lloyd.so"
    own = loaded(project, "x/mine.so", COREWISE_BEND=bend)
    assert own == []
    assert loaded(tmp_path / "y", COREWISE_BEND=bend) == ["COREWISE_BEND"]


RELATIVE = """
import cw, ctypes, json, os, sys
path, bend = sys.argv[1:]
os.chdir(os.path.dirname(path))
os.environ["COREWISE_BEND"] = bend
ctypes.CDLL("./" + os.path.basename(path))
os.chdir("/")
cw.govern(2)
print(json.dumps([[b["names"] for b in cw.report()["bending"]], cw.report()["unmatched_bends"]]))
"""


def test_every_name_is_matched_also_of_a_library_with_a_relative_path(tmp_path):
    path = tmp_path / "mine" / "lib.so"
    path.parent.mkdir()
    shutil.copy(LLOYD, path)
    names = [f"{tmp_path}/mine/", "lib", "./lib"]
    environment = {"LD_LIBRARY_PATH": str(SITE / "scikit_learn.libs")}
    out = run(sys.executable, ["-c", RELATIVE], path, ":".join([*names, "mine"]), **environment)
    assert out == [[names], ["mine"]]


AFTER_ANOTHER = """
import _ctypes, cw, ctypes, json, sys
cw.govern(2)
def load(path):
    library = ctypes.CDLL(path)
    return library, ctypes.cast(library.team, ctypes.c_void_p).value
bending, first = load(sys.argv[1])
teams = [bending.team(5)]
_ctypes.dlclose(bending._handle)
whole, second = load(sys.argv[2])
teams.append(whole.team(5))
print(json.dumps([first == second, teams]))
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc's OpenMP")
def test_a_library_at_the_place_of_one_that_bent_is_whole(tmp_path):
    (tmp_path / "team.c").write_text(
        "#include <omp.h>\n"
        "int team(int asked) {\n  int got = 0;\n"
        '  _Pragma("omp parallel num_threads(asked)") _Pragma("omp single")\n'
        "  got = omp_get_num_threads();\n  return got;\n}\n"
    )
    for name in ("bending.so", "whole.so"):
        command = ["gcc", "-O1", "-fopenmp", "-shared", "-fPIC", "team.c", "-o", name]
        subprocess.run(command, cwd=tmp_path, check=True)
    same_place, teams = run(
        sys.executable,
        ["-c", AFTER_ANOTHER],
        tmp_path / "bending.so",
        tmp_path / "whole.so",
        COREWISE_BEND="/bending.so",
    )
    assert teams == [2, 5]
    assert same_place, "the loader put them in different places: nothing was tried"


def test_the_documentation_shows_the_table():
    page = (ROOT / "docs/govern.md").read_text()
    words = {"kToTheBit": "the same to the bit", "kToRounding": "equal to rounding"}
    assert f"scikit-learn {VERSIONS[0]} to {VERSIONS[-1]}" in page
    shown = re.findall(r"^\| `(\w+\.[\w.]+)` \| ([\w ]+) \|$", page, re.M)
    assert shown == [(row.module, words[row.same]) for row in ROWS]
