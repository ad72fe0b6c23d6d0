"""Makes the recorded processes: small libraries with the symbols that prove a runtime, and the
files of /proc/PID as they would stand for a process that loaded them. Run once; results are kept.
"""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).parent / "processes"
MODULES = HERE / "modules"

OPENBLAS = """
const char config[] = "OpenBLAS 0.3.99 DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64";
int blas_cpu_number = 1;
char gotoblas_HASWELL[16] = "kernels", gotoblas_ZEN[16] = "kernels";
void *gotoblas = 0;
static void *blas_threads[32];
void exec_blas_async(void) {}
void **use(void) { return blas_threads; }
int scipy_openblas_get_num_threads64_(void) { return blas_cpu_number; }
void scipy_openblas_set_num_threads64_(int n) { blas_cpu_number = n; }
const char *scipy_openblas_get_config64_(void) { return config; }
"""
OPENMP = """
int omp_get_max_threads(void) { return 1; }
void omp_set_num_threads(int n) { (void)n; }
void GOMP_parallel(void) {}
"""
MKL = """
int MKL_Get_Max_Threads(void) { return 1; }
int MKL_Set_Num_Threads_Local(int n) { return n; }
void MKL_Get_Version_String(char *text, int size) { text[0] = (char)size; }
"""
LIBRARIES = {
    "libscipy_openblas64_-0f683016.so": OPENBLAS,
    "libgomp-d22c30c5.so.1.0.0": OPENMP,
    "libtorch_cpu.so": MKL,
    "libplain.so": "int answer(void) { return 42; }",
}


def build(name, source):
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / "a.c"
        code.write_text(source)
        out = MODULES / "opt" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["cc", "-shared", "-nostdlib", "-fPIC", "-Os", "-fno-asynchronous-unwind-tables",
             "-fcf-protection=none", "-Wl,-z,noseparate-code,-z,norelro,--build-id=none",
             "-Wl,--hash-style=gnu", f"-Wl,-soname,{name}", "-o", out, code],
            check=True,
        )  # fmt: skip
        subprocess.run(["strip", "--strip-unneeded", "-K", "blas_threads", out], check=True)


def segments(path):
    data = path.read_bytes()
    offset, size, count = (
        struct.unpack_from("<Q", data, 32)[0],
        *struct.unpack_from("<HH", data, 54),
    )
    for i in range(count):
        kind, flags, at, address, _, in_file, in_memory, _ = struct.unpack_from(
            "<IIQQQQQQ", data, offset + i * size
        )
        if kind == 1:
            yield flags, at, address, in_file, in_memory


def symbol(path, name):
    listing = subprocess.run(["nm", "-D", path], capture_output=True, text=True, check=True).stdout
    return next(
        int(line.split()[0], 16) for line in listing.splitlines() if line.endswith(" " + name)
    )


def mapped(name, base, *, suffix="", shown=None):
    lines = ""
    for flags, at, address, _, in_memory in segments(MODULES / "opt" / name):
        begin, end = address & ~4095, (address + in_memory + 4095) & ~4095
        rights = (
            ("r" if flags & 4 else "-") + ("w" if flags & 2 else "-") + ("x" if flags & 1 else "-")
        )
        lines += (
            f"{base + begin:x}-{base + end:x} {rights}p {at & ~4095:08x} 08:01 4711"
            f"                       {shown or '/opt/' + name}{suffix}\n"
        )
    return lines


def image(name, base):
    data = (MODULES / "opt" / name).read_bytes()
    return "".join(
        f"{base + address:x} {data[at : at + in_file].hex()}\n"
        for _, at, address, in_file, _ in segments(MODULES / "opt" / name)
    )


def case(name, *, maps, status=None, environ="", memory=None, cmdline="python\0train.py\0"):
    folder = HERE / name
    folder.mkdir(parents=True)
    (folder / "root").symlink_to("../modules")
    (folder / "maps").write_text(maps)
    (folder / "status").write_text(
        status
        or "Name:\tpython\nState:\tS (sleeping)\nPPid:\t1\nUid:\t1000\t1000\t1000\t1000\n"
        "VmSize:\t  100000 kB\nThreads:\t9\nCpus_allowed_list:\t0-3,8\n"
    )
    (folder / "environ").write_text(environ)
    (folder / "cmdline").write_text(cmdline)
    if memory is not None:
        (folder / "memory").write_text(memory)


