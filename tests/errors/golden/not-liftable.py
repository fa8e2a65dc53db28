import torch
from torch import nn

from resspec import import_model


class Sorted(nn.Module):
    def forward(self, x):
        return x.sort(dim=1).values


import_model(nn.Sequential(nn.Conv2d(3, 4, 3), Sorted()), torch.zeros(1, 3, 8, 8))
