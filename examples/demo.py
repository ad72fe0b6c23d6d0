"""See the pools, limit them, and cluster a photograph under those limits.

Runs on what scikit-learn itself ships: china.jpg, cut into 8 x 8 patches. `make demo` starts it.
"""

import os
import time
from pathlib import Path

import corewise
import mdtraj
import numpy
import scipy
import sklearn
from sklearn.cluster import KMeans
from sklearn.datasets import load_sample_image

SIDE = 8
CLUSTERS = 16


def patches(image: numpy.ndarray) -> numpy.ndarray:
    """The image cut into squares of SIDE pixels, one row of numbers each."""
    height, width = (n - n % SIDE for n in image.shape[:2])
    squares = image[:height, :width].reshape(height // SIDE, SIDE, width // SIDE, SIDE, 3)
    return squares.swapaxes(1, 2).reshape(-1, SIDE * SIDE * 3) / 255.0


def cluster(data: numpy.ndarray) -> tuple[float, float]:
    """Fit once; the inertia and the seconds it took."""
    started = time.perf_counter()
    model = KMeans(CLUSTERS, n_init=3, random_state=0).fit(data)
    return model.inertia_, time.perf_counter() - started


def name(pool: corewise.PoolInfo) -> str:
    """The library and whose copy it is: NumPy and SciPy bring an OpenBLAS each."""
    return f"{pool.runtime} ({Path(pool.path).parent.name.removesuffix('.libs')})"


def threads() -> str:
    """The thread counts of all pools in one line."""
    return ", ".join(f"{name(pool)} {pool.threads}" for pool in corewise.info())


versions = [f"{module.__name__} {module.__version__}" for module in (numpy, scipy, sklearn, mdtraj)]
print(f"Loaded: {', '.join(versions)}. Their thread pools:\n")
print(corewise.info())

print("\nLimits in blocks. The lowest one holds, and the end of a block undoes its limit:")
print(f"  before                    {threads()}")
with corewise.limits(openmp=4, blas=2):
    print(f"  limits(openmp=4, blas=2)  {threads()}")
    with corewise.limits(blas=1):
        print(f"    limits(blas=1)          {threads()}")
    print(f"  after the inner block     {threads()}")
print(f"  after both                {threads()}")

data = patches(load_sample_image("china.jpg"))
print(f"\nKMeans({CLUSTERS}) on {len(data)} patches of china.jpg, {data.shape[1]} numbers each:")
cluster(data)  # the first fit pays for loading code
free, free_seconds = cluster(data)
cpus = len(os.sched_getaffinity(0))
with corewise.limits(openmp=cpus, blas=1):
    limited, limited_seconds = cluster(data)
print(f"  default                          {free_seconds:6.3f} s   inertia {free:.4f}")
print(f"  with limits(openmp={cpus}, blas=1)    {limited_seconds:6.3f} s   inertia {limited:.4f}")
if abs(free - limited) > 1e-9 * free:
    raise SystemExit("the limits changed the result: this is a defect, please report it")
