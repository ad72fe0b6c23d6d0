"""Popular wheels, each used once as its first page shows it: what `make test-smoke` imports."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from same import numbers, program

BLAS = "it calls BLAS"


def table(rows: int = 4000, columns: int = 8) -> Any:
    import numpy as np

    return np.random.default_rng(0).random((rows, columns))


def looped(layer: str) -> Any:
    import numba
    import numpy as np

    numba.config.THREADING_LAYER = layer

    @numba.njit(parallel=True)
    def doubled(a: Any) -> Any:
        out = np.empty_like(a)
        for i in numba.prange(len(a)):
            out[i] = 2 * a[i]
        return out

    return [numbers(doubled(np.arange(10000.0))), numba.threading_layer()]


@program("smoke")
def numba_omp(threads: int) -> Any:
    return looped("omp")


@program("smoke")
def numba_workqueue(threads: int) -> Any:
    return looped("workqueue")


@program("smoke")
def numba_tbb(threads: int) -> Any:
    return looped("tbb")


@program("smoke")
def xgboost(threads: int) -> Any:
    import xgboost

    X = table()
    model = xgboost.XGBRegressor(n_estimators=5).fit(X, X[:, 0] * X[:, 1])
    return numbers(model.predict(X))


@program("smoke")
def lightgbm(threads: int) -> Any:
    import lightgbm

    X = table()
    model = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1).fit(X, X[:, 0] * X[:, 1])
    return numbers(model.predict(X))


@program("smoke")
def catboost(threads: int) -> Any:
    import catboost

    X = table()
    kept = {"verbose": False, "allow_writing_files": False, "random_seed": 0}
    model = catboost.CatBoostRegressor(iterations=5, depth=4, **kept).fit(X, X[:, 0] * X[:, 1])
    return numbers(model.predict(X))


@program("real", rounding=1e-5, because=BLAS)
def torch(threads: int) -> Any:
    import torch

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    X = torch.tensor(table(), dtype=torch.float32)
    step = torch.optim.Adam(model.parameters())
    for _ in range(3):
        step.zero_grad()
        loss = (model(X)[:, 0] - X[:, 0]).square().mean()
        loss.backward()
        step.step()
    return [float(loss), float(torch.linalg.svdvals(X)[0])]


@program("smoke-tf", rounding=1e-4, because="its sums vary ungoverned")
def tensorflow(threads: int) -> Any:
    import tensorflow as tf

    tf.keras.utils.set_random_seed(0)
    model = tf.keras.Sequential([tf.keras.layers.Dense(16, "relu"), tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    X = table()
    losses = model.fit(X, X[:, 0], epochs=2, verbose=0).history["loss"]
    return [losses, float(tf.linalg.norm(tf.matmul(X, X, transpose_b=True)))]


@program("smoke", rounding=1e-5, because="XLA's sums vary ungoverned")
def jax(threads: int) -> Any:
    import jax
    import jax.numpy as jnp

    a = jnp.asarray(table(), dtype=jnp.float32)
    slope = jax.jit(jax.grad(lambda w: jnp.mean((a @ w - a[:, 0]) ** 2)))(jnp.ones(8))
    return [numbers(slope), float(jnp.linalg.norm(jnp.linalg.qr(a)[1]))]


@program("smoke", rounding=1e-6, because="its products vary ungoverned")
def onnxruntime(threads: int) -> Any:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(table(8, 32).astype(np.float32), "w")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"]), helper.make_node("Relu", ["y"], ["z"])]
    shapes = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, width])
        for name, width in (("x", 8), ("z", 32))
    ]
    graph = helper.make_graph(nodes, "g", shapes[:1], shapes[1:], [weights])
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return numbers(session.run(None, {"x": table().astype(np.float32)})[0])


@program("smoke", rounding=1e-5, because=BLAS)
def faiss(threads: int) -> Any:
    import faiss
    import numpy as np

    X = table().astype(np.float32)
    index = faiss.IndexFlatL2(8)
    index.add(X)
    return [numbers(part) for part in index.search(X[:200], 4)]


@program("smoke")
def opencv(threads: int) -> Any:
    import cv2
    import numpy as np

    image = (table(300, 900).reshape(300, 300, 3) * 255).astype(np.uint8)
    blurred = cv2.GaussianBlur(image, (7, 7), 2)
    return [
        numbers(blurred),
        numbers(cv2.Canny(blurred, 20, 60)),
        numbers(cv2.resize(image, (64, 64))),
    ]


@program("smoke")
def pyarrow(threads: int) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    rows = pa.table({"a": range(20000), "b": [i % 7 for i in range(20000)]})
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(rows, Path(folder, "rows.parquet"))
        again = pq.read_table(Path(folder, "rows.parquet"))
    sums = again.group_by("b").aggregate([("a", "sum")]).sort_by("b")
    return [sums.to_pydict(), pc.sum(again["a"]).as_py()]


@program("smoke")
def polars(threads: int) -> Any:
    import polars as pl

    frame = pl.DataFrame({"a": range(20000), "b": [i % 7 for i in range(20000)]})
    sums = frame.lazy().group_by("b").agg(pl.col("a").sum()).sort("b").collect()
    return [sums.to_dict(as_series=False), pl.thread_pool_size()]


@program("smoke")
def duckdb(threads: int) -> Any:
    import duckdb

    rows = "select range a, range % 7 b from range(200000)"
    return duckdb.sql(f"select b, sum(a) from ({rows}) group by b order by b").fetchall()


@program("smoke")
def numexpr(threads: int) -> Any:
    import numexpr

    a = table(200000, 1)[:, 0]  # noqa: F841
    return [numbers(numexpr.evaluate("2 * a + sin(a) ** 2")), numexpr.nthreads]


@program("smoke", rounding=1e-7, because=BLAS)
def statsmodels(threads: int) -> Any:
    import statsmodels.api as sm

    X = table()
    model = sm.OLS(X[:, 0], sm.add_constant(X[:, 1:])).fit()
    return [numbers(model.params), float(model.rsquared)]


@program("smoke", rounding=1e-4, because=BLAS)
def gensim(threads: int) -> Any:
    from gensim.models import LsiModel, Word2Vec

    texts = [[f"w{(i * j) % 50}" for j in range(20)] for i in range(200)]
    vectors = Word2Vec(texts, vector_size=16, workers=1, seed=0, epochs=2).wv
    topics = LsiModel([[(i % 9, 1.0), (i % 5, 2.0)] for i in range(90)], num_topics=3)
    return [sorted(vectors.key_to_index)[:5], numbers(topics.projection.s)]


@program("smoke")
def spacy(threads: int) -> Any:
    import spacy

    tools = spacy.blank("en")
    tools.add_pipe("sentencizer")
    read = tools("One pool waits. Another spins, and nobody sees it.")
    return [[token.text for token in read], len(list(read.sents))]


@program("smoke", rounding=1e-3, because="its layout varies ungoverned")
def umap(threads: int) -> Any:
    import umap

    placed = umap.UMAP(n_epochs=5, random_state=0, n_jobs=1).fit_transform(table(300))
    return list(placed.shape)


@program("smoke")
def hdbscan(threads: int) -> Any:
    import hdbscan

    X = table(600, 2)
    X[:300] += 3
    return numbers(hdbscan.HDBSCAN(min_cluster_size=20).fit_predict(X))


@program("smoke", rounding=1e-7, because=BLAS)
def pyscf(threads: int) -> Any:
    from pyscf import gto, scf

    water = gto.M(atom="O 0 0 0; H 0 1 0; H 0 0 1", basis="6-31g", verbose=0)
    return float(scf.RHF(water).kernel())


@program("smoke", rounding=1e-4, because="its forces are added up as its threads come")
def openmm(threads: int) -> Any:
    import openmm

    system = openmm.System()
    force = openmm.NonbondedForce()
    for _ in range(27):
        system.addParticle(40.0)
        force.addParticle(0.0, 0.34, 1.0)
    system.addForce(force)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(system, openmm.VerletIntegrator(0.001), platform)
    context.setPositions([(0.4 * (i % 3), 0.4 * (i // 3 % 3), 0.4 * (i // 9)) for i in range(27)])
    context.getIntegrator().step(20)
    state = context.getState(getEnergy=True)
    return float(state.getPotentialEnergy()._value)


@program("smoke")
def rdkit(threads: int) -> Any:
    from rdkit import Chem
    from rdkit.Chem import AllChem

    molecule = Chem.AddHs(Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O"))
    AllChem.EmbedMultipleConfs(molecule, 4, randomSeed=1, numThreads=0)
    AllChem.MMFFOptimizeMoleculeConfs(molecule, numThreads=0)
    return [numbers(found.GetPositions()) for found in molecule.GetConformers()]


@program("smoke", rounding=1e-7, because=BLAS)
def scipy(threads: int) -> Any:
    import numpy as np
    import scipy.linalg
    import scipy.optimize

    X = table(400, 40)
    found = scipy.optimize.minimize(lambda w: float(((X @ w - X[:, 0]) ** 2).sum()), np.zeros(40))
    return [numbers(scipy.linalg.svdvals(X)), round(float(found.fun), 3)]


@program("smoke")
def skimage(threads: int) -> Any:
    from skimage import filters, measure

    image = filters.gaussian(table(200, 200), 3)
    return [numbers(image), int(measure.label(image > image.mean()).max())]


@program("smoke")
def tokenizers(threads: int) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tool = Tokenizer(models.BPE())
    tool.pre_tokenizer = pre_tokenizers.Whitespace()
    texts = [f"pool {i % 13} waits for {i % 7}" for i in range(500)]
    tool.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=60, show_progress=False))
    return [len(each.ids) for each in tool.encode_batch(texts[:9])]


@program("smoke")
def pandas(threads: int) -> Any:
    import pandas as pd

    frame = pd.DataFrame(table(), columns=list("abcdefgh"))
    frame["k"] = frame.index % 5
    return [numbers(frame.groupby("k").mean()), numbers(frame.eval("a + b * c"))]
