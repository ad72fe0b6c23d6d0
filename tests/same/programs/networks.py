"""Neural networks, and compiled loops."""

from __future__ import annotations

import functools
import os
import tempfile
from pathlib import Path
from typing import Any

from same import numbers, program


@program("real")
def torch_operators(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    nn = torch.nn
    image = torch.randn(8, 16, 32, 32, requires_grad=True)
    kernel = torch.randn(16, 16, 3, 3, requires_grad=True)
    nn.functional.conv2d(image, kernel, padding=1).square().mean().backward()
    a, b, long = torch.randn(300, 300), torch.randn(300, 300), torch.randn(200000)
    at = torch.randint(0, 100, (50000,))
    results = {
        "convolution": kernel.grad,
        "product": a @ b,
        "inverse": torch.linalg.inv(a + 40 * torch.eye(300)),
        "singular": torch.linalg.svdvals(a),
        "sorted": long.sort()[0],
        "order": long.sort()[1],
        "cumulated": long.double().cumsum(0),
        "softmax": torch.softmax(a, 1),
        "variance": a.var(0),
        "added": torch.zeros(100).index_add(0, at, torch.ones(50000)),
        "bag": nn.EmbeddingBag(500, 32)(torch.randint(0, 500, (300, 10))),
        "lstm": nn.LSTM(32, 32)(torch.randn(20, 8, 32))[0],
        "fourier": torch.fft.fft2(a).abs(),
        "pooled": nn.MaxPool2d(2)(image),
        "normed": nn.BatchNorm2d(16)(image),
        "layer": nn.LayerNorm(300)(a),
        "attention": nn.functional.scaled_dot_product_attention(*torch.randn(3, 4, 4, 128, 32)),
        "sparse": torch.sparse.mm(a.relu().to_sparse_csr(), b),
        "positive": (long > 0).nonzero(),
        "resized": nn.functional.interpolate(image, scale_factor=2, mode="bilinear"),
        "unique": (long * 10).int().unique(),
    }
    return {name: numbers(value.detach().numpy()) for name, value in results.items()}


@program("real")
def torch_training(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    x, y = torch.randn(2000, 64), torch.randn(2000, 1)
    for _ in range(10):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
    return float(loss)


@program("real")
def torch_compiled(threads: int) -> Any:
    """Generated code asks for a team of the size that it was compiled for."""
    folder = Path(__file__).parents[3] / "build/same/inductor"
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def work(x: torch.Tensor) -> list[torch.Tensor]:
        waves = x.sin() * 2 + x.cos()
        return [torch.softmax(waves, 1), x.sum(), x.var(0), x.cumsum(1), x.amax(1)]

    x = torch.randn(500, 400)
    return [numbers(value.numpy()) for value in torch.compile(work)(x)]


@program("real", rounding=1e-9, because="ungoverned, sums of its threads come in any order")
def numba_openmp(threads: int) -> Any:
    import numpy as np

    os.environ["NUMBA_NUM_THREADS"] = str(threads)
    os.environ["NUMBA_THREADING_LAYER"] = "omp"
    x = np.random.default_rng(0).random(100000)
    out = np.zeros_like(x)
    return [compiled_loop()(x, out), numbers(out)]


@functools.cache
def compiled_loop() -> Any:
    import numba
    import numpy as np

    @numba.njit(parallel=True)
    def work(x: Any, out: Any) -> float:
        total = 0.0
        for i in numba.prange(len(x)):
            total += x[i] * i
            out[i] = np.sqrt(x[i])
        return total

    return work


@program("same")
def ctranslate2_scores(threads: int) -> Any:
    import ctranslate2

    scores = []
    lines = [[f"t{(7 * i * j + 3) % 500}" for i in range(60)] for j in range(8)]
    with tempfile.TemporaryDirectory() as folder:
        random_decoder(folder)
        for kind in ("float32", "int8"):
            model = ctranslate2.Generator(folder, intra_threads=threads, compute_type=kind)
            scored = model.score_batch(lines)
            scores.append(float(sum(sum(line.log_probs) for line in scored)))
    return scores


def random_decoder(folder: str) -> None:
    import numpy as np
    from ctranslate2.specs import common_spec, transformer_spec

    width, inner, words = 128, 512, 500
    random = np.random.default_rng(0)
    kind = transformer_spec.TransformerDecoderModelSpec
    spec = kind.from_config(2, 4, pre_norm=True, activation=common_spec.Activation.GELU)

    def linear(part: Any, rows: int, columns: int) -> None:
        part.weight = random.standard_normal((rows, columns)).astype(np.float32) * 0.1
        part.bias = np.zeros(rows, np.float32)

    def norm(part: Any) -> None:
        part.gamma, part.beta = np.ones(width, np.float32), np.zeros(width, np.float32)

    decoder = spec.decoder
    decoder.embeddings.weight = random.standard_normal((words, width)).astype(np.float32)
    decoder.position_encodings.encodings = random.standard_normal((64, width)).astype(np.float32)
    decoder.scale_embeddings = False
    norm(decoder.layer_norm)
    linear(decoder.projection, words, width)
    for layer in decoder.layer:
        norm(layer.self_attention.layer_norm)
        linear(layer.self_attention.linear[0], 3 * width, width)
        linear(layer.self_attention.linear[1], width, width)
        norm(layer.ffn.layer_norm)
        linear(layer.ffn.linear_0, inner, width)
        linear(layer.ffn.linear_1, width, inner)
    spec.register_vocabulary([f"t{i}" for i in range(words)])
    spec.config.bos_token, spec.config.eos_token, spec.config.unk_token = "t0", "t1", "t2"
    spec.validate()
    spec.optimize()
    spec.save(folder)
