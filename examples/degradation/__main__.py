"""Deeper plain networks train worse, residual ones do not: shown on two frameworks at once.

Every network of `digits.yaml` is trained on the 1,797 digits of scikit-learn by PyTorch and by
TensorFlow, from the same spec, weights and batches, in float64; what is drawn is the error on what
it was trained on, against depth: the mean of three seeds, from the least to the most.

    pip install 'resspec[all,examples]'
    python -m examples.degradation --out degradation.svg

Takes about five minutes on a CPU; `--depths 1,2 --epochs 1 --images 128 --seeds 1` a few seconds.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

import resspec

SPEC = Path(__file__).parents[1] / "digits.yaml"
KINDS = ("plain", "residual")
BATCH = 128
SGD = {"lr": 0.05, "momentum": 0.9, "weight_decay": 1e-4}

Batch = tuple[np.ndarray, np.ndarray]
Step = Callable[[np.ndarray, np.ndarray], None]
Predict = Callable[[np.ndarray], np.ndarray]


def digits(images: int) -> Batch:
    """The first images, (N, 1, 8, 8) of mean 0 and deviation 1, and their classes."""
    found = load_digits()
    x = found.images[:images, None].astype(np.float64)
    return (x - x.mean()) / x.std(), found.target[:images].astype(np.int64)


def batches(data: Batch, epochs: int, seed: int) -> Iterator[Batch]:
    """The same batches for whoever asks."""
    draw = np.random.default_rng(seed)
    for _ in range(epochs):
        order = draw.permutation(len(data[0]))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield data[0][chosen], data[1][chosen]


def on_torch(spec: resspec.LoadedSpec, seed: int) -> tuple[Step, Predict]:
    """A step of training, and what the network says of images."""
    import torch

    model = resspec.build(spec, "torch", dtype="float64", seed=seed)
    optimizer = resspec.optimizer("sgd", model, **SGD)

    def step(x: np.ndarray, y: np.ndarray) -> None:
        loss = torch.nn.functional.cross_entropy(model(torch.tensor(x)), torch.tensor(y))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def predict(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return model(torch.tensor(x)).numpy()

    model.train()
    return step, predict


def on_tensorflow(spec: resspec.LoadedSpec, seed: int) -> tuple[Step, Predict]:
    """The same, in Keras' terms."""
    import keras
    import tensorflow as tf

    model = resspec.build(spec, "tensorflow", dtype="float64", seed=seed)
    optimizer = resspec.optimizer("sgd", model, **SGD)
    measure = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @tf.function
    def trained(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = measure(y, model(x, training=True))
        weights = model.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)

    optimizer.build(model.trainable_variables)
    nhwc = (0, 2, 3, 1)
    return (
        lambda x, y: trained(tf.constant(x.transpose(nhwc)), tf.constant(y)),
        lambda x: model(x.transpose(nhwc), training=True).numpy(),
    )


BACKENDS = {"torch": on_torch, "tensorflow": on_tensorflow}


def error(spec: resspec.LoadedSpec, backend: str, data: Batch, epochs: int, seed: int) -> float:
    """Percent of the training images that a trained network gets wrong, with the statistics of
    the images themselves, as it saw them while it was trained."""
    step, predict = BACKENDS[backend](spec, seed)
    for x, y in batches(data, epochs, seed):
        step(x, y)
    return 100 * float(np.mean(predict(data[0]).argmax(1) != data[1]))


def experiment(depths: list[int], epochs: int, images: int, seeds: int) -> list[dict[str, Any]]:
    """A row a network, seed and backend."""
    data, rows = digits(images), []
    for kind, n, seed, backend in product(KINDS, depths, range(seeds), BACKENDS):
        start = time.perf_counter()
        spec = resspec.load(f"{SPEC}#{kind}", overrides=[f"params.n={n}"])
        wrong = error(spec, backend, data, epochs, seed)
        layers = 4 * n + 2
        rows.append(
            {"kind": kind, "layers": layers, "seed": seed, "backend": backend, "error": wrong}
        )
        seconds = f"{time.perf_counter() - start:4.0f} s"
        print(f"{kind:<9}{layers:>3} layers  seed {seed}  {backend:<11}{wrong:6.2f} %  {seconds}")
    return rows


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    """Error against depth: a colour a kind of network, a line a backend, a band the seeds."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    wide = {"marker": "o", "markersize": 9, "fillstyle": "none", "linewidth": 3, "alpha": 0.5}
    styles = {"torch": wide, "tensorflow": {"marker": "x", "linestyle": "--"}}
    depths = sorted({row["layers"] for row in rows})
    for kind, colour in zip(KINDS, ("tab:red", "tab:blue"), strict=True):
        for backend, style in styles.items():
            line = [row for row in rows if (row["kind"], row["backend"]) == (kind, backend)]
            seeds = [[row["error"] for row in line if row["layers"] == depth] for depth in depths]
            label = f"{kind}, {backend}"
            axes.plot(depths, [*map(np.mean, seeds)], color=colour, label=label, **style)
            low, high = [*map(min, seeds)], [*map(max, seeds)]
            axes.fill_between(depths, low, high, color=colour, alpha=0.1, linewidth=0)
    axes.set(xlabel="layers", ylabel="training error (%)", xticks=depths)
    axes.legend()
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main(given: list[str] | None = None) -> list[dict[str, Any]]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--depths", default="1,4,9", help="blocks a stage, n: 4n + 2 layers")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=1797)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("degradation.svg"))
    asked = parser.parse_args(given)
    depths = [int(one) for one in asked.depths.split(",")]
    rows = experiment(depths, asked.epochs, asked.images, asked.seeds)
    with asked.out.with_suffix(".csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    plot(rows, asked.out)
    print(f"wrote {asked.out} and {asked.out.with_suffix('.csv')}")
    return rows


if __name__ == "__main__":
    main()
