"""Records functions of a library as fixtures: python record.py NAME LIBRARY [SYMBOL...]

Each becomes fixtures/NAME-SYMBOL.hex: the address in the file, then the function's bytes.
"""

import pathlib
import re
import subprocess
import sys


def symbol(library, name):
    table = subprocess.run(["nm", "-S", library], capture_output=True, text=True).stdout
    table += subprocess.run(["nm", "-DS", library], capture_output=True, text=True).stdout
    found = re.search(rf"^(\w+) (\w+) [tT] {name}(@\S*)?$", table, re.M)
    return (int(found[1], 16), int(found[2], 16)) if found else None


def offset_of(library, address):
    headers = subprocess.run(["readelf", "-lW", library], capture_output=True, text=True).stdout
    for offset, at, size in re.findall(r"LOAD\s+0x(\w+) 0x(\w+) 0x\w+ 0x(\w+)", headers):
        begin = int(at, 16)
        if begin <= address < begin + int(size, 16):
            return address - begin + int(offset, 16)
    raise ValueError(f"{address:x} is in no segment of {library}")


def main(name, library, *symbols):
    folder = pathlib.Path(__file__).parent / "fixtures"
    for wanted in symbols or ("blas_memory_alloc", "blas_memory_free"):
        address, size = symbol(library, wanted)
        with open(library, "rb") as file:
            file.seek(offset_of(library, address))
            code = file.read(size)
        lines = [code[i : i + 32].hex(" ") for i in range(0, size, 32)]
        (folder / f"{name}-{wanted}.hex").write_text("\n".join([f"{address:x}", *lines, ""]))


if __name__ == "__main__":
    main(*sys.argv[1:])
