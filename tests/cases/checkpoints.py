"""Makes checkpoints on which `resspec port` once went wrong, in the current folder.

deep12.{pth,safetensors}: twelve equal blocks; safetensors sorts names, so block 10 comes before 2.
deep12_io.npz: an input (2, 3, 16, 16) and what the network with deep12's weights gives for it.
"""

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


if __name__ == "__main__":
    main()
