import torch
from torch import nn

from resspec import import_model


class Pinned(nn.Module):
    """What it adds depends on the size: right at the example's alone."""

    def forward(self, x):
        return x * 2 if x.shape[2] == 8 else x


import_model(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Pinned()), torch.zeros(1, 3, 8, 8))
