"""run --try-bend: whether a library gives the same results from smaller teams."""

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import CLEAN

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")

LIBRARY = r"""
#include <omp.h>
#include <stdlib.h>
#include <unistd.h>
long mine(char how, long n) {
  long sum = 0;
  int team = omp_get_max_threads(), here = 0;
  long** parts = calloc(team, sizeof *parts);
  if (how == 'b') { /* bends */
#pragma omp parallel for reduction(+ : sum)
    for (long i = 0; i < n; ++i) sum += i;
  }
  if (how == 'd') { /* divides by the number that it asked for */
#pragma omp parallel reduction(+ : sum)
    for (long i = omp_get_thread_num() * n / team; i < (omp_get_thread_num() + 1) * n / team; ++i)
      sum += i;
  }
  if (how == 'c') { /* crashes where a thread is missing */
#pragma omp parallel
    parts[omp_get_thread_num()] = malloc(sizeof(long));
    for (int i = 0; i < team; ++i) *parts[i] = i;
  }
  if (how == 'h') { /* waits for all of them */
#pragma omp parallel
    {
      __atomic_add_fetch(&here, 1, __ATOMIC_SEQ_CST);
      while (__atomic_load_n(&here, __ATOMIC_SEQ_CST) < team) usleep(1000);
    }
  }
  if (how == 'e') { /* its exit code depends on it */
#pragma omp parallel reduction(+ : sum)
    sum += 1;
    sum = sum != team;
  }
  return sum;
}
double mine_inverse(long n) {
  double sum = 0;
#pragma omp parallel for reduction(+ : sum)
  for (long i = 1; i < n; ++i) sum += 1.0 / i;
  return sum;
}
"""

