"""The budget of a running program: a thread that OpenMP binds does not change the process's mask, a
mask that somebody narrows does. Run by ctest, as test_govern.py is."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from test_govern import ENVIRONMENT, HERE, RUNTIMES

CPUS = sorted(os.sched_getaffinity(0))
pytestmark = pytest.mark.skipif(len(CPUS) < 2, reason="needs two CPUs")
FIRST = str(CPUS[0])
BINDING = [
    {"OMP_PROC_BIND": "true"},
    {"OMP_PLACES": "cores"},
    {"OMP_PLACES": f"{{{FIRST}}}"},
    {"GOMP_CPU_AFFINITY": FIRST},
    {"KMP_AFFINITY": "granularity=fine,compact,1,0"},
]
MODULE = """
import ctypes, json, os, sys, time, cw
def budget(): return cw.report()["budget"]
def only(*cpus, pid=0): os.sched_setaffinity(pid, cpus)
all = sorted(os.sched_getaffinity(0))
def in_child(work):
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try: os.write(w, json.dumps(work()).encode())
        finally: os._exit(0)
    os.close(w)
    got = os.read(r, 1000)
    os.waitpid(pid, 0)
    return json.loads(got)
"""


def run(script, *arguments, **environment):
    env = {k: v for k, v in ENVIRONMENT.items() if not k.startswith(("KMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-c", MODULE + textwrap.dedent(script), *arguments],
        env=env | environment | {"PYTHONPATH": str(HERE)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def name(settings):
    return "".join(f"{k}={v}" for k, v in settings.items())


@pytest.mark.parametrize("early", [True, False], ids=["probe first", "govern first"])
@pytest.mark.parametrize("settings", BINDING, ids=name)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_that_binds_the_main_thread_leaves_the_budget(runtime, settings, early):
    got = run(
        """
        if sys.argv[2] == "True": p = cw.probe(sys.argv[1])
        cw.govern()
        if sys.argv[2] != "True": p = cw.probe(sys.argv[1])
        loaded = budget()
        p.probe_set_threads(2)
        team = p.probe_team()
        out = [loaded, budget(), team]
        if sys.argv[3] == "forks":
            out += [in_child(budget), budget(), in_child(lambda: (only(all[-1]), budget())[1])]
        print(json.dumps(out))
        """,
        runtime,
        str(early),
        # A child of libomp 14 that was given one place alone dies in its own handler of forks.
        "forks" if (runtime, name(settings)) != ("omp14", f"OMP_PLACES={{{FIRST}}}") else "",
        **settings,
    )
    assert got[:3] == [len(CPUS), len(CPUS), 2]
    assert got[3:] in ([], [len(CPUS), len(CPUS), 1])


@pytest.mark.parametrize("settings", BINDING, ids=name)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_governing_begins_after_the_first_region(runtime, settings):
    got = run(
        """
        p = cw.probe(sys.argv[1])
        p.probe_set_threads(2)
        p.probe_team()
        cw.govern()
        print(json.dumps(budget()))
        """,
        runtime,
        **settings,
    )
    assert got == len(CPUS)


def test_a_narrowed_mask_is_followed_and_so_is_a_wider_one():
    got = run(
        """
        cw.govern(group="", flags=0)
        out = [budget()]
        only(all[0]); out.append(budget())
        out.append(in_child(budget))
        out.append(in_child(lambda: (only(*all), budget())[1]))
        only(*all); out.append(budget())
        out.append(in_child(lambda: (only(all[1]), budget())[1]))
        out.append(budget())
        keys = set()
        for i in range(50): only(all[i % 2]); keys.add(cw.report()["ledger"]["key"])
        maps = open("/proc/self/maps").read().count("corewise")
        for i in range(50): only(all[i % 2]); cw.report()
        out += [len(keys), open("/proc/self/maps").read().count("corewise") - maps]
        print(json.dumps(out))
        """
    )
    n = len(CPUS)
    assert got == [n, 1, 1, n, n, 1, n, 2, 0]


def test_a_thread_that_is_pinned_is_not_the_process():
    got = run(
        """
        import threading
        cw.govern()
        seen = []
        def work(): only(all[0]); seen.append(budget())
        t = threading.Thread(target=work); t.start(); t.join()
        print(json.dumps(seen + [budget()]))
        """
    )
    assert got == [len(CPUS), len(CPUS)]


def test_calls_are_bounded_by_a_mask_that_somebody_else_narrowed():
    # Nothing loads and nobody asks: the gate itself sees the change.
    runtime = next(r for r in RUNTIMES if r.endswith("gomp"))
    got = run(
        """
        import subprocess
        cw.govern(flags=0)
        p = cw.probe(sys.argv[1]); p.probe_set_threads(2)
        def teams():
            end = time.monotonic() + 20
            got = None
            while time.monotonic() < end:
                got = p.probe_team()
                if got == want: return got
                time.sleep(0.06)  # too long for hints about other work
            return got
        out = []
        want = 2; out.append(teams())
        subprocess.run(["taskset", "-acp", str(all[0]), str(os.getpid())], check=True, stdout=subprocess.DEVNULL)
        want = 1; out.append(teams())
        subprocess.run(["taskset", "-acp", ",".join(map(str, all)), str(os.getpid())], check=True, stdout=subprocess.DEVNULL)
        want = 2; out.append(teams())
        print(json.dumps(out))
        """,
        runtime,
        COREWISE_BEND="/libprobe",
    )
    assert got == [2, 1, 2]


C_PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <omp.h>
#include <stdio.h>
int main(void) {
  int team = 0;
  static char text[65536];
#pragma omp parallel num_threads(2)
#pragma omp master
  team = omp_get_num_threads();
  size_t (*report)(char*, size_t) = 0;
  *(void**)&report = dlsym(RTLD_DEFAULT, "cw_govern_report_json");
  report(text, sizeof text);
  printf("[%d, %s]\n", team, text);
  return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Linked with libgomp, and with LLVM's runtime where that is here."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "p.c").write_text(C_PROGRAM)
    subprocess.run(["gcc", "-fopenmp", "-c", "p.c"], cwd=folder, check=True)
    made = {}
    for runtime, link in {"libgomp": "-fopenmp", "libomp": "-l:libomp.so.5"}.items():
        done = subprocess.run(["gcc", "p.o", "-o", runtime, link, "-ldl"], cwd=folder, check=False)
        if done.returncode == 0:
            made[runtime] = str(folder / runtime)
    return made


@pytest.mark.parametrize("launcher", [[], ["taskset", "-c", FIRST]], ids=["all", "taskset"])
@pytest.mark.parametrize("settings", BINDING, ids=name)
@pytest.mark.parametrize("runtime", ["libgomp", "libomp"])
def test_a_program_that_is_linked_with_the_runtime(program, runtime, settings, launcher):
    if runtime not in program:
        pytest.skip("no such runtime here")
    preload = {"LD_PRELOAD": os.environ["COREWISE_LIBRARY"], "COREWISE_GOVERN": "1"}
    env = {k: v for k, v in ENVIRONMENT.items() if not k.startswith(("KMP_", "GOMP_"))}
    done = subprocess.run(
        [*launcher, program[runtime]],
        env=env | settings | preload,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    team, report = json.loads(done.stdout)
    assert team == 2
    assert report["budget"] == (1 if launcher else len(CPUS))
