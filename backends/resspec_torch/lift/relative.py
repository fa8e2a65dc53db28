"""Modules that score queries by where keys stand, however they move the products into place: found
by trying `relative_logits` on the same numbers, in float64."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data, Recorder, Taken
from resspec_torch.lift.values import copied
from resspec_torch.origins import Lifted

CLOSE = 1e-10
Size = tuple[int, int]


class Relative(NamedTuple):
    """Names of the tables for the height and for the width, and the sizes of both windows."""

    height: str
    width: str
    window: Size
    keys: Size

    def applied(self, recorder: Recorder, queries: Data, path: str) -> Data:
        """What the module at this path gives of queries (…, queries, d)."""
        rank = len(queries.layout)
        depth = layouts.size(queries.layout[-1])
        x = arrange.turned(
            recorder, queries,
            lambda name: 0 if name.is_channels else 2 if name.label == str(rank - 2) else 1,
        )  # fmt: skip
        count, across = (a * b for a, b in (self.window, self.keys))
        taken = {"height": Taken(f"{path}.{self.height}"), "width": Taken(f"{path}.{self.width}")}
        keys = None if self.keys == self.window else self.keys
        (made,) = recorder.apply(
            "relative_logits", x.value, taken=taken, heads=x.value.type.channels // depth,
            window=self.window, keys=keys,
        )  # fmt: skip
        moved = {"c": lambda atom: atom._replace(step=atom.step // depth),
                 "h": lambda atom: atom._replace(step=atom.step * count)}  # fmt: skip
        axes = [
            layouts.joined(moved.get(atom.dim, lambda same: same)(atom) for atom in axis)
            for axis in x.layout[:-2]
        ]
        ends = [layouts.joined([Atom("h", 1, count)]), layouts.joined([Atom("w", 1, across)])]
        return Data(made, (*axes, *ends))


def relative(module: nn.Module, reads: Tensor, gives: Tensor) -> Relative | None:
    """The op that the module is for a tensor (…, queries, d) like `reads`, None for another."""
    tables = dict(module.named_parameters())
    if len(tables) != 2 or any(one.dim() != 2 or len(one) % 2 == 0 for one in tables.values()):
        return None
    depth = reads.shape[-1]
    if any(one.shape[1] != depth for one in tables.values()) or gives.dim() < 2:
        return None
    module = copied(module).double().eval()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(reads.shape, generator=generator, dtype=torch.float64)
    with torch.no_grad(), Lifted():
        for one in module.parameters():
            one.copy_(torch.randn(one.shape, generator=generator, dtype=torch.float64))
        try:
            wanted = module(x)
        except (RuntimeError, TypeError, ValueError, AssertionError):
            return None
    tables = dict(module.named_parameters())
    for height, width in itertools.permutations(tables):
        keys = ((len(tables[height]) + 1) // 2, (len(tables[width]) + 1) // 2)
        for window in _windows(int(reads.shape[-2]), keys):
            with torch.no_grad():
                found = _logits(x, tables[height], tables[width], window, keys)
            if found.shape == wanted.shape and float((found - wanted).abs().max()) <= CLOSE * max(
                1.0, float(wanted.abs().max())
            ):
                return Relative(height, width, window, keys)
    return None


def _windows(count: int, keys: Size) -> Iterator[Size]:
    """Windows of so many queries that their keys' may be around, square ones first."""
    found = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    yield from sorted(
        (one for one in found if one[0] <= keys[0] and one[1] <= keys[1]),
        key=lambda one: abs(one[0] - one[1]),
    )


def _logits(x: Tensor, height: Tensor, width: Tensor, window: Size, keys: Size) -> Tensor:
    """As `resspec.ops.relative.RelativeLogits` says."""
    ways = [
        torch.arange(many)[None, :] - torch.arange(few)[:, None] + many - 1
        for few, many in zip(window, keys, strict=True)
    ]
    down = height[ways[0]][:, None, :, None]  # (qh, 1, kh, 1, d)
    across = width[ways[1]][None, :, None, :]
    table = (down + across).flatten(0, 1).flatten(1, 2)  # (queries, keys, d)
    return torch.einsum("...qd,qkd->...qk", x, table)
