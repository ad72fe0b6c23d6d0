"""A governed program starts others in another root, as another user, or after corewise was removed:
what does not find the library, or brings an older C library, runs without it."""

import os
import re
import shutil
import struct
import subprocess
import sys

import pytest

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do that")
# It needs of the C library only what the oldest one has.
SMALL = """
#include <stdlib.h>
#include <unistd.h>
#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void _start(void) {
  write(1, getenv("LD_PRELOAD") ? "preload\\n" : "without\\n", 8);
  _exit(5);
}
"""


@pytest.fixture
def library(corewise, tmp_path):
    """A copy of the library, in a folder of its own that all may enter."""
    listed = corewise("run", "-q", "--", "sh", "-c", "echo $LD_PRELOAD").stdout.split()[0]
    folder = tmp_path / "corewise"
    folder.mkdir()
    for each in (folder, *list(folder.parents)[:3]):
        each.chmod(0o755)
    return shutil.copy(listed.split(":")[0], folder / "libcorewise.so")


TELLS = 'sh -c "echo \\${LD_PRELOAD:--}"; true'


@pytest.mark.parametrize("end", ["", "rm {}; ", "mv {} {}.old; ", "rm {}; mkdir {}; "])
def test_the_library_is_removed(corewise, library, end):
    code = end.replace("{}", str(library)) + TELLS
    done = corewise("run", "-q", "--", "sh", "-c", code, env={"COREWISE_LIBRARY": str(library)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("-\n" if end else f"{library}\n")


def test_another_version_takes_its_place(corewise, library):
    code = f"cp {library} {library}.new; mv {library}.new {library}; {TELLS}"
    done = corewise("run", "-q", "--", "sh", "-c", code, env={"COREWISE_LIBRARY": str(library)})
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{library}\n", "")


@AS_ROOT
@pytest.mark.parametrize("mode", [0o700, 0o755])
@pytest.mark.parametrize("start", ["setpriv", "subprocess"])
def test_another_user_may_not_read_it(corewise, library, mode, start):
    library.parent.chmod(mode)
    code = f"import subprocess; subprocess.run(['sh', '-c', {TELLS!r}], user=65534, cwd='/')"
    words = {
        "setpriv": ["setpriv", "--reuid=65534", "--clear-groups", "sh", "-c", f"cd /; {TELLS}"],
        "subprocess": [sys.executable, "-c", code],
    }[start]
    done = corewise("run", "-q", "--", *words, env={"COREWISE_LIBRARY": str(library)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("-\n" if mode == 0o700 else f"{library}\n")


@AS_ROOT
@pytest.mark.parametrize("is_hidden", [True, False])
def test_a_mount_hides_it(corewise, library, tmp_path, is_hidden):
    hidden = library.parent if is_hidden else "/mnt"
    code = f"mount -t tmpfs none {hidden} && {TELLS}"
    enter = ["unshare", "-m", "sh", "-c"]
    if subprocess.run([*enter, "mount -t tmpfs none /mnt"], capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")
    done = corewise("run", "-q", "--", *enter, code, env={"COREWISE_LIBRARY": str(library)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("-\n" if is_hidden else f"{library}\n")


def libraries_of(program):
    """The files that the loader loads for a program, itself among them."""
    listed = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return set(re.findall(r"(/\S+) \(0x", listed))


@AS_ROOT
@pytest.mark.parametrize("has_library", [True, False])
def test_another_root(corewise, library, tmp_path, has_library):
    """Its libraries are copies, and so other files."""
    root = tmp_path / "root"
    shell = os.path.realpath("/bin/sh")
    files = {"/bin/sh": shell} | {name: name for name in libraries_of(shell)}
    files |= {name: name for name in libraries_of(library)}
    if has_library:
        files |= {str(library): library}
    for name, source in files.items():
        (root / name[1:]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, root / name[1:])
    words = ["chroot", root, "/bin/sh", "-c", "/bin/sh -c 'echo ${LD_PRELOAD:--}'; :"]
    done = corewise("run", "-q", "--", *words, env={"COREWISE_LIBRARY": str(library)})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (f"{library}\n" if has_library else "-\n")


def hash_of(name):
    value = 0
    for byte in name:
        value = (value << 4) + byte
        value = (value ^ (value & 0xF0000000) >> 24) & 0x0FFFFFFF
    return struct.pack("=I", value)


def needed(file, of):
    """The versions that a file needs of another one."""
    listed = subprocess.run(["readelf", "-WV", file], capture_output=True, text=True).stdout
    parts = re.split(r"File: ", listed)[1:]
    (part,) = [part for part in parts if part.startswith(f"{of} ")] or [""]
    return set(re.findall(r"Name: (\w+_[\d.]+)", part))


@pytest.fixture
def other_c_library(library, tmp_path):
    """A folder with a loader and a C library, which may lack a version that corewise needs; and a
    program of theirs that does not need it."""

    def make(is_older):
        folder = tmp_path / "other"
        folder.mkdir()
        (tmp_path / "small.c").write_text(SMALL)
        for file in libraries_of(library):
            # The C library needs some of the loader.
            shutil.copy(file, folder / file.rsplit("/")[-1])
        (loader,) = folder.glob("ld-*")
        if is_older:
            file = folder / "libc.so.6"
            own = needed(library, "libc.so.6") - needed(file, loader.name)
            name = max(own, key=lambda name: [int(n) for n in name[6:].split(".")]).encode()
            absent = name[:-1] + b"x"
            code = file.read_bytes().replace(b"\0" + name + b"\0", b"\0" + absent + b"\0")
            file.write_bytes(code.replace(hash_of(name), hash_of(absent)))
        built = tmp_path / "small"
        subprocess.run(
            ["gcc", "-nostartfiles", tmp_path / "small.c", "-o", built, f"-Wl,-rpath,{folder}",
             f"-Wl,--dynamic-linker={folder}/{loader.name}"],
            check=True,
        )  # fmt: skip
        # As distributions have it: the file is in another folder than the link to it.
        links = folder / "links"
        links.mkdir()
        (links / loader.name).symlink_to(f"../{loader.name}")
        linked = tmp_path / "linked"
        subprocess.run(
            ["gcc", "-nostartfiles", tmp_path / "small.c", "-o", linked, f"-Wl,-rpath,{folder}",
             f"-Wl,--dynamic-linker={links}/{loader.name}"],
            check=True,
        )  # fmt: skip
        return built, linked

    return make


@pytest.mark.parametrize("is_older", [True, False])
def test_another_c_library(corewise, library, other_c_library, is_older):
    answer = "without\n" if is_older else "preload\n"
    chosen = {"COREWISE_LIBRARY": str(library)}
    for small in other_c_library(is_older):
        done = corewise("run", "-q", "--", "sh", "-c", f"{small}; exit $?", env=chosen)
        assert (done.returncode, done.stdout, done.stderr) == (5, answer, "")
        done = corewise("run", "--", small, env=chosen)
        assert (done.returncode, done.stdout) == (5, answer), done.stderr
        assert is_older == ("has an older C library" in done.stderr)
