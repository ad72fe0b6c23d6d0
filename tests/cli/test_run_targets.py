"""Programs that the agent cannot go into: that is said, and they run with variables alone."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import need
from governed import Governed


def build(folder, name, *flags):
    (folder / "echo.c").write_text(
        "#include <stdio.h>\n#include <stdlib.h>\n"
        'int main(void) { const char* n = getenv("OMP_NUM_THREADS"), *p = getenv("LD_PRELOAD");'
        ' printf("%s %s\\n", n ? n : "-", p ? "preload" : "-"); return 5; }\n'
    )
    command = ["gcc", folder / "echo.c", "-o", folder / name, *flags]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"cannot build {' '.join(flags)}")
    return folder / name


@pytest.fixture
def check(corewise):
    """That a program is told to be one of these, and runs with counts and without the agent."""

    def check(command, *obstacle):
        done = corewise("run", "--budget", "1", "--", command)
        (line,) = [line for line in done.stderr.splitlines() if "warning" in line]
        assert all(words in line for words in (*obstacle, "cannot be governed")), line
        assert done.returncode == 5 and done.stdout == "1 -\n"
        assert "corewise: set OMP_NUM_THREADS=1" in done.stderr
        return done

    return check


def test_static(check, corewise, tmp_path):
    static = build(tmp_path, "static", "-static")
    check(static, "is statically linked")
    check(build(tmp_path, "pie", "-static-pie"), "is statically linked")
    # The user's own count stays, and --report has nothing to wait for.
    done = corewise("run", "-q", "--report", "--", static, env={"OMP_NUM_THREADS": "7"})
    assert done.stdout == "7 -\n" and "there is no report" in " ".join(done.stderr.split())
    done = corewise("run", "-q", "--openmp", "3", "--", static)
    assert (done.stdout, done.stderr) == ("3 -\n", "")


def let_others_in(folder):
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)


def test_setuid_and_setgid(check, corewise, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a program that is another's")
    let_others_in(tmp_path)
    program = build(tmp_path, "rights")
    os.chown(program, 12345, 12345)
    program.chmod(0o4755)
    check(program, "is setuid")
    program.chmod(0o2755)
    check(program, "is setgid")
    program.chmod(0o755)
    assert corewise("run", "-q", "--", program).stdout == "- preload\n"


@need("setcap")
@need("setpriv")
def test_capabilities(program, tmp_path):
    own = build(tmp_path, "capable")
    if subprocess.run(["setcap", "cap_net_raw+ep", own], capture_output=True).returncode:
        pytest.skip("setcap is not permitted here")
    let_others_in(tmp_path)
    done = subprocess.run(
        ["setpriv", "--reuid=12345", "--clear-groups", program, "run", "--", own],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "has capabilities of its own" in " ".join(done.stderr.split())


def test_another_machine(check, tmp_path):
    check(build(tmp_path, "narrow", "-m32", "-static"), "another machine")


def test_another_machine_that_cannot_start(corewise, tmp_path):
    header = bytearray(Path(sys.executable).read_bytes()[:4096])
    header[18:20] = (183).to_bytes(2, "little") if header[18] != 183 else b"\x3e\0"
    (tmp_path / "foreign").write_bytes(header)
    (tmp_path / "foreign").chmod(0o755)
    done = corewise("run", "--", tmp_path / "foreign")
    assert "is made for another machine" in done.stderr and done.returncode == 126


def test_another_c_library(corewise, tmp_path):
    program = build(tmp_path, "musl", "-Wl,--dynamic-linker=/no/ld-musl-x86_64.so.1")
    done = corewise("run", "--", program)
    assert "another C library (/no/ld-musl-x86_64.so.1)" in done.stderr
    assert done.returncode == 126 and "interpreter or loader does not exist" in done.stderr


def test_scripts_are_their_interpreters(check, corewise, tmp_path):
    static = build(tmp_path, "static", "-static")
    script = tmp_path / "script"
    script.write_text(f"#! {static} -x\n")
    script.chmod(0o755)
    check(script, f"is run by {static}, which is statically linked")
    twice = tmp_path / "twice"
    twice.write_text(f"#!{script}\n")
    twice.chmod(0o755)
    check(twice, f"is run by {static}, which is statically linked")
    # Without a first line it is the shell's.
    script.write_text('test -n "$LD_PRELOAD" && echo governed\n')
    assert corewise("run", "-q", "--", script).stdout == "governed\n"


def own_loader():
    done = subprocess.run(["readelf", "-l", sys.executable], capture_output=True, text=True)
    return re.search(r"interpreter: (\S+)\]", done.stdout).group(1)


def test_a_program_that_the_loader_is_told_to_load(check, corewise, tmp_path):
    loader = own_loader()
    dynamic = build(tmp_path, "dynamic")
    for words in ([], ["--library-path", tmp_path], ["--inhibit-cache", "--argv0", "echo"]):
        done = corewise("run", "--budget", "1", "--", loader, *words, dynamic)
        assert (done.returncode, done.stdout) == (5, "- preload\n"), words
        assert "warning" not in done.stderr
    done = corewise("run", "-q", "--", loader, build(tmp_path, "asan", "-fsanitize=address"))
    assert (done.returncode, done.stdout.split()[1]) == (5, "-")
    # A bundle's own loader brings its own C library.
    other = tmp_path / "ld-linux-of-a-bundle.so.2"
    shutil.copy(loader, other)
    done = corewise("run", "--", other, dynamic)
    assert (done.returncode, done.stdout.split()[1]) == (5, "-")
    assert "is the loader of another C library" in done.stderr


def test_through_path(corewise, tmp_path):
    build(tmp_path, "a-static-one", "-static")
    done = corewise("run", "--", "a-static-one", env={"PATH": f"/no:{tmp_path}:/bin:/usr/bin"})
    assert "'a-static-one' is statically linked" in done.stderr


@pytest.mark.parametrize("options", [[], ["--report"]])
def test_not_found_and_cannot_start(corewise, tmp_path, options):
    assert corewise("run", *options, "--", "no-such-program-here").returncode == 127
    done = corewise("run", *options, "--", "/no/such/file")
    assert done.returncode == 127 and "report" not in done.stderr
    (tmp_path / "text").write_text("")
    assert corewise("run", *options, "--", str(tmp_path / "text")).returncode == 126
    assert corewise("run", *options, "--", str(tmp_path)).returncode == 126
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = corewise("run", "-q", *options, "--", str(script))
    assert done.returncode == 126 and "interpreter" in done.stderr


def test_a_static_program_below_a_governed_one(program, tmp_path):
    static = build(tmp_path, "static", "-static")
    done = Governed(program, "sh", "-c", f"{static}; true")
    assert done.code == 0 and done.out == "- preload\n"
    assert [process["command"][:2] for process in done.processes] == ["sh"]


def test_a_child_that_cannot_start_writes_no_line(program, numpy_python):
    code = "import subprocess\ntry: subprocess.run(['/no/such'])\nexcept OSError: print('refused')"
    done = Governed(program, numpy_python, "-c", code)
    assert done.out == "refused\n" and len(done.processes) == 1
    assert done.report["without_report"] == []


def test_copied_libraries_are_found(program, tmp_path):
    """As `cmake --install` lays them down."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").mkdir()
    shutil.copy(program, tmp_path / "bin/corewise")
    done = subprocess.run(
        [tmp_path / "bin/corewise", "run", "--", "true"], capture_output=True, text=True
    )
    assert done.returncode == 1 and "COREWISE_LIBRARY" in done.stderr
    folders = [program.parent.parent / name for name in ("src", "lib")]
    library = next(path for folder in folders for path in folder.glob("libcorewise.so"))
    shutil.copy(library, tmp_path / "lib/libcorewise.so")
    done = subprocess.run(
        [tmp_path / "bin/corewise", "run", "-q", "--", "env"], capture_output=True, text=True
    )
    assert f"LD_PRELOAD={tmp_path}/lib/libcorewise.so" in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="takes /proc away")
def test_without_proc(program):
    """It runs as without corewise: whatever has to be known is not."""
    hide = f"mount -t tmpfs none /proc && exec {program} run -q -- echo started"
    done = subprocess.run(["unshare", "-m", "sh", "-c", hide], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("started\n", 0), done.stderr
