"""mdtraj's deviations, fluctuations and distances of atoms: the regions of _rmsd and drid."""

import ctypes
from pathlib import Path

import bending
import mdtraj
import numpy as np
from mdtraj import _rmsd

RNG = np.random.default_rng(0)
FRAMES, ATOMS = 40, 64


def molecule():
    topology = mdtraj.Topology()
    chain = topology.add_chain()
    for _ in range(ATOMS // 2):
        residue = topology.add_residue("ALA", chain)
        for name, element in (("CA", "C"), ("N", "N")):
            topology.add_atom(name, mdtraj.element.get_by_symbol(element), residue)
    return topology


TOPOLOGY = molecule()
PLACES = RNG.random((FRAMES, ATOMS, 3)).astype(np.float32)
OPENMP = ctypes.CDLL(
    next(
        path
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "libgomp" in (path := line.split()[-1]) and "mdtraj" in path
    )
)


def trajectory():
    return mdtraj.Trajectory(PLACES.copy(), TOPOLOGY)


def run_rmsd(superpose):
    moving = trajectory()
    return [mdtraj.rmsd(moving, trajectory(), 3, superpose=superpose), moving.xyz]


def run_rmsf(aligned):
    reference = None if aligned else trajectory()
    return [mdtraj.rmsf(trajectory(), reference, 3)]


def run_superpose():
    return [trajectory().superpose(trajectory(), 2).xyz]


def run_center():
    moving = trajectory()
    moving.center_coordinates()
    return [moving.xyz, mdtraj.rmsd(moving, moving, 1, precentered=True)]


def run_kernels():
    atoms = PLACES.copy()
    traces = np.asarray(_rmsd._center_inplace_atom_major(atoms))
    axes = np.ascontiguousarray(atoms.transpose(0, 2, 1))
    by_atom = _rmsd.getMultipleRMSDs_atom_major(atoms, atoms, traces, traces, 2)
    by_axis = _rmsd.getMultipleRMSDs_axis_major(axes, axes, traces, traces, 2)
    displaced = _rmsd.getMultipleAlignDisplaceRMSDs_atom_major(
        atoms, atoms, traces, traces, atoms, atoms, ATOMS, ATOMS, 2
    )
    return [traces, by_atom, by_axis, *displaced]


def run_drid():
    return [mdtraj.compute_drid(trajectory())]


def with_team(function, *arguments):
    def kernel(team):
        OPENMP.omp_set_num_threads(team)
        return [np.array(result) for result in function(*arguments)]

    return kernel


RMSD = ["mdtraj._rmsd"]
KERNELS = {
    "rmsd": (RMSD, with_team(run_rmsd, True)),
    "rmsd, as they lie": (RMSD, with_team(run_rmsd, False)),
    "rmsf": (RMSD, with_team(run_rmsf, False)),
    "rmsf, aligned": (RMSD, with_team(run_rmsf, True)),
    "superpose": (RMSD, with_team(run_superpose)),
    "center": (RMSD, with_team(run_center)),
    "kernels": (RMSD, with_team(run_kernels)),
    "drid": (["mdtraj.geometry.drid"], with_team(run_drid)),
}

if __name__ == "__main__":
    bending.prove(KERNELS, *bending.teams_and_seeds())
