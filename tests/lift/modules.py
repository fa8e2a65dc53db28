"""Modules as users write them: functional calls, several outputs, skips, layers in loops."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.lift.attending import Asking, Nonlocal


class Functional(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(3, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 16, 3, 2, 1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.c1(x))
        x = functional.max_pool2d(functional.relu(self.c2(x)), 2)
        return self.fc(functional.dropout(x.mean([2, 3]), 0.3, self.training))


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.b = nn.Conv2d(8, 16, 3, 2, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        fine = functional.silu(self.a(x))
        return {"fine": fine, "coarse": functional.silu(self.b(fine))}


class Skip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 8, 3, padding=1)
        self.down2 = nn.Conv2d(8, 16, 3, 2, 1)
        self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        self.last = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = functional.relu(self.down1(x))
        return self.last(torch.cat([fine, self.up(functional.relu(self.down2(fine)))], 1))


class Gated(nn.Module):
    """Mish written out, a gate of linear layers, parameters used as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, padding=1)
        self.gamma = nn.Parameter(torch.full((8, 1, 1), 1e-6))
        self.shift = nn.Parameter(torch.zeros(8))
        self.fc1, self.fc2 = nn.Linear(8, 4), nn.Linear(4, 8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(x)
        x = x * torch.tanh(functional.softplus(x))
        gate = torch.sigmoid(self.fc2(functional.relu(self.fc1(x.mean((2, 3))))))
        return x * gate[:, :, None, None] * self.gamma + self.shift.view(1, -1, 1, 1)


class Positions(nn.Module):
    """A classifier that reads positions, so that it has one size."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(True))
        self.pool = nn.AdaptiveAvgPool2d((2, 2))
        self.head = nn.Sequential(nn.Linear(32, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(torch.flatten(self.pool(self.features(x)), 1))


class Block(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outer)
        self.down = None
        if stride != 1 or inner != outer:
            self.down = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(y + (x if self.down is None else self.down(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        shapes = [(8, 8, 1), (8, 8, 1), (8, 16, 2), (16, 16, 1)]
        self.blocks = nn.ModuleList([Block(*shape) for shape in shapes])
        self.fc = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.fc(x.mean((2, 3)))


class Shuffled(nn.Module):
    """Channels split, joined and interleaved by views."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, 2, 1)
        self.d = nn.Conv2d(4, 4, 3, 1, 1, groups=4)

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.c(x).chunk(2, 1)
        x = torch.cat([left, self.d(right)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Unsayable(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, padding=1)
        self.wave = Wave()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(torch.sort(self.wave(self.c(x)), 1).values)


class Wave(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(x)


class Repeated(nn.Module):
    """One layer, applied in a loop."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.c, self.bn = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for _ in range(3):
            x = functional.relu(self.bn(self.c(x)))
        return x


class Measured(nn.Module):
    """A size taken from another tensor, a branch that depends on shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.fine(x)
        coarse = self.coarse(fine)
        if coarse.shape[-1] != fine.shape[-1]:
            coarse = functional.interpolate(coarse, size=fine.shape[2:], mode="bilinear")
        return fine + coarse


class residual(nn.Module):  # noqa: N801  a word of the language
    def __init__(self, width: int, kernels: tuple[int, ...]) -> None:
        super().__init__()
        parts = width // len(kernels)
        self.convs = nn.ModuleList(nn.Conv2d(parts, parts, k, padding=k // 2) for k in kernels)

    def forward(self, x: Tensor) -> Tensor:
        parts = x.chunk(len(self.convs), 1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], 1)


class Mixed(nn.Module):
    """Blocks called as the language calls something; of as many branches as each has kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, padding=1)
        self.a, self.b = residual(12, (3, 5)), residual(12, (3, 5, 7))
        self.c, self.d = residual(12, (3, 5)), residual(12, (3, 5, 7))

    def forward(self, x: Tensor) -> Tensor:
        return self.d(self.c(self.b(self.a(self.stem(x)))))


class Joined(nn.Module):
    """Reads two values, and gives two."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(inner, outer, 3, 1, 1), nn.Conv2d(outer, outer, 3, 1, 1)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x = functional.relu(self.one(x))
        return x, functional.relu(self.two(x) + y)


class Paths(nn.Module):
    """Two values from block to block, one of them the shortcut's own."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.side = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 1)
        self.blocks = nn.ModuleList([Joined(8, 8), Joined(8, 8), Joined(8, 8)])
        self.last = nn.Conv2d(8, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        y = self.side(x)
        for block in self.blocks:
            x, y = block(x, y)
        z = functional.relu(self.last(x))
        return torch.cat([self.side(z) + y, z], 1)


class Narrow(nn.Module):
    """Its constructor's arguments are not its layers' numbers."""

    def __init__(self, inner: int, planes: int, stride: int, gated: bool) -> None:
        super().__init__()
        self.a = nn.Conv2d(inner, planes, 1, bias=False)
        self.b = nn.Conv2d(planes, planes * 2, 3, stride, 1, bias=False)
        self.gate = nn.Conv2d(planes * 2, planes * 2, 1, bias=False) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        x = functional.silu(self.b(functional.silu(self.a(x))))
        return x if self.gate is None else torch.sigmoid(self.gate(x)) * x


class Bottlenecks(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, bias=False), Narrow(8, 4, 1, False), Narrow(8, 8, 2, True),
            Narrow(16, 8, 1, False), Narrow(16, 8, 1, True),
        )  # fmt: skip


class Layer(nn.Module):
    def __init__(self, inner: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inner), nn.Conv2d(inner, 4, 3, padding=1, bias=False)

    def forward(self, found: list[Tensor]) -> Tensor:
        return self.conv(functional.relu(self.norm(torch.cat(found, 1))))


class Dense(nn.Module):
    """Everything so far is joined again in each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.layers = nn.ModuleList([Layer(8 + 4 * n) for n in range(3)])

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for layer in self.layers:
            found.append(layer(found))
        return torch.cat(found, 1)


class Branches(nn.Module):
    """The same conv thrice, and a norm alone where the shape allows it."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(inner, outer, 3, padding=1, bias=False) for _ in range(3)
        )
        self.norm = nn.BatchNorm2d(inner) if inner == outer else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.convs[0](x)
        for conv in self.convs[1:]:
            y = y + conv(x)
        return functional.silu(y if self.norm is None else y + self.norm(x))


class Branched(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, bias=False), Branches(8, 8), Branches(8, 12), Branches(12, 12),
            Branches(12, 16),
        )  # fmt: skip


SIZED = Residual()  # a live module, not a class


class Arithmetic(nn.Module):
    """Gates, clamps to any numbers, absolute values, the smallest, a quotient that is softsign."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.glu(self.c(x), dim=1)
        x = x / (1 + x.abs()) + x.clamp(-0.25, 0.5)
        x = x + torch.minimum(x, 1 - x).clamp(max=0.125)
        return torch.cat([x, x.min(1, keepdim=True).values, x.abs().clamp(min=1e-3)], 1)


class Table(nn.Module):
    """A number learned for each place, and a norm with a scale alone."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 8, 2, 2)
        self.table = nn.Parameter(torch.randn(1, 8, 16, 16))
        self.norm = nn.LayerNorm(8, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.adaptive_avg_pool2d(self.c(x), 16) + self.table
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class FrozenNorm(nn.Module):
    """Detectors' norm: four buffers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        shift = self.bias - self.running_mean * scale
        return x * scale[:, None, None] + shift[:, None, None]


class Frozen(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3), FrozenNorm(8), nn.ReLU(), nn.Conv2d(8, 8, 3))


class UNet(nn.Module):
    """Skips kept in a list, modules indexed by numbers, a trunk of one class."""

    def __init__(self) -> None:
        super().__init__()
        widths = (4, 8, 16)
        pairs = list(itertools.pairwise(widths))
        self.first = nn.Conv2d(3, 4, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2) for a, b in reversed(pairs))
        self.join = nn.ModuleDict({str(a): nn.Conv2d(2 * a, a, 3, padding=1) for a, _ in pairs})

    def forward(self, x: Tensor) -> Tensor:
        skips = [functional.relu(self.first(x))]
        for layer in self.down:
            skips.append(functional.relu(layer(functional.max_pool2d(skips[-1], 2))))
        x = skips.pop()
        for at, skip in enumerate(reversed(skips)):
            x = torch.cat([skip, self.up[at](x)], 1)
            x = functional.relu(self.join[str(skip.shape[1])](x))
        return x


class Cut(nn.Module):
    """Rows and columns left out: from the first on, to the last, and to another's size."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.pad(x, (-1, 1, -1, 1))
        odd = (x.shape[-2] % 2, x.shape[-1] % 2)  # padded as TensorFlow does
        x = functional.avg_pool2d(functional.pad(x, (odd[1], 1, odd[0], 1)), 3, 2)
        a, b = self.a(x[:, :, 1:, 1:]), self.b(x)
        return torch.cat([a[..., : b.shape[2], : b.shape[3]], b], 1)


class Scaled(nn.Module):
    """What images are scaled by: buffers, and tensors that are none; powers; whole channels dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor([0.2, 0.25, 0.3]).view(3, 1, 1), persistent=False)
        self.plain = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
        self.c = nn.Conv2d(3, 8, 3)
        self.drop = nn.Dropout2d(0.25)

    def forward(self, x: Tensor) -> Tensor:
        x = (x - self.mean) / self.std + self.plain * x - self.plain
        return self.drop(self.c(x * self.std)) ** 3 / 255.0


class HalfNorm(nn.Module):
    """A norm by a function, with a scale or a shift and not both."""

    def __init__(self, kind: str, scaled: bool) -> None:
        super().__init__()
        self.kind, self.c = kind, nn.Conv2d(3, 8, 3)
        self.weight = nn.Parameter(torch.ones(8)) if scaled else None
        self.bias = None if scaled else nn.Parameter(torch.zeros(8))
        self.register_buffer("mean", torch.zeros(8))
        self.register_buffer("var", torch.ones(8))

    def forward(self, x: Tensor) -> Tensor:
        x, both = self.c(x), (self.weight, self.bias)
        if self.kind == "group":
            return functional.group_norm(x, 2, *both)
        if self.kind == "instance":
            return functional.instance_norm(x, None, None, *both)
        if self.kind == "batch":
            return functional.batch_norm(x, self.mean, self.var, *both, self.training)
        return functional.layer_norm(x.permute(0, 2, 3, 1), (8,), *both).permute(0, 3, 1, 2)


class Counting(nn.Module):
    """Pads by a number that it computes of its size, as no op does at another."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, 2), nn.Conv2d(4, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        more = x.shape[-1] // 16
        return self.b(functional.pad(self.a(x), (0, more, more, 0)))


class Sides(nn.Module):
    """Rows and columns averaged, joined and parted again (coordinate attention); channels in twos;
    a layer norm over all of a map; one row of tokens convolved."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.a = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 4, 1)
        self.h, self.w = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)
        self.norm, self.along = nn.LayerNorm([4, 32, 32]), nn.Conv1d(4, 6, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(x)
        n, _, h, w = x.shape
        both = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], 2)
        down, across = functional.relu(self.a(both)).split([h, w], 2)
        x = x * self.h(down).sigmoid() * self.w(across.transpose(2, 3)).sigmoid()
        x = self.norm(x.view(n, 4, 2, h, w).amax(2))
        y = functional.max_pool1d(self.along(x.flatten(2)), 3, 2)
        return torch.cat([y.sum(2), x.mean(2).mean(2), x.mean((2, 3))], 1)


