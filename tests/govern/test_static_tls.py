"""How much libcorewise takes of the room that the loader keeps for thread-local variables of
libraries that are loaded later: 1,664 bytes for all of them. If it takes too much, later libraries
fail with "cannot allocate memory in static TLS block"; on arm64 first scikit-learn's libgomp."""

import os
import pathlib
import shutil
import struct
import subprocess
import sys

import pytest

LIBRARY = pathlib.Path(os.environ["COREWISE_LIBRARY"])
GOMP = pathlib.Path("/usr/lib/x86_64-linux-gnu/libgomp.so.1")
MOST = 256


def test_size():
    image = LIBRARY.read_bytes()
    start, size, count = struct.unpack_from("<Q", image, 32) + struct.unpack_from("<HH", image, 54)
    headers = [struct.unpack_from("<II6Q", image, start + i * size) for i in range(count)]
    (tls,) = [memory for kind, _, _, _, _, _, memory, _ in headers if kind == 7]
    assert tls <= MOST


@pytest.mark.skipif(not GOMP.exists(), reason="needs libgomp1")
@pytest.mark.parametrize("order", ["corewise first", "corewise last"])
def test_beside_ten_libgomps(order, tmp_path):
    copies = [tmp_path / f"libgomp-{i}.so" for i in range(10)]
    for copy in copies:
        shutil.copy(GOMP, copy)
    libraries = [str(LIBRARY), *map(str, copies)]
    if order == "corewise last":
        libraries.reverse()
    code = "import ctypes, sys; print(len([ctypes.CDLL(each) for each in sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *libraries], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("11\n", "")
