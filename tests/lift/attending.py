"""Modules that attend, for the import of models: products of values, tokens, tables of positions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Attention(nn.Module):
    """Products of queries and keys, written out."""

    def __init__(self, width: int, heads: int, masked: bool) -> None:
        super().__init__()
        self.heads, self.masked = heads, masked
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, tokens, width = x.shape
        q, k, v = self.qkv(x).view(n, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-2, -1)
        if self.masked:
            scores = scores + torch.full((tokens, tokens), -1e4).triu(1)
        return self.out((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, tokens, width))


class Attending(nn.Module):
    def __init__(self, width: int, heads: int, masked: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attention = Attention(width, heads, masked)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Attends(nn.Module):
    """Patches, a class token and a table of positions, before blocks that attend."""

    def __init__(self, masked: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 12))
        self.positions = nn.Parameter(torch.randn(1, 17, 12))
        self.blocks = nn.Sequential(*(Attending(12, 3, masked) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(12, 1e-6), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class Distances(nn.Module):
    """Attention with a number for each head and each distance, of all queries or every second; what
    it looks up is kept for later while nothing is trained, as in LeViT."""

    def __init__(self, side: int, stride: int, windows: int = 1) -> None:
        super().__init__()
        self.side, self.stride, self.windows = side, stride, windows
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.qkv = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))
        self.table = nn.Parameter(torch.zeros(2, side * side))
        keys = torch.cartesian_prod(torch.arange(side), torch.arange(side))
        queries = torch.cartesian_prod(*[torch.arange(0, side, stride)] * 2)
        ways = (queries[:, None] - keys[None]).abs()
        self.register_buffer("ways", ways[..., 0] * side + ways[..., 1], persistent=False)
        self.kept: dict[str, Tensor] = {}

    def train(self, mode: bool = True) -> Distances:
        if mode:
            self.kept.clear()
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        bias = self.table[:, self.ways]
        if not self.training:
            bias = self.kept.setdefault("bias", bias)
        x = self.patches(x)
        n, side, count = len(x), self.side, self.windows
        x = x.view(n, 8, count, side, count, side).permute(0, 2, 4, 3, 5, 1)
        x = x.reshape(n * count * count, side, side, 8)
        few = x[:, :: self.stride, :: self.stride].reshape(len(x), -1, 8)
        both = (few, *[x.flatten(1, 2)] * 2)
        q, k, v = (
            layer(one).unflatten(2, (2, 4)).transpose(1, 2)
            for layer, one in zip(self.qkv, both, strict=True)
        )
        x = (q @ k.transpose(2, 3) * 0.5 + bias).softmax(3) @ v
        return x.transpose(1, 2).reshape(n, -1, 8).mean(1)


class Asking(nn.Module):
    """A class token that asks all others, and is added to what it is told, as in CaiT; embeddings
    and a head of length one."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.q, self.k, self.v = (nn.Linear(8, 8) for _ in range(3))
        self.head = nn.Parameter(torch.randn(5, 8))

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        token = self.token.expand(len(x), -1, -1)
        for _ in range(2):
            every = torch.cat([token, x], 1)
            q, k, v = (
                one.unflatten(2, (2, 4)).transpose(1, 2)
                for one in (self.q(every[:, :1]), self.k(every), self.v(every))
            )
            token = token + functional.scaled_dot_product_attention(q, k, v).flatten(1)[:, None]
        token = functional.normalize(token[:, 0], dim=1)
        return functional.linear(token, functional.normalize(self.head))


class Nonlocal(nn.Sequential):
    """A word of Python; PyTorch's own encoder, which drops weights of its attention."""

    def __init__(self) -> None:
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.1, batch_first=True, norm_first=True)
        super().__init__(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), Turned(), layer)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).mean(1)


class Turned(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.transpose(1, 2)