class Spread(nn.Module):
    """One channel as three, one position as all, vectors of pools of several sizes, many parts
    that are added up."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.c, self.d = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 4, 3), nn.Conv2d(12, 40, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.c(self.one(x).expand(-1, 3, -1, -1))
        whole = x.mean((2, 3), keepdim=True)
        x = self.d(torch.cat([x, whole.expand(-1, -1, *x.shape[2:]), x.repeat(1, 1, 1, 1)], 1))
        x = x.unflatten(1, (10, 4)).sum(1)
        pools = [functional.adaptive_max_pool2d(x, size).flatten(1) for size in (1, 2)]
        return torch.cat(pools, 1)


class Selective(nn.Module):
    """Two kernels, weighed by what both see: stacked one by one, and averaged side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(4, 4, 3, padding=d, dilation=d) for d in (1, 2))
        self.fc = nn.Linear(4, 2)
        self.fcs = nn.ModuleList(nn.Linear(2, 4) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        one, other = torch.split(self.stem(x), 4, 1)
        x = torch.max(one, other) + torch.min(one, other)
        seen, weights = self.convs[0](x).unsqueeze(1), Tensor()
        seen = torch.cat([seen, self.convs[1](x).unsqueeze(1)], 1)
        squeezed = self.fc(seen.sum(1).mean(-1).mean(-1))
        for at, layer in enumerate(self.fcs):
            weight = layer(squeezed).unsqueeze(1)
            weights = weight if at == 0 else torch.cat([weights, weight], 1)
        return (seen * weights.softmax(1)[:, :, :, None, None]).sum(1)


LIFTED = (Functional, Several, Skip, Gated, Positions, Residual, Shuffled, Repeated, Measured,
          Mixed, Paths, Arithmetic, Table, Frozen, UNet, Cut, Scaled, Asking, Sides, Spread, Nonlocal,
          Selective)  # fmt: skip
