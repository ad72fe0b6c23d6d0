"""Processes as they were recorded: ordinary, torn, hostile. And the screens, kept as references."""

import json
import os
import shutil

import pytest
from conftest import RECORDED


@pytest.fixture
def seen(corewise):
    def look(name, code=0):
        done = corewise("info", "--recorded", str(RECORDED / name), "--json")
        assert done.returncode == code, done.stderr
        return json.loads(done.stdout)

    return look


def test_what_shows_from_outside(seen):
    process = seen("plain")
    blas, openmp = process["pools"]
    assert (blas["threads"], blas["version"], blas["architecture"]) == (6, "0.3.99", "Haswell")
    assert (blas["ceiling"], blas["caller_slots"], blas["layer"]) == (32, 64, "pthreads")
    assert (blas["scope"], blas["prefix"], blas["unknown"]) == (
        "process",
        "libscipy_openblas",
        None,
    )
    assert (openmp["threads"], openmp["scope"]) == (None, "thread")
    assert "OMP_NUM_THREADS=4" in openmp["unknown"]
    assert process["environment"] == {"OMP_NUM_THREADS": "4"}
    assert (process["cpus_allowed"], process["command"]) == ("0-3,8", "python train.py")


def test_without_its_memory_only_counts_are_missing(seen):
    process = seen("memory-refused", 6)
    assert [pool["threads"] for pool in process["pools"]] == [None, None]
    assert process["pools"][0]["version"] == "0.3.99"
    assert "ptrace" in process["notes"][0]


def test_a_library_loaded_twice_is_two_pools(seen):
    assert [pool["threads"] for pool in seen("two-copies")["pools"]] == [6, 3]


def test_mkl_inside_another_library(seen):
    (pool,) = seen("mkl-in-torch")["pools"]
    assert (pool["runtime"], pool["scope"], pool["prefix"]) == ("mkl", "thread", "libtorch_cpu")


def test_a_deleted_file_is_read_from_memory(seen):
    (pool,) = seen("deleted")["pools"]
    assert (pool["threads"], pool["path"]) == (6, "/opt/gone.so")
    assert "deleted" in pool["detail"]
    refused = seen("deleted-refused", 6)
    assert refused["pools"] == [] and "/opt/gone.so" in refused["notes"][0]


@pytest.mark.parametrize(
    "name, word", [("not-started", "not counted"), ("nonsense-count", "2147483648")]
)
def test_counts_that_are_none(seen, name, word):
    (pool,) = seen(name)["pools"]
    assert pool["threads"] is None and word in pool["unknown"]


def test_torn_maps_still_show_what_is_whole(seen):
    assert [pool["runtime"] for pool in seen("torn-maps")["pools"]] == ["openblas", "libgomp"]


def test_hostile_modules_are_named_and_left(seen):
    process = seen("hostile-modules")
    assert process["pools"] == []
    for name in ("cut", "empty", "text", "counts", "far", "folder", "missing"):
        assert any(f"/opt/{name}.so: " in note for note in process["notes"]), name


@pytest.mark.parametrize(
    "name, code, words",
    [
        ("zombie", 5, "is a zombie: it has ended, and its parent 17"),
        ("kernel-thread", 1, "(kthreadd) is a kernel thread"),
        ("garbage-maps", 1, "cannot be understood"),
        ("empty-maps", 1, "maps file is empty"),
        ("no-such-recording", 1, "No such file"),
    ],
)
def test_what_is_no_process_is_said(corewise, name, code, words):
    done = corewise("info", "--recorded", str(RECORDED / name))
    assert done.returncode == code and words in done.stderr and done.stdout == ""


@pytest.fixture
def odd_path(tmp_path):
    """A process whose library lies under a name that is no UTF-8 and holds a newline."""
    name = b"/opt/b\xe9ta\n\x1b[2J/libopenblas.so"
    folder = tmp_path / "odd"
    shutil.copytree(RECORDED / "plain", folder, symlinks=True)
    (folder / "root").unlink()
    target = os.fsencode(folder / "root") + name
    os.makedirs(os.path.dirname(target))
    shutil.copy(RECORDED / "modules/opt/libscipy_openblas64_-0f683016.so", target)
    maps = (folder / "maps").read_bytes()
    written = name.replace(b"\n", b"\\012")
    (folder / "maps").write_bytes(maps.replace(b"/opt/libscipy_openblas64_-0f683016.so", written))
    return folder


def test_a_path_that_is_no_text(corewise, odd_path):
    done = corewise("info", "--recorded", str(odd_path), "--json", text=False)
    pool = json.loads(done.stdout.decode("utf-8"))["pools"][0]
    assert os.fsencode(pool["path"]) == b"/opt/b\xe9ta\n\x1b[2J/libopenblas.so"
    screen = corewise("info", "--recorded", str(odd_path), "--color", "never", text=False).stdout
    assert rb"/opt/b\xe9ta\n\x1b[2J/libopenblas.so" in screen and b"\x1b" not in screen


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", ["plain", "memory-refused", "two-copies", "no-pools"])
def test_screens(corewise, golden, name, columns):
    words = ["info", "--recorded", str(RECORDED / name)]
    screen = corewise(*words, env={"COLUMNS": str(columns)}).stdout
    assert max(map(len, screen.splitlines())) <= columns
    golden(f"{name}-{columns}.txt", screen)


@pytest.mark.parametrize("columns", ["1", "0", "-5", "banana", "99999999999999999999", "100000"])
def test_odd_widths(corewise, columns):
    done = corewise("info", "--recorded", str(RECORDED / "plain"), env={"COLUMNS": columns})
    assert done.returncode == 0 and "libscipy" in done.stdout


def test_long_paths_keep_their_ends(corewise, tmp_path):
    folder = tmp_path / "long"
    shutil.copytree(RECORDED / "plain", folder, symlinks=True)
    (folder / "root").unlink()
    long = "/opt/" + "/".join(["a-long-folder-ünïcode"] * 8) + "/libgomp.so.1"
    (folder / "root").joinpath(os.path.dirname(long)[1:]).mkdir(parents=True)
    shutil.copy(RECORDED / "modules/opt/libgomp-d22c30c5.so.1.0.0", f"{folder}/root{long}")
    maps = (folder / "maps").read_text().replace("/opt/libgomp-d22c30c5.so.1.0.0", long)
    (folder / "maps").write_text(maps)
    for locale, dots in (("C.UTF-8", "…"), ("C", "...")):
        short = corewise("info", "--recorded", str(folder), env={"LC_ALL": locale}).stdout
        line = next(line for line in short.splitlines() if "libgomp.so.1" in line)
        assert dots in line and len(line) <= 80 and line.startswith("  /opt/a-long")
        assert short.isascii() or locale == "C.UTF-8"
    assert long in corewise("info", "--recorded", str(folder), "--wide").stdout
