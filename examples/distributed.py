"""Train with plain PyTorch in several processes, serve with TensorFlow.

    pip install 'resspec[all,examples]'
    torchrun --standalone --nproc-per-node 2 examples/distributed.py --out digits.pth
    resspec build examples/digits.yaml --backend tensorflow --weights digits.pth \\
        --export saved_model --out served

Takes half a minute on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import distributed
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import resspec

SPEC = Path(__file__).with_name("digits.yaml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("digits.pth"))
    asked = parser.parse_args()

    distributed.init_process_group("gloo")  # `nccl` on GPUs
    digits = load_digits()
    images = (digits.images - digits.images.mean()) / digits.images.std()
    data = TensorDataset(torch.from_numpy(images[:, None]).float(), torch.from_numpy(digits.target))
    share = DistributedSampler(data)  # of each process, another one every epoch
    loader = DataLoader(data, batch_size=32, sampler=share)

    model = DistributedDataParallel(resspec.build(SPEC))  # a plain torch.nn.Module
    optimizer = torch.optim.AdamW(model.parameters())
    steps = asked.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-2, total_steps=steps)
    for epoch in range(asked.epochs):
        share.set_epoch(epoch)
        for x, y in loader:
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            schedule.step()
        if distributed.get_rank() == 0:
            print(f"epoch {epoch}: loss {loss.item():.3f}")
            states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save({"epoch": epoch} | states, asked.out)
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
