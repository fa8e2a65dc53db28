"""Makes checkpoints on which `resspec port` once went wrong, in the current folder.

deep12.{pth,safetensors}: twelve equal blocks; safetensors sorts names, so block 10 comes before 2.
two_sets.pth.tar: ordinary and averaged weights side by side.
with_args.pth.tar: as training scripts save it, an argparse.Namespace beside the tensors.
nested.pth: {"model": {"state_dict": …}}.  plain.npz: the arrays by name.
expanded.pth: 1.6 KB that claim 40000 × 50000 float16 numbers.  keys.pth: names that are no text.
odd_dtypes/: float8, complex, int64 and bool tensors of the right shape.
deep12_io.npz: an input (2, 3, 16, 16) and what the network with deep12's weights gives for it.
"""

import argparse
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x):
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Net(nn.Module):
    def __init__(self, depth, classes):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.layer1 = nn.Sequential(*[Block() for _ in range(depth)])
        self.fc = nn.Linear(8, classes)

    def forward(self, x):
        return self.fc(self.layer1(torch.relu(self.bn1(self.conv1(x)))).mean((2, 3)))


def net(depth, classes):
    model = Net(depth, classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model.eval()


def main():
    torch.manual_seed(1)
    model = net(12, 5)
    state = model.state_dict()
    torch.save(state, "deep12.pth")
    save_file({k: v.contiguous() for k, v in state.items()}, "deep12.safetensors")
    x = torch.randn(2, 3, 16, 16)
    np.savez("deep12_io.npz", x=x.numpy(), y=model(x).detach().numpy())
    state = net(1, 10).state_dict()
    half = OrderedDict((k, v * 0.5 if v.is_floating_point() else v) for k, v in state.items())
    torch.save({"epoch": 1, "state_dict": state, "state_dict_ema": half}, "two_sets.pth.tar")
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, "with_args.pth.tar")
    torch.save({"model": {"state_dict": state}, "epoch": 1}, "nested.pth")
    np.savez("plain.npz", **{k: v.numpy() for k, v in state.items()})
    torch.save({"w": torch.zeros(1, dtype=torch.float16).expand(40_000, 50_000)}, "expanded.pth")
    torch.save(dict(enumerate(state.values())), "keys.pth")
    folder = Path("odd_dtypes")
    folder.mkdir(exist_ok=True)
    for dtype in (torch.float8_e4m3fn, torch.complex64, torch.int64, torch.bool):
        one = {"conv1.weight": torch.ones(4, 3, 3, 3).to(dtype)}
        torch.save(one, folder / f"{str(dtype).removeprefix('torch.')}.pth")


if __name__ == "__main__":
    main()
