"""Children forked after their parent used OpenMP, each case in a fresh process. Ungoverned, a child
with libgomp waits for ever at its first region; governed it gets the teams that it asks for."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import urllib.request

import pytest
from test_govern import ENVIRONMENT, PROBES, run

CLI = os.environ.get("COREWISE_CLI", "corewise")
CASES = [
    "in_a_row",
    "child_of_child",
    "other_thread",
    "amid_others",
    "inside_one",
    "inside_team",
    "pairs",
    "exec_and_spawn",
]
# LLVM's runtime does not do these ungoverned either: it starts afresh in a child, even in a region.
NOT_LLVM = {"inside_one", "inside_team", "pairs", "other_thread"}


def governed(command, budget=None, timeout=120, **environment):
    """What the command prints when it runs governed."""
    bounds = [] if budget is None else ["--budget", str(budget)]
    with subprocess.Popen(
        [CLI, "run", "-q", *bounds, "--", *command],
        env=ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert (process.returncode, errors) == (0, "")
    return out


def program(runtime):
    path = PROBES / f"forks_{runtime}"
    if not path.exists():
        pytest.skip(f"needs a compiler with {runtime}")
    return str(path)


@pytest.mark.parametrize("budget", [1, 2, None])
@pytest.mark.parametrize("case", CASES)
def test_children_have_the_teams_they_ask_for(case, budget):
    governed([program("gomp"), case], budget)


@pytest.mark.parametrize("case", [case for case in CASES if case not in NOT_LLVM])
def test_children_of_llvms_runtime_do_too(case):
    governed([program("omp"), case])


def test_small_stacks_which_a_thread_of_ours_may_get_in_the_child():
    governed([program("gomp"), "in_a_row"], OMP_STACKSIZE="128k")


def test_a_thousand_forks_from_eight_busy_threads():
    governed([program("gomp"), "many", "1000"], timeout=300)


@pytest.mark.parametrize("case", ["governed_in_the_child", "governed_amid_life"])
def test_governing_that_begins_late(case):
    done = subprocess.run([program("gomp"), case], env=ENVIRONMENT, timeout=120, check=False)
    assert done.returncode == 0


def other_copies():
    """The copies of libgomp that wheels bring, one of each."""
    venvs = pathlib.Path(os.environ.get("COREWISE_REAL_VENV", "/nowhere"))
    roots = {pathlib.Path(sys.prefix), venvs, *pathlib.Path(sys.prefix).parent.glob(".venv-*")}
    found = {}
    for root in roots:
        for pattern in ("*.libs/libgomp*.so*", "*/lib/libgomp*.so*"):
            for path in root.glob("lib/python3*/site-packages/" + pattern):
                found.setdefault((path.name, path.stat().st_size), path)
    return [pytest.param(path, id=f"{key[0]}-{key[1]}") for key, path in sorted(found.items())]


@pytest.mark.parametrize("copy", other_copies())
def test_the_copies_that_wheels_bring(copy, tmp_path):
    (tmp_path / "libgomp.so.1").symlink_to(copy)
    for case in CASES:
        governed([program("gomp"), case], LD_LIBRARY_PATH=str(tmp_path))


MODELS = """
import multiprocessing, os, sys
import numpy as np
from sklearn.cluster import KMeans
from sklearn.ensemble import HistGradientBoostingClassifier
rng = np.random.default_rng(0)
x = rng.random((3000, 10))
y = x[:, 0] > x[:, 1]
def fit(_=None):
    boosted = HistGradientBoostingClassifier(max_iter=5, random_state=0).fit(x, y)
    means = KMeans(4, n_init=1, random_state=0).fit(x)
    return boosted, means
def answers(models):
    boosted, means = models
    return boosted.predict_proba(x)[:, 1].round(8).tolist(), means.predict(x).tolist()
models = fit()
expected = answers(models)
"""


def python(script, **keywords):
    pytest.importorskip("sklearn")
    governed([sys.executable, "-c", MODELS + script], **keywords)


def test_models_fitted_before_the_fork_predict_and_fit_in_pools():
    python("""
def work(_):
    return answers(models) == expected and answers(fit()) == expected
with multiprocessing.get_context("fork").Pool(3) as pool:
    assert all(pool.map(work, range(6)))
""")


def test_models_fitted_before_the_fork_predict_and_fit_after_os_fork():
    python(
        """
for _ in range(3):
    child = os.fork()
    if child == 0:
        try: ok = answers(models) == expected and answers(fit()) == expected
        finally: os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
