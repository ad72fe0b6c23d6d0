"""What the installed package offers to C++: find_package and pkg-config, wherever it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import corewise
import pytest
from conftest import Run

CONSUMER = """
#include <corewise.hpp>
#include <cstdio>
int main() {
  const corewise::limits guard({.all = 1});
  std::printf("%s %d %zu\\n", cw_version(), guard ? 1 : 0, corewise::pools().size());
}
"""
PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(consumer CXX)
find_package(corewise {version} REQUIRED)
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE corewise::corewise)
"""
EXPECTED = f"{corewise.__version__} 1 0\n"


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """Moves a copy of the package's folder: nothing in it may depend on where it was built."""
    return Path(shutil.copytree(Path(corewise.__file__).parent, tmp_path / "moved"))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "main.cpp").write_text(CONSUMER)
    (tmp_path / "CMakeLists.txt").write_text(PROJECT.format(version=corewise.__version__))
    return tmp_path


@pytest.mark.skipif(not shutil.which("cmake"), reason="needs CMake")
@pytest.mark.parametrize("how", ["prefix", "dir"])
def test_find_package(source: Path, moved: Path, how: str) -> None:
    found = (
        f"CMAKE_PREFIX_PATH={moved}"
        if how == "prefix"
        else f"corewise_DIR={moved}/lib/cmake/corewise"
    )
    build = source / "build"
    for command in (
        ["cmake", "-S", source, "-B", build, f"-D{found}"],
        ["cmake", "--build", build],
    ):
        subprocess.run(command, check=True, capture_output=True)
    assert subprocess.check_output([build / "consumer"], text=True) == EXPECTED


@pytest.mark.skipif(not shutil.which("cmake"), reason="needs CMake")
def test_no_package_is_built_without_its_command(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    absent = [f"-DCMAKE_DISABLE_FIND_PACKAGE_{name}=ON" for name in ("CLI11", "fmt")]
    done = subprocess.run(
        ["cmake", "-S", root, "-B", tmp_path / "build", "-DCOREWISE_PYTHON=ON", *absent],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert "sudo apt-get install -y libcli11-dev libfmt-dev\n" in done.stderr
    assert "COREWISE_CLI=OFF" in done.stderr


@pytest.mark.skipif(not shutil.which("pkg-config"), reason="needs pkg-config")
def test_pkg_config(source: Path, moved: Path) -> None:
    environment = {**os.environ, "PKG_CONFIG_PATH": str(moved / "lib/pkgconfig")}
    flags = subprocess.check_output(
        ["pkg-config", "--cflags", "--libs", "corewise"], env=environment, text=True
    ).split()
    program = source / "consumer"
    command = ["c++", "-std=c++20", source / "main.cpp", "-o", program, *flags]
    subprocess.run([*command, f"-Wl,-rpath,{moved}/lib"], check=True)
    assert subprocess.check_output([program], text=True) == EXPECTED


def test_python_and_c_share_one_state(run: Run) -> None:
    # A library that links libcorewise from the wheel sees what Python limited.
    code = """
import ctypes, os, corewise
ctypes.CDLL(f"{NATIVE}/stub/libopenblas_stub.so")
core = ctypes.CDLL(os.path.join(os.path.dirname(corewise.__file__), "lib", "libcorewise.so"))
with corewise.limits(3):
    buffer = ctypes.create_string_buffer(4096)
    core.cw_info_json(buffer, len(buffer))
    print(b'"threads":3' in buffer.value.replace(b" ", b""))
    print(len({line.split()[-1] for line in open("/proc/self/maps") if "libcorewise" in line}))
"""
    assert run(code) == "True\n1\n"


def test_command_line_tool() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "corewise", "--version"], capture_output=True, text=True
    )
    assert corewise.__version__ in done.stdout


def test_the_command_leaves_no_socket_behind() -> None:
    started = [sys.executable, "-m", "corewise"]
    command = [*started, "top", "--json"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    processes = json.loads(child.communicate()[0])["processes"]
    assert child.pid not in [process["pid"] for process in processes]


COMMANDS = {
    "the command": [Path(sysconfig.get_path("scripts"), "corewise")],
    "the module": [sys.executable, "-m", "corewise"],
}


def run_plainly(command: list[Any], **keywords: Any) -> subprocess.CompletedProcess[str]:
    """As from a shell: subprocess undoes what Python ignores."""
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, **keywords
    )


