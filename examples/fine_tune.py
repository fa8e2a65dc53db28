"""Fine-tune in PyTorch, serve with TensorFlow, where there is neither resspec nor PyTorch.

A network that knows the digits 0 to 6 gets a head for all ten, which alone is trained on 200
images, all else frozen; what is served is a SavedModel.

    pip install 'resspec[all,examples]'
    python -m examples.fine_tune --out served

Takes half a minute on a CPU.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch
from sklearn.datasets import load_digits

import resspec

SPEC = Path(__file__).with_name("digits.yaml")
OLD, FEW = 7, 200  # classes that are known, images of all ten


def train(
    model: torch.nn.Module,
    parameters: Iterable[torch.nn.Parameter],
    images: torch.Tensor,
    classes: torch.Tensor,
    steps: int,
) -> None:
    """Of the model, these parameters."""
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    draw = torch.Generator().manual_seed(0)
    for _ in range(steps):
        chosen = torch.randint(len(images), (64,), generator=draw)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images[chosen]), classes[chosen]).backward()
        optimizer.step()


def main(given: list[str] | None = None) -> tuple[float, float]:
    """How far the outputs of the two are apart, and the share of other images told right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("served"))
    asked = parser.parse_args(given)

    digits = load_digits()
    scaled = ((digits.images - digits.images.mean()) / digits.images.std()).astype(np.float32)
    images, classes = torch.from_numpy(scaled[:, None]), torch.from_numpy(digits.target)

    known = classes < OLD
    trained = resspec.build(resspec.load(SPEC, overrides=[f"num_classes={OLD}"]))
    train(trained, trained.parameters(), images[known], classes[known], asked.steps)

    with warnings.catch_warnings(action="ignore"):  # that the head is drawn anew, as is meant
        tuned = resspec.build(SPEC, weights=trained, partial=True)
    tuned.eval()  # statistics stay, too
    train(tuned, tuned.head.parameters(), images[:FEW], classes[:FEW], asked.steps)

    resspec.build(SPEC, "tensorflow", weights=tuned).export(asked.out)
    served = tf.saved_model.load(asked.out)
    outputs = served.serve(scaled[FEW:, :, :, None]).numpy()

    with torch.inference_mode():
        apart = float(np.abs(outputs - tuned(images[FEW:]).numpy()).max())
    right = float(np.mean(outputs.argmax(1) == digits.target[FEW:]))
    print(f"{right:.1%} of the other images are right; the two differ by at most {apart:.1e}")
    return apart, right


if __name__ == "__main__":
    main()
