"""Runs kernels ungoverned and under every grant, and compares their results. For programs that
test_bend_table.py starts, one library each."""

import json
import os
import sys

import cw
import numpy as np


def distance(whole, cut):
    """0 if the results are the same to the bit; else the largest difference, in rounding errors of
    the largest number. Infinite if rounding cannot explain the difference."""
    whole, cut = np.asarray(whole), np.asarray(cut)
    if whole.dtype != cut.dtype or whole.shape != cut.shape:
        return float("inf")
    if whole.tobytes() == cut.tobytes():
        return 0.0
    if whole.dtype.kind != "f" or not np.isfinite(whole).all() or not np.isfinite(cut).all():
        return float("inf")
    scale = max(float(np.abs(whole).max()), float(np.finfo(whole.dtype).tiny))
    return float(np.abs(whole - cut).max()) / scale / float(np.finfo(whole.dtype).eps)


def prove(kernels, teams, seeds):
    """Prints, for each kernel, its modules, the largest distance and how often a team was cut; and
    the libraries that bend. A kernel is a function of the team's size that returns arrays."""
    found = {
        name: {"modules": modules, "worst": 0.0, "cut": 0} for name, (modules, _) in kernels.items()
    }
    for team in teams:
        whole = {name: kernel(team) for name, (_, kernel) in kernels.items()}
        grants = [*map(str, range(1, team + 1)), *(f"random:{seed}" for seed in range(seeds))]
        for grant in grants:
            os.environ["COREWISE_TRY_GRANTS"] = grant
            cw.govern(2)
            for name, (_, kernel) in kernels.items():
                before = cw.report()["shortened"]
                results = kernel(team)
                row = found[name]
                row["cut"] += cw.report()["shortened"] - before
                assert len(results) == len(whole[name])
                worst = max(map(distance, whole[name], results))
                if worst > row["worst"]:
                    row["worst"], row["at"] = worst, f"team {team}, grant {grant}"
            bending = {b["path"]: b["why"] for b in cw.report()["bending"]}
            cw.ungovern()
    json.dump({"kernels": found, "bending": bending}, sys.stdout)
    print()


def teams_and_seeds():
    """From the command line: 1,2,3 and a number of random runs."""
    return [int(team) for team in sys.argv[1].split(",")], int(sys.argv[2])
