"""A governed program starts whatever it wants: what cannot load the agent runs without it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CLEAN

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
int main(int count, char** words) {
  const char* preload = getenv("LD_PRELOAD");
  printf("%s %d\\n", preload && preload[0] ? preload : "-", count);
  return 5;
}
"""
KINDS = {
    "musl": ["musl-gcc"],
    "ASan": ["gcc", "-fsanitize=address"],
    "ASan of clang": ["clang-19", "-fsanitize=address", "-shared-libasan"],
    "MSan": ["clang-19", "-fsanitize=memory"],
    "MSan with the older hash table": ["clang-19", "-fsanitize=memory", "-Wl,--hash-style=sysv"],
    "32 bits": ["gcc", "-m32"],
}
FINE = {
    "static": ["gcc", "-static"],
    "dynamic": ["gcc"],
    "dynamic with the older hash table": ["gcc", "-Wl,--hash-style=sysv"],
    "TSan": ["gcc", "-fsanitize=thread"],
    # What is linked statically stands aside for a library that was preloaded.
    "static ASan": ["gcc", "-fsanitize=address", "-static-libasan"],
    "static ASan of clang": ["clang-19", "-fsanitize=address"],
    "static TSan": ["gcc", "-fsanitize=thread", "-static-libtsan"],
    "static TSan of clang": ["clang-19", "-fsanitize=thread"],
    "DFSan": ["clang-19", "-fsanitize=dataflow"],
    "LSan": ["gcc", "-fsanitize=leak"],
    "LSan of clang": ["clang-19", "-fsanitize=leak"],
    "NSan": ["clang-19", "-fsanitize=numerical"],
    "UBSan": ["gcc", "-fsanitize=undefined", "-static-libubsan"],
    "UBSan of clang": ["clang-19", "-fsanitize=undefined"],
}
HOWS = [
    *("execve", "execv", "execvp", "execvpe", "execl", "execlp", "execle", "fexecve"),
    *("execveat", "execveat below", "execveat of a file", "syscall execve", "syscall execveat"),
    *("dlsym", "dlsym of the library", "vfork", "posix_spawn", "posix_spawnp", "system", "popen"),
    *("spawn below folders", "spawn below a descriptor", "spawn in PATH"),
]


