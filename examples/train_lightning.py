"""Train with Lightning, serve its checkpoint with TensorFlow.

    pip install 'resspec[all,examples,lightning]'
    python -m examples.train_lightning

Takes half a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import lightning
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

import resspec

SPEC = Path(__file__).with_name("digits.yaml")


class Task(lightning.LightningModule):
    """What is trained: a network from a spec, a loss, an optimiser."""

    def __init__(self) -> None:
        super().__init__()
        self.network = resspec.build(SPEC)

    def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
        images, classes = batch
        loss = torch.nn.functional.cross_entropy(self.network(images), classes)
        self.log("loss", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def main(given: list[str] | None = None) -> tuple[float, float]:
    """How far the outputs of the two are apart, and the share of images that are told right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("digits.ckpt"))
    asked = parser.parse_args(given)
    lightning.seed_everything(0)

    digits = load_digits()
    images = ((digits.images - digits.images.mean()) / digits.images.std()).astype(np.float32)
    data = TensorDataset(torch.from_numpy(images[:, None]), torch.from_numpy(digits.target))

    task = Task()
    trainer = lightning.Trainer(
        max_epochs=asked.epochs, accelerator="cpu", logger=False, enable_checkpointing=False
    )
    trainer.fit(task, DataLoader(data, batch_size=64, shuffle=True))
    trainer.save_checkpoint(asked.out)

    served = resspec.build(SPEC, "tensorflow", weights=asked.out)  # a plain keras.Model, NHWC
    outputs = served.predict(images[..., None], verbose=0)
    with torch.inference_mode():
        expected = task.network.eval()(data.tensors[0]).numpy()
    apart = float(np.abs(outputs - expected).max())
    right = float(np.mean(outputs.argmax(1) == digits.target))
    print(f"{right:.1%} of the images are right; the two differ by at most {apart:.1e}")
    return apart, right


if __name__ == "__main__":
    main()
