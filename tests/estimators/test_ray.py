"""Ray's workers, governed by the one that starts them. Skipped where Ray is not installed: its
wheel takes 80 MB, and half a minute here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ray = pytest.importorskip("ray", reason="ray is not installed: pip install ray")

import corewise  # noqa: E402


def test_workers_share_the_budget_of_the_driver() -> None:
    # Travels as code: Ray's workers do not know this file.
    def governed() -> tuple[bool, int, str, int]:
        report = corewise.govern_report()
        return report["governed"], report["budget"], report["ledger"]["path"], os.getpid()

    with corewise.governed(2, group=f"ray-{os.getpid()}"):
        ours = governed()
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            theirs = ray.get([ray.remote(governed).remote() for _ in range(4)])
        finally:
            ray.shutdown()
        Path(ours[2]).unlink()
    assert {found[:3] for found in theirs} == {ours[:3]} and ours[0]
    assert os.getpid() not in {found[3] for found in theirs}


def test_a_lone_actor_may_use_what_is_free() -> None:
    # Ray sets OMP_NUM_THREADS=1 for it, which is a default of Ray's.
    class Actor:
        def lone(self) -> int:
            import numpy as np

            a, before = np.ones((600, 600)), corewise.govern_report()["granted"]
            for _ in range(20):
                a @ a
            return int(corewise.govern_report()["granted"] - before)

    with corewise.governed(2, group=f"ray-{os.getpid()}"):
        path = corewise.govern_report()["ledger"]["path"]
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        try:
            actor = ray.remote(Actor).options(num_cpus=1).remote()
            assert ray.get(actor.lone.remote()) > 20
        finally:
            ray.shutdown()
        Path(path).unlink()