@pytest.fixture(scope="module")
def make(tmp_path_factory):
    folder = tmp_path_factory.mktemp("children")
    (folder / "child.c").write_text(SOURCE)
    made = {}

    def make(kind):
        if kind not in made:
            built = folder / kind.replace(" ", "-").lower()
            words = [*(KINDS | FINE)[kind], "-w", folder / "child.c", "-o", built]
            if not shutil.which(words[0]) or subprocess.run(words, capture_output=True).returncode:
                pytest.skip(f"cannot build for {kind}")
            # A compiler may be there whose library is not.
            if subprocess.run([built], env=CLEAN, capture_output=True).returncode != 5:
                pytest.skip(f"what is built for {kind} does not run here")
            made[kind] = built
        return made[kind]

    return make


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    built = tmp_path_factory.mktemp("starter") / "starter"
    source = Path(__file__).with_name("starter.c")
    subprocess.run(["gcc", "-O1", "-w", source, "-o", built], check=True)
    return built


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", KINDS)
def test_it_is_started_without(corewise, starter, make, kind, how):
    child = make(kind)
    env = {"PATH": f"{child.parent}:{CLEAN['PATH']}"}
    done = corewise("run", "-q", "--", starter, how, child, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (5, "- 3\n", "")


@pytest.mark.parametrize("kind", ["musl", "static", "dynamic"])
def test_a_folder_that_only_the_child_opens(corewise, starter, make, kind):
    """Nobody else knows which program that is: it goes without in any case."""
    done = corewise("run", "-q", "--", starter, "spawn below a new descriptor", make(kind))
    assert (done.returncode, done.stdout, done.stderr) == (5, "- 3\n", "")


def test_a_call_that_fails_fails_as_before(corewise, starter):
    done = corewise("run", "-q", "--", starter, "execveat of nothing", "/")
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("how", HOWS)
def test_what_can_load_it_is_governed(corewise, starter, make, how):
    child = make("dynamic")
    env = {"PATH": f"{child.parent}:{CLEAN['PATH']}"}
    done = corewise("run", "-q", "--", starter, how, child, env=env)
    assert done.returncode == 5 and done.stderr == ""
    assert "libcorewise" in done.stdout and done.stdout.endswith(" 3\n")


@pytest.mark.parametrize("kind", [kind for kind in FINE if kind != "static"])
@pytest.mark.parametrize("how", ["execve", "posix_spawn", "system"])
def test_sanitizers_that_do_not_mind(corewise, starter, make, kind, how):
    done = corewise("run", "-q", "--", starter, how, make(kind))
    assert done.returncode == 5 and done.stderr == ""
    assert "libcorewise" in done.stdout
    done = corewise("run", "-q", "--", make(kind))
    assert (done.returncode, done.stderr) == (5, "")


@pytest.mark.parametrize("kind", ["ASan", "MSan", "dynamic"])
def test_one_that_the_loader_loads(corewise, starter, make, kind):
    child = make(kind)
    loader = re.search(rb"/lib\S*/ld-linux[-.\w]*", child.read_bytes()).group().decode()
    done = corewise("run", "-q", "--", "sh", "-c", f"{loader} {child} word; exit $?")
    assert done.returncode == 5 and done.stderr == ""
    assert ("libcorewise" in done.stdout) == (kind == "dynamic")


@pytest.mark.parametrize("kind", ["musl", "ASan", "dynamic"])
def test_below_a_statically_linked_program(corewise, make, tmp_path, kind):
    """Nobody could remove the variable there, so that `run` must not set it."""
    parent = tmp_path / "parent"
    source = Path(__file__).with_name("starter.c")
    words = ["gcc", "-static", "-w", source, "-o", parent]
    if subprocess.run(words, capture_output=True).returncode:
        pytest.skip("cannot link statically")
    done = corewise("run", "-q", "--", parent, "execve", make(kind))
    assert (done.returncode, done.stdout) == (5, "- 3\n")


def test_other_libraries_stay(corewise, make):
    child = make("ASan")
    other = "libm.so.6"
    done = corewise("run", "-q", "--", "sh", "-c", f"{child}; exit $?", env={"LD_PRELOAD": other})
    # Only ours is in the way of nobody now: what the user put there is the user's.
    assert "libcorewise" not in done.stdout + done.stderr


@pytest.mark.parametrize("kind", ["musl", "ASan"])
def test_a_script_that_it_runs(corewise, make, tmp_path, kind):
    script = tmp_path / "script"
    script.write_text(f"#!{make(kind)} word\n")
    script.chmod(0o755)
    done = corewise("run", "-q", "--", "sh", "-c", f"{script}; exit $?")
    assert (done.returncode, done.stdout) == (5, "- 3\n")


@pytest.mark.parametrize("kind", ["musl", "ASan", "static", "TSan"])
@pytest.mark.parametrize("start", ["subprocess.run", "subprocess.Popen", "os.system", "os.spawnv"])
def test_children_of_python(corewise, make, kind, start):
    child = str(make(kind))
    code = {
        "subprocess.run": f"r = subprocess.run([{child!r}]).returncode",
        "subprocess.Popen": f"r = subprocess.Popen([{child!r}], start_new_session=True).wait()",
        "os.system": f"r = os.system({child!r}) >> 8",
        "os.spawnv": f"r = os.spawnv(os.P_WAIT, {child!r}, [{child!r}])",
    }[start]
    words = [sys.executable, "-c", f"import os, subprocess, sys\n{code}\nsys.exit(r)"]
    assert corewise("run", "-q", "--", *words).returncode == 5


@pytest.mark.parametrize(
    ("kind", "name"), [("ASan", "AddressSanitizer"), ("MSan", "MemorySanitizer")]
)
def test_it_cannot_be_governed_itself(corewise, make, kind, name):
    done = corewise("run", "--", make(kind))
    assert done.returncode == 5 and done.stdout == "- 1\n"
    assert f"is built with {name}" in done.stderr and "cannot be governed" in done.stderr


FORKS = """
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>
static void* nothing(void* argument) { return argument; }
int main(void) {
  pthread_t thread;
  int status = -1;
  dlsym(dlopen("libgomp.so.1", RTLD_NOW), "omp_get_max_threads");
  if (fork() == 0) _exit(pthread_create(&thread, 0, nothing, 0) + pthread_join(thread, 0));
  return wait(&status) < 0 || status != 0;
}
"""


@pytest.mark.parametrize("compiler", ["gcc", "clang-19"])
def test_children_of_thread_sanitizer_may_start_threads(corewise, tmp_path, compiler):
    (tmp_path / "forks.c").write_text(FORKS)
    words = [compiler, "-fsanitize=thread", tmp_path / "forks.c", "-o", tmp_path / "forks"]
    if not shutil.which(compiler) or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("cannot build for ThreadSanitizer")
    done = corewise("run", "-q", "--", tmp_path / "forks")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "words",
    [
        ["java", "-version"],
        ["node", "-e", "process.exit(0)"],
        ["rustc", "--version"],
        ["go", "version"],
        ["perl", "-e", "exit 0"],
    ],
    ids=lambda words: words[0],
)
def test_other_languages(corewise, words):
    if shutil.which(words[0]) is None:
        pytest.skip(f"needs {words[0]}")
    plain = subprocess.run(words, env=CLEAN, capture_output=True, text=True, check=False)
    for command in (words, ["sh", "-c", f"{' '.join(map(repr, words))}; exit $?"]):
        done = corewise("run", "-q", "--", *command)
        assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout), done.stderr


def test_what_lists_libraries_does_not_list_ours(corewise):
    """Tools that pack a program, such as PyInstaller, take them from ldd."""
    done = corewise("run", "-q", "--", "ldd", "/bin/ls")
    assert done.returncode == 0 and "libc.so" in done.stdout
    assert "libcorewise" not in done.stdout


def test_setuid_programs_start(corewise, make, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can make a program that is another's")
    program = tmp_path / "rights"
    shutil.copy(make("dynamic"), program)
    os.chown(program, 12345, 12345)
    program.chmod(0o4755)
    done = corewise("run", "-q", "--", "sh", "-c", f"{program}; exit $?")
    assert done.returncode == 5 and done.stderr == ""
