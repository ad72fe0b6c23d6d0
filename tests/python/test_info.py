"""corewise.info and corewise.pools."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from pathlib import Path

import corewise
import pytest
from conftest import Run
from corewise import Info, PoolInfo
from corewise._show.pools import package_of
from corewise._show.text import shorten
from pools import Pools

LONG = PoolInfo(
    0, "blas", "openblas", 12, "process", 128, 256, "libopenblas",
    "/home/someone/environments/science/lib/python3.11/site-packages/numpy.libs/libopenblas-a1.so",
    "0.3.31", "pthreads", "SkylakeX", None,
)  # fmt: skip
UNKNOWN = PoolInfo(
    1, "arrow", "arrow", None, "none", None, None, "libarrow",
    "/tmp/\udcff\x1b[31m<b>/libarrow.so", None, None, None, "x",
)  # fmt: skip


def test_records_say_what_handles_say(pools: Pools) -> None:
    with corewise.limits({pools.blas: 3}):
        record = corewise.info()[pools.blas.id]
        assert record.threads == 3
        for field in PoolInfo._fields:
            assert getattr(pools.blas, field) == getattr(record, field)
    assert record.threads == 3
    assert pools.blas.threads == 16
    assert record.version == "0.3.99"
    assert record.layer == "pthreads"
    assert record.architecture == "Stub"
    assert record.ceiling == 64
    assert record.scope == "process"
    assert pools.openmp.scope == "thread"
    assert pools.openmp.ceiling is None


def test_handles_are_values(pools: Pools) -> None:
    again = corewise.pools()
    assert again[pools.blas.id] == pools.blas
    assert again[pools.blas.id] != pools.openmp
    assert len({*again, pools.blas, pools.openmp}) == len(again)
    assert "openblas" in repr(pools.blas)
    assert pools.blas != 3


def test_info_is_immutable_and_can_travel() -> None:
    info = corewise.info()
    with pytest.raises(TypeError):
        info[0] = LONG  # type: ignore[index]
    with pytest.raises(AttributeError):
        info[0].threads = 3  # type: ignore[misc]
    for copied in (pickle.loads(pickle.dumps(info)), copy.deepcopy(info)):
        assert copied == info
        assert type(copied) is Info


def test_dictionaries_are_new() -> None:
    info = Info([LONG])
    info.to_dicts()[0]["threads"] = 99
    assert info.to_dicts()[0]["threads"] == 12
    assert list(info.to_dicts()[0]) == list(PoolInfo._fields)


def test_json_is_the_document_of_the_core(run: Run) -> None:
    # The core writes the document by itself, for the command line and other languages.
    code = """
import ctypes, corewise, os
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so"); ctypes.CDLL(f"{NATIVE}/libregions.so")
core = ctypes.CDLL(os.path.join(os.path.dirname(corewise.__file__), "lib", "libcorewise.so"))
buffer = ctypes.create_string_buffer(core.cw_info_json(None, 0))
core.cw_info_json(buffer, len(buffer))
print(buffer.value.decode())
print(corewise.info().to_json())
"""
    core, python = map(json.loads, run(code).splitlines())
    assert core == python
    assert [list(pool) for pool in core["pools"]] == [list(pool) for pool in python["pools"]]
    assert len(core["pools"]) == 2


def test_json_of_a_path_that_is_no_text() -> None:
    (pool,) = json.loads(Info([UNKNOWN]).to_json())["pools"]
    assert pool["path"].startswith("/tmp/\N{REPLACEMENT CHARACTER}")
    assert pool["threads"] is None


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_table_fits(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = str(Info([LONG, UNKNOWN])).splitlines()
    assert max(map(len, lines)) <= width
    beside = len(lines) == 3
    assert beside == (width == 200) and len(lines) in (3, 5)
    assert " 12 " in lines[1] and ("pthreads/SkylakeX" in lines[1]) == (width >= 60)
    path = lines[1] if beside else lines[2]
    assert path.endswith("1.so")
    assert ("..." in path) == (width < 100)
    assert " ? " in lines[2 if beside else 3]
    assert "\x1b" not in str(Info([UNKNOWN]))


def test_table_has_the_columns_of_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    screens = Path(__file__).resolve().parents[1] / "cli/golden"
    (heads,) = (
        line
        for line in (screens / "plain-80.txt").read_text().splitlines()
        if line.startswith("API ")
    )
    assert str(Info([LONG])).splitlines()[0].split() == heads.split()


def test_table_of_nothing() -> None:
    assert str(Info()) == "no native thread pool is loaded"


def test_paths_are_shortened_in_the_middle() -> None:
    assert shorten("/usr/lib/libgomp.so.1", 21) == "/usr/lib/libgomp.so.1"
    assert shorten("/usr/lib/libgomp.so.1", 20) == "/usr/...libgomp.so.1"
    assert len(shorten("x" * 100, 13)) == 13


def test_html_has_the_table() -> None:
    html = Info([LONG, UNKNOWN])._repr_html_()
    assert html.count('scope="col"') == 6 and html.count('scope="row"') == 2
    assert LONG.path in html


def test_unknown_names_of_the_package() -> None:
    with pytest.raises(AttributeError, match="no attribute 'limit'"):
        _ = corewise.limit  # type: ignore[attr-defined]
    assert "limits" in dir(corewise)
    assert set(corewise.__all__) <= set(dir(corewise))
    for name in corewise.__all__:
        assert getattr(corewise, name)


def test_places_of_the_wheel() -> None:
    def ask(option: str) -> str:
        command = [sys.executable, "-m", "corewise", option]
        return subprocess.check_output(command, text=True).strip()

    assert (ask("--prefix") + "/lib/cmake/corewise") == ask("--cmake-dir")


def test_links_are_one_pool_and_copies_are_several(run: Run) -> None:
    code = """
import ctypes, os, shutil, tempfile, corewise
folder = os.path.realpath(tempfile.mkdtemp())
stub = f"{NATIVE}/stub/libopenblas_stub.so"
shutil.copy(stub, f"{folder}/libopenblas.so.0.3")
os.symlink("libopenblas.so.0.3", f"{folder}/libopenblas.so")
shutil.copy(stub, f"{folder}/something-else.so")
for name in ("libopenblas.so", "libopenblas.so.0.3", "something-else.so"):
    ctypes.CDLL(f"{folder}/{name}")
print([os.path.relpath(p.path, folder) for p in corewise.pools()])
print([p.prefix for p in corewise.pools()])
with corewise.limits({f"{folder}/libopenblas.so": 3}):
    print([p.threads for p in corewise.pools()])
"""
    names, prefixes, threads = map(eval, run(code).splitlines())
    assert names == ["libopenblas.so.0.3", "something-else.so"]
    assert prefixes == ["libopenblas", "something-else"]
    assert threads == [3, 8]


def test_a_pool_is_named_after_the_last_package_around_its_file() -> None:
    listed = Path(__file__).parents[1] / "recorded" / "packages.txt"
    known = [line.split(" ") for line in listed.read_text().splitlines() if line[0] != "#"]
    assert len(known) > 5
    for package, path in known:
        assert package_of(path) == package.removeprefix("-"), path
