"""corewise.dask.Plugin, and corewise.joblib on Dask, on clusters of real worker processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import corewise
import corewise.dask
import dask
import joblib
import pytest
from corewise import _dask_worker
from distributed import Client, LocalCluster
from governed import governed
from joblib import Parallel, delayed
from joblib._dask import DaskDistributedBackend
from probe import counts, counts_and_pid

HERE = str(Path(__file__).parent)
SETTINGS = {
    # 16, where Dask would set 1: a limit that does nothing shows.
    "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": "16", "PYTHONPATH": HERE},
    "distributed.worker.daemon": False,
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with (
        dask.config.set(SETTINGS),
        LocalCluster(n_workers=2, threads_per_worker=2, dashboard_address=None) as made,
    ):
        yield made


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator[Client]:
    with Client(cluster) as made:
        yield made


@pytest.fixture
def plugin(client: Client) -> Iterator[Client]:
    """A client with governed workers; leaves no ledger behind."""
    client.register_plugin(corewise.dask.Plugin(openmp=3))
    path = client.submit(governed, pure=False).result()[2]
    yield client
    client.unregister_worker_plugin("corewise")
    Path(path).unlink(missing_ok=True)


class Processes:
    """A scheduler and workers that a test may kill."""

    def __init__(self) -> None:
        self.all: list[subprocess.Popen[bytes]] = []

    def start(self, what: str, *options: str, **env: str) -> None:
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", "--no-dashboard", *options]
        path = os.pathsep.join([*env.values(), HERE])
        self.all.append(
            subprocess.Popen(
                command, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.DEVNULL
            )
        )

    def kill(self) -> None:
        for process in self.all:
            process.kill()
        for process in self.all:
            process.wait()


@pytest.fixture
def processes() -> Iterator[Processes]:
    made = Processes()
    yield made
    made.kill()


def on_all(client: Client, function: Any) -> list[Any]:
    return list(client.gather(client.map(function, range(8), pure=False)))


def metrics(client: Client) -> list[dict[str, Any]]:
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    return [{k: v for k, v in w["metrics"].items() if k[:8] == "corewise"} for w in workers]


def wait_until(true: Any) -> None:
    for _ in range(300):
        if true():
            return
        time.sleep(0.1)
    raise AssertionError("it never became true")


def test_tasks_are_limited_and_governed_until_the_plugin_goes(client: Client) -> None:
    assert {openmp for openmp, _ in on_all(client, counts)} == {16}
    client.register_plugin(corewise.dask.Plugin(openmp=3, budget=2))
    assert {openmp for openmp, _ in on_all(client, counts)} == {3}
    shared = on_all(client, governed)
    assert len(set(shared)) == 1 and shared[0][:2] == (True, 2)
    client.unregister_worker_plugin("corewise")
    assert {openmp for openmp, _ in on_all(client, counts)} == {16}
    assert {state[0] for state in on_all(client, governed)} == {False}
    Path(shared[0][2]).unlink()


def test_a_library_that_was_built_for_fewer_threads_gets_what_it_can_have(client: Client) -> None:
    """As on a machine with more CPUs than its OpenBLAS was built for."""
    client.register_plugin(corewise.dask.Plugin(openmp=3, blas=1000))
    found = on_all(client, counts)
    path = client.submit(governed, pure=False).result()[2]
    client.unregister_worker_plugin("corewise")
    Path(path).unlink(missing_ok=True)
    assert {openmp for openmp, _ in found} == {3}
    assert all(1 <= blas < 1000 for _, blas in found)


def test_a_worker_that_cannot_be_set_up_is_left_as_it_was() -> None:
    class Worker:
        executors: dict[str, Any] = {}  # noqa: RUF012
        metrics: dict[str, Any] = {}  # noqa: RUF012

    with pytest.raises(KeyError):
        _dask_worker.begin(Worker(), None, None, 1)
    report = corewise.govern_report()
    Path(report["ledger"]["path"]).unlink(missing_ok=True)
    assert not report["governed"] and not Worker.metrics


def work(_: int) -> None:
    import numpy

    square = numpy.ones((400, 400))
    for _ in range(10):
        square @ square


def test_workers_publish_budget_and_grants(plugin: Client) -> None:
    on_all(plugin, work)
    wait_until(lambda: all(m.get("corewise_regions", 0) > 0 for m in metrics(plugin)))
    for one in metrics(plugin):
        assert one["corewise"] == "governed"
        assert one["corewise_budget"] == corewise.budget().floor
        assert 0 < one["corewise_granted"] <= one["corewise_wanted"]
        assert one["corewise_not_needed_s"] >= 0
    pages = [m for w in plugin.cluster.scheduler.workers.values() for m in w.metrics]
    assert "corewise_budget" in pages  # where the dashboard takes its further columns from


def test_restarted_workers_are_set_up_again(plugin: Client) -> None:
    before = {pid for _, pid in on_all(plugin, counts_and_pid)}
    plugin.restart()
    after = on_all(plugin, counts_and_pid)
    assert {found[0] for found, _ in after} == {3} and before.isdisjoint(p for _, p in after)
    assert {state[0] for state in on_all(plugin, governed)} == {True}


def in_loky(_: int) -> tuple[int, list[Any]]:
    return os.getpid(), Parallel(2, backend="loky")(delayed(counts_and_pid)(i) for i in range(2))


def test_loky_inside_a_task_divides_its_share(plugin: Client, processes: Processes) -> None:
    known = set(plugin.scheduler_info(n_workers=-1)["workers"])
    processes.start("worker", plugin.cluster.scheduler_address, "--no-nanny", "--nthreads", "1")
    wait_until(lambda: len(plugin.scheduler_info(n_workers=-1)["workers"]) == 3)
    (own,) = set(plugin.scheduler_info(n_workers=-1)["workers"]) - known
    worker, inner = plugin.submit(in_loky, 0, workers=[own]).result()
    share = corewise.budget().floor // 2
    assert {found[0] for found, _ in inner} == {min(3, share)}
    assert len({worker, *(pid for _, pid in inner)}) > 1


def test_joblib_on_dask(client: Client) -> None:
    with corewise.joblib(backend="dask", openmp=1):
        assert joblib.effective_n_jobs(-1) == 4
        assert {found[0] for found in Parallel()(delayed(counts)(i) for i in range(8))} == {1}
    assert {openmp for openmp, _ in on_all(client, counts)} == {16}
    theirs = DaskDistributedBackend(client=client)
    with joblib.parallel_config(backend=theirs), corewise.joblib(openmp=1):
        assert {found[0] for found in Parallel()(delayed(counts)(i) for i in range(8))} == {1}


def test_a_client_that_was_closed_is_said(cluster: LocalCluster) -> None:
    with Client(cluster) as closed, corewise.joblib(n_jobs=2, backend="dask"):
        closed.close()
        with pytest.raises(corewise.Error, match="client of this block is closed: make a new one"):
            Parallel()(delayed(counts)() for _ in range(2))


def test_a_budget_that_workers_cannot_have_is_one_sentence(client: Client) -> None:
    with pytest.raises(RuntimeError, match="give at most that: its tasks run without limits"):
        client.register_plugin(corewise.dask.Plugin(budget=5000))
    client.unregister_worker_plugin("corewise")


def test_a_worker_without_corewise_is_named_and_works_on(
    client: Client, processes: Processes, tmp_path: Path
) -> None:
    (tmp_path / "corewise").mkdir()
    (tmp_path / "corewise/__init__.py").write_text("raise ImportError('not installed')")
    known = set(client.scheduler_info(n_workers=-1)["workers"])
    address = client.cluster.scheduler_address
    processes.start("worker", address, "--no-nanny", "--nthreads", "1", path=str(tmp_path))
    wait_until(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 3)
    (bare,) = set(client.scheduler_info(n_workers=-1)["workers"]) - known
    with pytest.raises(RuntimeError, match=f"{bare} has no corewise.*run without limits"):
        client.register_plugin(corewise.dask.Plugin(openmp=3))
    with pytest.warns(UserWarning, match=f"{bare} has no corewise"):
        assert client.submit(os.getpid, workers=[bare]).result() == processes.all[0].pid
        time.sleep(0.2)
    wait_until(lambda: {"corewise": "no: has no corewise"} in metrics(client))
    (good,) = {client.submit(counts, workers=[w], pure=False).result()[0] for w in known}
    assert good == 3
    with (
        pytest.warns(UserWarning, match="no corewise"),
        corewise.joblib(),
        joblib.parallel_config("dask", workers=[bare]),
    ):
        assert set(Parallel()(delayed(os.getpid)() for _ in range(4))) == {processes.all[0].pid}
        time.sleep(0.2)
    client.unregister_worker_plugin("corewise")


def later(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


@pytest.mark.parametrize("way", ["tasks", "joblib"])
def test_a_cluster_that_dies(processes: Processes, tmp_path: Path, way: str) -> None:
    file = str(tmp_path / "scheduler.json")
    processes.start("scheduler", "--port", "0", "--host", "127.0.0.1", "--scheduler-file", file)
    processes.start("worker", "--no-nanny", "--scheduler-file", file, "--nthreads", "2")
    wait_until(Path(file).exists)
    before = counts()
    with Client(scheduler_file=file, timeout=20) as client:
        client.wait_for_workers(1)
        client.register_plugin(corewise.dask.Plugin())
        threading.Timer(0.5, processes.kill).start()
        with pytest.raises(Exception, match=r"ancel|lost|Comm") as error:
            if way == "tasks":
                client.gather(client.map(later, [60, 61]))
            else:
                with corewise.joblib(backend="dask", budget=1):
                    Parallel()(delayed(later)(60) for _ in range(2))
        assert "Cancelled" in type(error.value).__name__
    assert counts() == before


@pytest.mark.parametrize("options", [{"openmp": 0}, {"blas": 1.5}, {"budget": "all"}])
def test_bad_counts(options: dict[str, Any]) -> None:
    with pytest.raises((corewise.BadCount, corewise.BadType)):
        corewise.dask.Plugin(**options)


def test_the_example_agrees_with_scikit_learn() -> None:
    example = Path(__file__).parents[2] / "examples" / "dask_kmeans.py"
    done = subprocess.run(
        [sys.executable, example, "16000", "5"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "blocks of each worker [4, 4]" in done.stdout