BLAS, GOMP, TORCH = list(LIBRARIES)[:3]
A, B, C = 0x7F0000000000, 0x7F0000100000, 0x7F0000200000
PROGRAM = "5500000000-5500001000 r-xp 00000000 08:01 1    /usr/bin/python3\n"


def number(base, name, value, size=4):
    return (
        f"{base + symbol(MODULES / 'opt' / BLAS, name):x} {value.to_bytes(size, 'little').hex()}\n"
    )


def main():
    shutil.rmtree(HERE, ignore_errors=True)
    for name, source in LIBRARIES.items():
        build(name, source)
    kernels = A + symbol(MODULES / "opt" / BLAS, "gotoblas_HASWELL")
    counts = number(A, "blas_cpu_number", 6) + number(A, "gotoblas", kernels, 8)
    both = mapped(BLAS, A) + mapped(GOMP, B)

    case("plain", maps=both, memory=counts, environ="OMP_NUM_THREADS=4\0HOME=/root\0")
    case("memory-refused", maps=both)
    case("not-started", maps=mapped(BLAS, A), memory=number(A, "blas_cpu_number", 0))
    case("nonsense-count", maps=mapped(BLAS, A), memory=number(A, "blas_cpu_number", 2**31))
    case(
        "two-copies",
        maps=mapped(BLAS, A) + mapped(BLAS, C),
        memory=counts + number(C, "blas_cpu_number", 3),
    )
    case("mkl-in-torch", maps=mapped(TORCH, A) + mapped("libplain.so", B), memory="")
    case("no-pools", maps=mapped("libplain.so", A), memory="")
    gone = {"suffix": " (deleted)", "shown": "/opt/gone.so"}
    case("deleted", maps=mapped(BLAS, A, **gone), memory=image(BLAS, A) + counts)
    case("deleted-refused", maps=mapped(BLAS, A, **gone))
    case(
        "torn-maps",
        maps="\0\0\n7f-\nzzzz-yyyy r-xp\n9-1 r-xp 0 0:0 0 /opt/backwards.so\n\n"
        + both[:-9]
        + "\nffffffffffffffffffff-1 r-xp 00000000 08:01 1 /opt/overflow.so\n7f00003000",
        memory="zz\n7f\n7f000 q\n" + counts,
    )
    case("garbage-maps", maps="these are not the mappings of a process\n" * 3)
    case("empty-maps", maps="")
    case(
        "zombie",
        maps="",
        status="Name:\tpython\nState:\tZ (zombie)\nPPid:\t17\nUid:\t1000\t1000\t1000\t1000\n",
    )
    case(
        "kernel-thread",
        maps="",
        status="Name:\tkthreadd\nState:\tS (sleeping)\nPPid:\t0\nUid:\t0\t0\t0\t0\nThreads:\t1\n",
    )
    odd = HERE / "hostile-modules"
    whole = (MODULES / "opt" / BLAS).read_bytes()
    names = {
        "cut.so": whole[:300],
        "empty.so": b"",
        "text.so": b"no ELF at all\n" * 9,
        "counts.so": whole[:56] + b"\xff\xff" + whole[58:],
        "far.so": whole[:32] + b"\xf0" + b"\xff" * 7 + whole[40:],
    }
    maps = PROGRAM
    for i, name in enumerate([*names, "folder.so", "missing.so"]):
        begin = A + i * 0x10000
        maps += f"{begin:x}-{begin + 4096:x} r-xp 00000000 08:01 1 /opt/{name}\n"
    case("hostile-modules", maps=maps, memory="1000 00\n")
    (odd / "root").unlink()
    (odd / "root/opt/folder.so").mkdir(parents=True)
    (odd / "root/opt/folder.so/keep").write_text("")
    for name, data in names.items():
        (odd / "root/opt" / name).write_bytes(data)


if __name__ == "__main__":
    main()
