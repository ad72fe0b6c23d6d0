"""What docs/simulation.md simulates: workloads, machines, policies; and how that is run."""

import os
import re
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent

POLICIES = {
    "default": "default",
    "one": "all limited to 1",
    "plan": "cores ÷ processes",
    "governed": "governed",
}
CORES = (128, 256, 512, 1024)
IN_PAGE = (128, 1024)
PROCESSES = (1, 4, 16, 64, 256, 1024, 4096)


class Workload(NamedTuple):
    trace: str
    says: str
    regions: int  # of each process


SCALED = (
    Workload("hgb-processes2", "HistGradientBoosting (OpenMP, short regions)", 3000),
    Workload("kmeans-processes8", "KMeans (OpenMP and BLAS)", 1000),
    Workload("alternate-serial", "products and factorizations of 300² (BLAS, two pools)", 1000),
    Workload("gemm2000-serial", "products of 2000² (BLAS, long calls)", 300),
)


class Small(NamedTuple):
    """A workload of bench/nested on two cores."""

    name: str  # in docs/nested.md
    trace: str
    processes: int
    tasks: int  # of each process


SMALL = (
    Small("logreg-serial", "logreg-serial", 1, 16),
    Small("kmeans-serial", "kmeans-serial", 1, 8),
    Small("kmeans-processes8", "kmeans-processes8", 8, 2),
    Small("hgb-serial", "hgb-processes2", 1, 4),
    Small("hgb-processes2", "hgb-processes2", 2, 4),
    Small("svd200-serial", "svd200-serial", 1, 100),
    Small("alternate-serial", "alternate-serial", 1, 200),
    Small("lu-serial", "lu-serial", 1, 100),
    Small("gemm220-serial", "gemm220-serial", 1, 1000),
    Small("gemm2000-serial", "gemm2000-serial", 1, 3),
    Small("lloyd-serial", "lloyd-serial", 1, 3),
)


class Scenario(NamedTuple):
    trace: str
    cores: int
    processes: int
    policy: str
    others: tuple[str, ...]  # of the program's words


Outcome = dict[str, float]
Outcomes = dict[Scenario, Outcome]


def tasks_of(trace: str) -> int:
    text = (HERE / "traces" / f"{trace}.csv").read_text()
    found = re.search(r"^# tasks (\d+)$", text, re.M)
    return int(found[1]) if found else 1


def scaled(workload: Workload, cores: int, processes: int, policy: str) -> Scenario:
    return Scenario(workload.trace, cores, processes, policy, (f"regions={workload.regions}",))


def small(one: Small, policy: str) -> Scenario:
    rounds = one.tasks // tasks_of(one.trace)
    return Scenario(one.trace, 2, one.processes, policy, (f"rounds={max(1, rounds)}",))


# Renewals of very many processes take the simulator long.
VARIANTS = {"recent": PROCESSES, "renewed": PROCESSES[:5]}

# The regions of a rank before each barrier, and of the rank that has most to do.
RANKS = (2, 4, 16)
RANK_CORES = (8, 128, 1024)
TIMES_OF_FIRST = 3
RANK_WORK = (
    Workload("gemm2000-serial", "products of 2000² (BLAS, long calls)", 10),
    Workload("lloyd-serial", "Lloyd's iterations (OpenMP)", 10),
    Workload("hgb-processes2", "HistGradientBoosting (OpenMP, short regions)", 100),
)


def ranked(workload: Workload, cores: int, ranks: int, policy: str) -> Scenario:
    others = (f"regions={workload.regions}", "barriers=20", f"times_of_first={TIMES_OF_FIRST}")
    return Scenario(workload.trace, cores, ranks, policy, others)


WEIGHTS = (10, 40, 100)
BESIDE = (4, 16, 64)


def weighted(workload: Workload, cores: int, processes: int, weight: int) -> Scenario:
    others = (f"regions={workload.regions}", f"weight_of_first={weight}")
    return Scenario(workload.trace, cores, processes, "governed", others)


def run_all(program: Path, scenarios: Sequence[Scenario]) -> Outcomes:
    fields = subprocess.check_output([program, "fields"], text=True).strip().split(",")

    def one(scenario: Scenario) -> Outcome:
        words = [
            f"trace={HERE / 'traces' / scenario.trace}.csv",
            f"cores={scenario.cores}",
            f"processes={scenario.processes}",
            f"policy={scenario.policy}",
            *scenario.others,
        ]
        line = subprocess.check_output([program, *words], text=True)
        return dict(zip(fields, map(float, line.split(",")), strict=True))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(scenarios, pool.map(one, scenarios), strict=True))


def variant_scenarios() -> list[Scenario]:
    """Of the rule for grants, and of what the processes are to each other."""
    return [
        *(
            scaled(w, c, p, policy)
            for w in SCALED
            for c in IN_PAGE
            for policy, processes in VARIANTS.items()
            for p in processes
        ),
        *(
            ranked(w, c, n, policy)
            for w in RANK_WORK
            for c in RANK_CORES
            for n in RANKS
            if n <= c
            for policy in ("load", "default", "plan", "ranks")
        ),
        *(weighted(w, c, n, k) for w in SCALED for c in IN_PAGE for n in BESIDE for k in WEIGHTS),
    ]


def small_scenarios() -> list[Scenario]:
    return [small(one, policy) for one in SMALL for policy in ("one", "default", "governed")]


def scaled_scenarios(cores: Sequence[int], processes: Sequence[int]) -> list[Scenario]:
    return [
        scaled(w, c, p, policy)
        for w in SCALED
        for c in cores
        for p in processes
        for policy in POLICIES
    ]
