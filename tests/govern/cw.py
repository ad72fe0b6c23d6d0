"""corewise.h's governing functions, without any binding: only what a test process needs."""

import atexit
import ctypes
import json
import os
import pathlib
import socket

LIBRARY = ctypes.CDLL(os.environ["COREWISE_LIBRARY"])
LIBRARY.cw_last_error.restype = ctypes.c_char_p
LIBRARY.cw_govern_report_json.restype = ctypes.c_size_t


class Options(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_size_t),
        ("budget", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("group", ctypes.c_char_p),
    ]


def govern(budget=0, group=None, flags=1):
    # A group of its own keeps tests of different processes apart.
    name = f"test-{os.getpid()}" if group is None else group
    options = Options(ctypes.sizeof(Options), budget, flags, name.encode())
    if LIBRARY.cw_govern(ctypes.byref(options)) != 0:
        raise RuntimeError(LIBRARY.cw_last_error().decode())
    if group is None and (path := report()["ledger"]["path"]):
        atexit.register(pathlib.Path(path).unlink, missing_ok=True)


def ungovern():
    LIBRARY.cw_ungovern()


def report():
    size = LIBRARY.cw_govern_report_json(None, 0) + 4096
    text = ctypes.create_string_buffer(size)
    LIBRARY.cw_govern_report_json(text, size)
    return json.loads(text.value)


def ask(request):
    """The answer of this process's own control socket."""
    fd = ctypes.c_int()
    for status in (
        LIBRARY.cw_control_start(),
        LIBRARY.cw_control_connect(os.getpid(), ctypes.byref(fd)),
    ):
        if status != 0:
            raise RuntimeError(LIBRARY.cw_last_error().decode())
    with socket.socket(fileno=fd.value) as client, client.makefile("rw") as lines:
        lines.write(json.dumps(request) + "\n")
        lines.flush()
        return json.loads(lines.readline())


class Rule(ctypes.Structure):
    _fields_ = [
        ("match", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("id", ctypes.c_uint32),
        ("threads", ctypes.c_int32),
    ]


class Limits:
    """A limit of the calling thread's OpenMP counts, until close()."""

    def __init__(self, threads):
        api = 1  # CW_MATCH_API
        rule, self._made = Rule(api, b"openmp", 0, threads), ctypes.c_void_p()
        if (
            LIBRARY.cw_limits_open(
                ctypes.byref(rule), ctypes.c_size_t(1), None, ctypes.byref(self._made)
            )
            != 0
        ):
            raise RuntimeError(LIBRARY.cw_last_error().decode())

    def close(self):
        LIBRARY.cw_limits_close(self._made, None)
        LIBRARY.cw_limits_free(self._made)


def probe(name):
    library = ctypes.CDLL(os.path.join(os.environ["COREWISE_PROBES"], f"libprobe_{name}.so"))
    library.probe_sums.restype = ctypes.c_long
    library.probe_many.restype = ctypes.c_long
    library.probe_twenty.restype = ctypes.c_long
    library.probe_task_reduction.restype = ctypes.c_long
    return library


VISIT = ctypes.CFUNCTYPE(None)
