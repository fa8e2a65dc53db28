"""Which activations may write over what they read, as torchvision's do: `inplace=True`."""

from __future__ import annotations

from collections import Counter

from resspec.emit import Definition, Layer
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d, ConvTranspose2d, ScaledStdConv2d, StdConv2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, CheckedAdd
from resspec.ops.norm import BatchNorm, GroupNorm

# What gives a tensor of its own that no gradient is computed from.
FRESH: frozenset[type[Op]] = frozenset({
    Conv2d, StdConv2d, ScaledStdConv2d, ConvTranspose2d, Linear, BatchNorm, GroupNorm, Add,
    CheckedAdd,
})  # fmt: skip


def overwriting(definition: Definition) -> frozenset[str]:
    """Names of the layers of which nothing else reads the input: it is made inside, by an op that
    does not keep it, and read once. A name that is applied again must be free to each time."""
    reads = Counter(value for item in definition.items for value in item.inputs)
    reads.update(definition.outputs)
    fresh = {
        value
        for item in definition.items
        if isinstance(item, Layer) and item.op in FRESH
        for value in item.outputs
        if reads[value] == 1
    }
    bound = {
        item.name
        for item in definition.items
        if not (isinstance(item, Layer) and fresh.issuperset(item.inputs))
    }
    return frozenset(item.name for item in definition.items) - bound
