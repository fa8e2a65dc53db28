"""Train with Keras' `fit`, go on in PyTorch, and the two say the same in between.

A small residual network learns the digits of scikit-learn with Keras; its weights go to PyTorch,
where the outputs are compared and the head alone is trained on, all else frozen.

    pip install 'resspec[all,examples]'
    python examples/fit_and_serve.py

Takes about half a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import torch
from sklearn.datasets import load_digits

import resspec

SPEC = Path(__file__).parent / "degradation/digits.yaml"


def main(given: list[str] | None = None) -> tuple[float, float, float]:
    """How far the outputs of the two are apart, and the accuracy before and after."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args(given).epochs
    spec = resspec.load(f"{SPEC}#residual", overrides=["params.n=1"])

    found = load_digits()
    x = ((found.images - found.images.mean()) / found.images.std())[..., None].astype(np.float32)
    y = found.target

    trained = resspec.build(spec, "tensorflow")  # a plain keras.Model, NHWC
    trained.compile(
        optimizer=keras.optimizers.SGD(0.05, momentum=0.9),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    trained.fit(x, y, batch_size=64, epochs=epochs, verbose=0)

    served = resspec.build(spec, "torch", weights=trained).eval()  # a plain torch.nn.Module, NCHW
    images = torch.tensor(x).permute(0, 3, 1, 2)

    def outputs() -> torch.Tensor:
        with torch.no_grad():
            return served(images)

    def accuracy() -> float:
        return float(np.mean(outputs().argmax(1).numpy() == y))

    apart = float(np.abs(outputs().numpy() - trained.predict(x, verbose=0)).max())
    before = accuracy()
    print(f"outputs differ by at most {apart:.1e}; {before:.1%} of the images are right")

    for parameter in served.parameters():
        parameter.requires_grad_(False)
    head = [parameter.requires_grad_(True) for parameter in served.head.parameters()]
    optimizer = torch.optim.AdamW(head, lr=1e-2)
    for _ in range(10 * epochs):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(served(images), torch.tensor(y)).backward()
        optimizer.step()
    after = accuracy()
    print(f"with its head trained on: {after:.1%}")
    return apart, before, after


if __name__ == "__main__":
    main()
