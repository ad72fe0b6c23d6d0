// What the child of `corewise info --import` runs: plain Python 3, any version, no package.
//
// Arguments: file descriptor, libcorewise.so, modules. It answers on the descriptor with strings
// that end in NUL, the first naming the kind and the number of those that follow:
//   I module | F module reason | E reason | P and the 9 columns of a pool | J pools as JSON | D
#pragma once

namespace corewise::cli {

inline constexpr const char* kImportScript = R"python(
import os, sys

fd, library, modules = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
sys.argv = [""]


def say(*fields):
    data = b"".join(
        str(f).encode("utf-8", "surrogateescape").replace(b"\0", b"?") + b"\0" for f in fields
    )
    while data:
        data = data[os.write(fd, data):]


import importlib

for module in modules:
    say("I", module)
    try:
        importlib.import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        reason = " ".join(str(error).split()) or "no reason given"
        say("F", module, type(error).__name__ + ": " + reason)

try:
    import ctypes, json

    ask = ctypes.CDLL(library).cw_info_json
    ask.restype, ask.argtypes = ctypes.c_size_t, [ctypes.c_char_p, ctypes.c_size_t]
    size = ask(None, 0) + 1
    text = ctypes.create_string_buffer(size)
    ask(text, size)
    pools = json.loads(text.value.decode("utf-8"))["pools"]
    for pool in pools:
        keys = "api threads scope runtime version layer architecture path detail".split()
        say("P", *["" if pool[key] is None else pool[key] for key in keys])
    say("J", json.dumps(pools, separators=(",", ":")))
    say("D")
except BaseException as error:
    say("E", type(error).__name__ + ": " + " ".join(str(error).split()))
sys.stdout.flush()
os._exit(0)
)python";

}  // namespace corewise::cli