PROGRAM = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
long mine(char how, long n);
double mine_inverse(long n);
int main(int argc, char** argv) {
  const char* words = argv[1];
  long sum = 0;
  for (int i = 0; i < 20; ++i) sum += mine(words[0], 100000 + i);
  printf("a line that is the same\n");
  if (words[0] != 'q') printf("sum %ld\n", sum);
  if (strchr(words, 'p')) printf("pid %d\n", getpid());
  if (strchr(words, 'r')) printf("inverse %.17g\n", mine_inverse(1000000));
  if (strchr(words, 'l')) {
    fputs("first\n", stderr);
    for (int i = 0; i < 1000000; ++i) putc('x', stderr);
  }
  if (strchr(words, 'k')) abort();
  return words[0] == 'e' && sum ? 3 : 0;
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """mytest over libmine.so; inside, which has the same in itself."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.c").write_text(LIBRARY)
    (folder / "mytest.c").write_text(PROGRAM)
    gcc = ["gcc", "-O1", "-fopenmp"]
    for words in (
        [*gcc, "-shared", "-fPIC", "mine.c", "-o", "libmine.so"],
        ["gcc", "mytest.c", "-L.", "-lmine", "-Wl,-rpath,$ORIGIN", "-o", "mytest"],
        [*gcc, "mytest.c", "mine.c", "-o", "inside"],
    ):
        subprocess.run(words, cwd=folder, check=True)
    return folder


@pytest.fixture
def tried(corewise, folder):
    def tried(how, *options, name="libmine", program="./mytest", threads="4", env=None):
        words = ["run", "--try-bend", name, *options, "--", program, how]
        environment = {"OMP_NUM_THREADS": threads, "XDG_STATE_HOME": str(folder / "state")}
        return corewise(*words, cwd=folder, env=environment | (env or {}))

    return tried


def test_one_that_bends(tried):
    done = tried("b", "--seed", "7")
    first, sizes, matched, _next, *toml = done.stdout.splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    assert first.startswith("libmine bends: 5 of 5 runs with ")
    assert first.endswith(" of 100 regions cut gave the same output.")
    assert sizes == "Teams of 4 threads ran on 1, 2 and 3; seeds 7 to 11."
    assert matched.startswith("'libmine' is the name of /") and matched.endswith("/libmine.so.")
    assert toml == ["  [govern]", '  bend = ["libmine"]']
    # What the program prints is not mixed with it.
    assert "sum" not in done.stdout + done.stderr
    assert done.stderr.startswith("corewise: the program runs whole, twice, then up to 5 times")


def test_the_same_seed_cuts_the_same(tried):
    def runs():
        told = json.loads(tried("b", "--json", "--seed", "5", "--tries", "2").stdout)
        return [(run["seed"], run["cut"]) for run in told["runs"]]

    first = runs()
    assert first == runs()
    assert [seed for seed, _ in first] == [5, 6] and all(cut > 0 for _, cut in first)


def test_one_that_divides_by_its_number_is_refuted(tried):
    done = tried("d", "--seed", "7")
    assert done.returncode == 10, done.stdout
    first, where, whole, cut, *_, again = done.stdout.splitlines()
    assert first.startswith("libmine does not bend: run 1 (seed 7) printed something else, with ")
    assert where == "The first line that differs is 2:"
    assert whole.startswith("  whole  sum 1") and cut.startswith("  cut    sum ") and cut != whole
    assert again == "The same run again: the same command with --seed 7 --tries 1."
    told = json.loads(tried("d", "--seed", "7", "--json").stdout)
    assert told["verdict"] == "does_not_bend" and told["difference"]["line"] == 2
    assert len(told["runs"]) == 1 and told["runs"][0]["cut"] > 0


def test_one_that_crashes(tried):
    done = tried("c")
    assert done.returncode == 10, done.stdout
    assert "killed by signal 11" in done.stdout and "in place of exit code 0" in done.stdout
    # Its counts are known though it was killed.
    assert ", with 0 of" not in done.stdout and "region" in done.stdout.splitlines()[0]


def test_one_that_hangs_is_killed(tried, folder):
    done = tried("h")
    assert done.returncode == 10, done.stdout
    assert "had not ended after 1" in done.stdout and "(whole it takes" in done.stdout
    left = subprocess.run(["pgrep", "-f", "^./mytest h$"], capture_output=True, text=True).stdout
    assert left == ""


def test_long_lines_are_cut(tried):
    """A megabyte without an end, as progress bars write it; it took hours."""
    done = tried("bkl", "--tries", "1")
    assert done.stdout.splitlines()[1:] == ["It said last:", "  first", "  " + "x" * 69 + ">"]


def test_an_exit_code_is_compared(tried):
    done = tried("e")
    assert done.returncode == 10
    assert "ended otherwise (exit code 3 in place of exit code 0)" in done.stdout


def test_a_library_that_is_not_loaded(tried):
    done = tried("b", name="libelse")
    assert done.returncode == 11
    assert done.stdout.splitlines()[0] == (
        "No region of libelse was cut: nothing was tried, as no library of that name was loaded."
    )
    assert "libmine.so" in done.stdout
    told = json.loads(tried("b", "--json", name="libelse").stdout)
    assert told["verdict"] == "nothing_tried" and told["cut"] == 0
    assert [path.rpartition("/")[2] for path in told["region_modules"]] == ["libmine.so"]


def test_a_library_whose_regions_want_one_thread(tried):
    done = tried("b", threads="1")
    assert done.returncode == 11 and "none that ran wanted more than one thread" in done.stdout
    done = tried("q")
    assert done.returncode == 11 and "none that ran wanted" in done.stdout


def test_a_library_without_regions(tried):
    done = tried("b", name="libc.so")
    assert done.returncode == 11 and "calls no OpenMP runtime" in done.stdout


def test_a_program_that_is_not_reproducible(tried):
    done = tried("bp")
    assert done.returncode == 12, done.stdout
    assert "libmine may bend" in done.stdout and "not reproducible" in done.stdout
    assert "  first  pid " in done.stdout and "  second pid " in done.stdout
    # Crashes are refuted all the same.
    assert tried("cp").returncode == 10


def test_rounding_is_no_difference(tried):
    done = tried("qr", "--seed", "7")
    assert done.returncode == 0, done.stdout
    told = json.loads(tried("qr", "--seed", "7", "--json").stdout)
    assert told["verdict"] == "bends" and 0 < told["rounding"] < 1e-12


def test_a_program_that_dies_whole(tried):
    done = tried("bk")
    assert done.returncode == 11
    assert "Nothing was tried: whole, the program was killed by signal 6" in done.stdout


def test_the_program_itself(tried):
    done = tried("b", name="inside", program="./inside")
    assert done.returncode == 0 and "inside bends: 5 of 5 runs" in done.stdout
    done = tried("d", name="/inside", program="./inside")
    assert done.returncode == 10


def test_children_count_too(corewise, folder):
    words = ("run", "--try-bend", "libmine", "--json", "--", "sh", "-c", "./mytest b; ./mytest b")
    told = json.loads(corewise(*words, cwd=folder, env={"OMP_NUM_THREADS": "4"}).stdout)
    assert told["verdict"] == "bends" and told["regions"] == 200


def test_only_that_library_bends(tried):
    # Whatever else the environment has bend or keeps whole.
    for env in ({"COREWISE_BEND": "libmine"}, {"COREWISE_EXACT_TEAMS": "/"}):
        assert tried("b", env=env).returncode == 0
        assert tried("b", name="libelse", env=env).returncode == 11


def test_small_teams_and_silence_are_said(tried):
    done = tried("b", "--tries", "20", threads="2")
    assert done.returncode == 0 and "Larger teams were not tried: --openmp 8" in done.stdout
    done = tried("b", "--openmp", "8")
    assert "Teams of 8 threads" in done.stdout and "Larger" not in done.stdout


@pytest.mark.parametrize("name", ["libmine", "libmine.so"])
@pytest.mark.parametrize("file", [True, False])
def test_one_that_bends_without_the_trial(tried, folder, name, file):
    toml = folder / "corewise.toml"
    env = {} if file else {"COREWISE_BEND": f"other:{name}"}
    where, what = (toml, "bend there") if file else ("COREWISE_BEND", "that variable")
    if file:
        toml.write_text(f'[govern]\nbend = ["other", "{name}"]\n')
    try:
        done = tried("d", env=env)
        assert f"{where} names it: take '{name}' out of {what}" in done.stdout
        assert "as it is unless" not in done.stdout
        assert f"{where} has it bend already." in tried("b", env=env).stdout
    finally:
        toml.unlink(missing_ok=True)


def test_the_libraries_that_it_matched_are_listed(tried, folder):
    told = json.loads(tried("b", "--json").stdout)
    assert told["libraries"] == [f"{folder}/libmine.so"]
    assert json.loads(tried("b", "--json", name="libelse").stdout)["libraries"] == []


def test_a_name_is_no_folder(tried, folder):
    # With a slash it is a part of the path.
    assert tried("b", name=folder.name).returncode == 11
    assert tried("b", name=f"{folder.name}/").returncode == 0


def test_what_the_program_prints_on_request(tried):
    done = tried("b", "--verbose", "--tries", "1", "--seed", "3")
    assert done.stdout.startswith("libmine bends: 1 of 1 runs")
    assert done.stderr.count("sum ") == 3
    assert "corewise: whole:\n" in done.stderr and "corewise: seed 3:\n" in done.stderr
    assert tried("b", "-q", "--tries", "1").stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--try-bend", ""),
        ("--try-bend", "a:b"),
        ("--try-bend", "libmine", "--no-govern"),
        ("--try-bend", "libmine", "--report"),
        ("--try-bend", "libmine", "--tries", "0"),
        ("--try-bend", "libmine", "--tries", "x"),
        ("--try-bend", "libmine", "--seed", "-1"),
        ("--tries", "3"),
        ("--seed", "3"),
        ("--verbose",),
    ],
)
def test_what_makes_no_sense(corewise, words):
    done = corewise("run", *words, "--", "true")
    assert done.returncode == 2 and "run: " in done.stderr and done.stdout == ""


def test_what_cannot_be_started(corewise):
    assert corewise("run", "--try-bend", "x", "--", "no-such-program-here").returncode == 127


def test_ctrl_c_ends_all_of_it(program, folder):
    words = [program, "run", "--try-bend", "libmine", "--", "sh", "-c", "./mytest b; exec sleep 77"]
    child = subprocess.Popen(words, cwd=folder, env=CLEAN, stdout=subprocess.PIPE, text=True)
    for _ in range(600):
        found = subprocess.run(["pgrep", "-x", "-f", "sleep 77"], capture_output=True, text=True)
        if found.stdout:
            break
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == -signal.SIGINT
    assert child.stdout.read() == ""
    for pid in map(int, found.stdout.split()):
        assert not Path(f"/proc/{pid}").exists()
