"""Neighbours, factors and embeddings of other packages."""

from __future__ import annotations

from typing import Any

from same import numbers, program


def points(count: int = 4000, features: int = 32) -> Any:
    import numpy as np

    return np.random.default_rng(0).random((count, features), dtype=np.float32)


@program("same", rounding=1e-5, because="it calls BLAS, in single precision")
def faiss_search(threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    X = points()
    flat = faiss.IndexFlatL2(32)
    flat.add(X)
    lists = faiss.index_factory(32, "IVF32,SQ8")
    lists.train(X)
    lists.add(X)
    lists.nprobe = 8
    graph = faiss.IndexHNSWFlat(32, 16)
    graph.add(X[:1000])
    found = [index.search(X[:200], 5)[0] for index in (flat, lists)]
    return [numbers(distances) for distances in found] + [graph.ntotal]


@program("same", rounding=1e-5, because="it calls BLAS, in single precision")
def faiss_kmeans(threads: int) -> Any:
    import faiss

    faiss.omp_set_num_threads(threads)
    means = faiss.Kmeans(32, 16, niter=5, seed=1)
    return float(means.train(points()))


@program("same")
def pykdtree_query(threads: int) -> Any:
    from pykdtree.kdtree import KDTree

    X = points(features=3)
    distances, indices = KDTree(X).query(X + 0.01, k=4)
    return [numbers(distances), numbers(indices)]


@program("same", rounding=1e-4, because="it calls BLAS, in single precision")
def implicit_factors(threads: int) -> Any:
    import scipy.sparse as sp
    from implicit.als import AlternatingLeastSquares

    ratings = sp.random(2000, 500, 0.02, format="csr", random_state=0, dtype="float32")
    model = AlternatingLeastSquares(16, iterations=3, num_threads=threads, random_state=0)
    model.fit(ratings, show_progress=False)
    return [numbers(model.user_factors), numbers(model.item_factors)]


@program("same", rounding=1e-6, because="ungoverned, forces are added in any order")
def opentsne_embedding(threads: int) -> Any:
    import openTSNE

    options = {"n_iter": 20, "early_exaggeration_iter": 10, "negative_gradient_method": "bh"}
    embedding = openTSNE.TSNE(
        n_jobs=threads, random_state=0, neighbors="exact", initialization="random", **options
    ).fit(points(400))
    return numbers(embedding)
