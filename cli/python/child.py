"""Code that our Python children run: plain Python 3, any version, no package.

Children answer with records of strings that end in NUL. The first string names the kind, and so how
many strings follow (records.h reads them):
  I module | F module reason | E reason | L file | P pools as JSON | X findings as JSON | D
L names a file that is loaded.
The parent appends a call of one of the functions at the end to this text."""

import os
import sys


def record(*fields):
    return b"".join(
        str(f).encode("utf-8", "surrogateescape").replace(b"\0", b"?") + b"\0" for f in fields
    )


def in_words(error):
    return type(error).__name__ + ": " + (" ".join(str(error).split()) or "no reason given")


def pools(library):
    import ctypes

    ask = ctypes.CDLL(library).cw_info_json
    ask.restype, ask.argtypes = ctypes.c_size_t, [ctypes.c_char_p, ctypes.c_size_t]
    size = ask(None, 0) + 1
    text = ctypes.create_string_buffer(size)
    ask(text, size)
    return record("P", text.value.decode("utf-8"))


def findings(library):
    import ctypes

    ask = ctypes.CDLL(library).cw_doctor_json
    needed = ctypes.c_size_t(1 << 16)
    text = b""
    while len(text) < needed.value:
        text = ctypes.create_string_buffer(needed.value)
        if ask(text, ctypes.c_size_t(len(text)), ctypes.byref(needed)) != 0:
            raise RuntimeError("the doctor has nothing to say")
    return record("X", text.value.decode("utf-8"))


def loaded_files():
    try:
        with open("/proc/self/maps", "rb") as maps:
            lines = [line.rstrip(b"\n").split(None, 5) for line in maps]
    except OSError:
        return b""
    files = {os.fsdecode(line[5]) for line in lines if len(line) == 6 and b".so" in line[5]}
    return b"".join(record("L", file) for file in sorted(files))


def import_and_tell():
    """Arguments: file descriptor, libcorewise.so, "pools" or "findings", modules."""
    import importlib

    fd, library, question, modules = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    sys.argv = [""]

    def say(data):
        while data:
            data = data[os.write(fd, data) :]

    for module in modules:
        say(record("I", module))
        try:
            importlib.import_module(module)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            say(record("F", module, in_words(error)))
    try:
        say(loaded_files())
        say({"pools": pools, "findings": findings}[question](library))
        say(record("D"))
    except BaseException as error:
        say(record("E", in_words(error)))
    sys.stdout.flush()
    os._exit(0)


def tell_at_exit():
    """For a sitecustomize.py: examines every Python program, children included, that starts with
    this folder on its path, as the program ends; one that dies leaves a report of its death. Then
    imports the sitecustomize that it hides."""
    import atexit

    def tell(folder, library, pid=os.getpid):
        try:
            told = pools(library) + findings(library) + record("D")
        except BaseException as error:
            told = record("E", in_words(error))
        try:
            with open(os.path.join(folder, str(pid())), "wb") as file:
                file.write(told)
        except OSError:
            pass

    here = os.path.dirname(os.path.abspath(__file__))
    library = os.environ.get("COREWISE_LIBRARY", "")
    atexit.register(tell, here, library)
    # One that dies leaves a report instead, as under `corewise run`.
    try:
        import ctypes

        ctypes.CDLL(library).cw_watch_death()
    except Exception:
        pass
    sys.path[:] = [folder for folder in sys.path if os.path.abspath(folder) != here]
    own = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ModuleNotFoundError:
        if own is not None:
            sys.modules["sitecustomize"] = own
