"""Train with Keras' `fit`, serve with PyTorch: both give the same.

    pip install 'resspec[all,examples]'
    python -m examples.fit_and_serve

Takes half a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import keras
import numpy as np
import torch
from sklearn.datasets import load_digits

import resspec

SPEC = Path(__file__).with_name("digits.yaml")


def main(given: list[str] | None = None) -> tuple[float, float]:
    """How far the outputs of the two are apart, and the share of images that are told right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    epochs = parser.parse_args(given).epochs
    keras.utils.set_random_seed(0)  # of the order of images, by which alone two runs would differ

    digits = load_digits()
    images = ((digits.images - digits.images.mean()) / digits.images.std()).astype(np.float32)

    trained = resspec.build(SPEC, "tensorflow")  # a plain keras.Model, NHWC
    trained.compile(
        optimizer=keras.optimizers.Adam(1e-2),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    trained.fit(images[..., None], digits.target, batch_size=64, epochs=epochs, verbose=0)

    served = resspec.build(SPEC, "torch", weights=trained)  # a plain torch.nn.Module, NCHW
    with torch.inference_mode():
        outputs = served.eval()(torch.from_numpy(images[:, None])).numpy()

    apart = float(np.abs(outputs - trained.predict(images[..., None], verbose=0)).max())
    right = float(np.mean(outputs.argmax(1) == digits.target))
    print(f"{right:.1%} of the images are right; the two differ by at most {apart:.1e}")
    return apart, right


if __name__ == "__main__":
    main()