@pytest.mark.parametrize("how", COMMANDS)
@pytest.mark.parametrize(
    "asked",
    [
        # But for 32 and 33: the C library ignores its own two signals in what posix_spawn() starts,
        # as Python 3.14 starts some programs.
        pytest.param(
            "echo $((0x$(sed -n 's/^SigIgn://p' /proc/self/status | tr -d '\\t') & ~(3 << 31)))",
            id="signals",
        ),
        # Python sets LC_CTYPE where there is none, and `wc -m` then counts characters.
        pytest.param("printf '\\303\\251' | wc -m; env | grep -c LC_", id="locale"),
        pytest.param("bash -c 'seq 1 100000 | head -1; echo ${PIPESTATUS[0]}'", id="pipe"),
    ],
)
def test_what_it_starts_is_as_without_it(how: str, asked: str) -> None:
    alone = {"PATH": os.environ["PATH"]}
    shell = ["bash", "-c", asked]
    started = run_plainly([*COMMANDS[how], "run", "-q", "--", *shell], env=alone)
    plain = run_plainly(shell, env=alone)
    assert (started.stdout, started.returncode) == (plain.stdout, plain.returncode)


@pytest.mark.parametrize(
    "where",
    [
        pytest.param("trap '' PIPE; grep SigIgn /proc/self/status", id="a signal is ignored"),
        pytest.param("f() { echo f; }; export -f f; bash -c f", id="bash exports a function"),
        pytest.param("ulimit -n 4; true", id="four descriptors"),
        pytest.param("export PYTHONHASHSEED=abc; true", id="Python would not start"),
    ],
)
def test_the_command_hands_on_what_it_was_given(where: str) -> None:
    before, _, last = where.rpartition("; ")
    command = COMMANDS["the command"][0]
    started = run_plainly(["bash", "-c", f"{before}; {command} run -q -- {last}"])
    plain = run_plainly(["bash", "-c", where])
    assert (started.stdout, started.returncode) == (plain.stdout, plain.returncode)


def test_the_command_knows_its_python_and_its_package() -> None:
    command = COMMANDS["the command"]
    for option in ("--prefix", "--cmake-dir"):
        said = run_plainly([*command, option]).stdout
        assert said == run_plainly([*COMMANDS["the module"], option]).stdout
        assert Path(said.strip()).is_dir()
    asked = run_plainly([*command, "info", "--json", "-i", "numpy"], env={"PATH": "/usr/bin:/bin"})
    assert json.loads(asked.stdout)["pools"]


def test_the_command_without_its_package_says_so(tmp_path: Path) -> None:
    lonely = Path(shutil.copy(COMMANDS["the command"][0], tmp_path / "corewise"))
    said = run_plainly([lonely, "info"], env={"PATH": str(tmp_path)})
    assert said.returncode == 127
    assert "the command line tool cannot be started" in said.stderr


def test_the_library_has_only_what_it_calls() -> None:
    library = Path(corewise.__file__).parent / "lib/libcorewise.so"
    assert library.stat().st_size < 2_600_000


def test_man_finds_its_page(tmp_path: Path) -> None:
    page = Path(sys.prefix, "share", "man", "man1", "corewise.1")
    assert '.TH "corewise" "1"' in page.read_text()
    # The command shows it too, by the `man` in PATH.
    (tmp_path / "man").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "man").chmod(0o755)
    shown = subprocess.check_output(
        [sys.executable, "-m", "corewise", "help", "--man"],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
    )
    assert shown == f"-l {page}\n"


@pytest.mark.parametrize(
    "part", ["bin/corewise", "include/corewise.h", "include/corewise.hpp", "lib/libcorewise.so"]
)
def test_the_package_is_whole(part: str) -> None:
    assert (Path(corewise.__file__).parent / part).exists()


def test_jupyterlab_finds_its_extension() -> None:
    folder = Path(sys.prefix, "share", "jupyter", "labextensions", "corewise")
    package = json.loads((folder / "package.json").read_text())
    load = package["jupyterlab"]["_build"]["load"]
    assert "window._JUPYTERLAB" in (folder / load).read_text()
    assert package["version"] == corewise.__version__