""",
        budget=2,
    )


STARTED = """
import concurrent.futures
def work(_):
    return answers(fit()) == expected
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(2, maxtasksperchild=2) as pool:
        assert all(pool.map(work, range(6), chunksize=1))
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
        assert all(pool.map(work, range(4)))
    process = context.Process(target=work, args=(0,))
    process.start()
    process.join()
    assert process.exitcode == 0
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_by_every_start_method(method, tmp_path):
    pytest.importorskip("sklearn")
    (tmp_path / "started.py").write_text(MODELS + STARTED)
    governed([sys.executable, str(tmp_path / "started.py"), method])


# Celery's pool and other servers do this: workers that are forked once the models are there close
# what they do not know, answer a few tasks each, end without a word and are replaced.
PREFORK = """
import signal
def worker(tasks, replies):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for fd in set(range(3, 256)) - {tasks, replies}:
        try: os.close(fd)
        except OSError: pass
    for _ in range(2):
        os.read(tasks, 1)
        ok = answers(models) == expected and answers(fit()) == expected
        os.write(replies, b"y" if ok else b"n")
    os._exit(0)
def start():
    (tasks, ask), (answer, replies) = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0: worker(tasks, replies)
    os.close(tasks), os.close(replies)
    return child, ask, answer
for generation in range(3):
    workers = [start() for _ in range(3)]
    for _ in range(2):
        for _, ask, _ in workers: os.write(ask, b"t")
        assert [os.read(answer, 1) for _, _, answer in workers] == [b"y"] * 3
    for child, ask, answer in workers:
        assert os.waitpid(child, 0)[1] == 0
        os.close(ask), os.close(answer)
assert answers(fit()) == expected
"""


def test_workers_forked_once_the_models_are_there():
    python(PREFORK)


def test_a_program_that_governs_itself_before_it_forks():
    pytest.importorskip("sklearn")
    script = """
import json, cw
cw.govern(2)
child = os.fork()
if child == 0: os._exit(0 if answers(models) == expected and answers(fit()) == expected else 1)
print(json.dumps(os.waitpid(child, 0)[1]))
"""
    assert run(MODELS + script) == 0


BOOSTING = """
import multiprocessing, os
import lightgbm, numpy, xgboost
rng = numpy.random.default_rng(0)
x = rng.random((3000, 10))
y = (x[:, 0] > x[:, 1]).astype(int)
def fit(kind, threads):
    if kind == "xgboost": model = xgboost.XGBClassifier(n_estimators=5, n_jobs=threads)
    else: model = lightgbm.LGBMClassifier(n_estimators=5, n_jobs=threads, verbose=-1)
    return model.fit(x, y)
def answer(model): return model.predict_proba(x)[:, 1].tobytes()
models = {(kind, n): fit(kind, n) for kind in ("xgboost", "lightgbm") for n in (2, 3, 8)}
expected = {key: answer(model) for key, model in models.items()}
def work(key): return answer(models[key]) == expected[key] == answer(fit(*key))
with multiprocessing.get_context("fork").Pool(2) as pool: assert all(pool.map(work, models))
"""


@pytest.mark.parametrize("budget", [1, 2])
def test_xgboost_and_lightgbm(budget):
    python = pathlib.Path(sys.prefix).parent / ".venv-same/bin/python"
    if not python.exists():
        pytest.skip("needs the environment of make test-same")
    governed([str(python), "-c", BOOSTING], budget)


SERVED = (
    MODELS
    + """
def app(environ, start_response):
    ok = answers(models) == expected and answers(fit()) == expected
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {ok}".encode()]
"""
)


def test_gunicorn_with_preload(tmp_path):
    pytest.importorskip("gunicorn")
    pytest.importorskip("sklearn")
    (tmp_path / "served.py").write_text(SERVED)
    command = [CLI, "run", "-q", "--", sys.executable, "-m", "gunicorn", "--preload"]
    command += ["--workers", "2", "--bind", "127.0.0.1:0", "--no-control-socket", "served:app"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            address = None
            for line in server.stderr:
                found = re.search(r"Listening at: (http://\S+)", line)
                if found:
                    address = found[1]
                if "Booting worker" in line and address:
                    break
            workers = set()
            for _ in range(30):
                with urllib.request.urlopen(address, timeout=60) as answer:
                    worker, ok = answer.read().split()
                assert ok == b"True"
                workers.add(worker)
                if len(workers) == 2:
                    break
            assert workers
        finally:
            server.terminate()
            server.stderr.read()
