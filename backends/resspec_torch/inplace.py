"""Which layers may write over what they read, as torchvision's do.

Activations by `inplace=True`; a sum over its first value: a map less to allocate in each block.
"""

from __future__ import annotations

from collections import Counter

from resspec.emit import Definition, Item, Layer
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
# What a sum may be written over: under autocast these give the dtype of what they are added to.
SUMMED: frozenset[type[Op]] = frozenset({Conv2d, BatchNorm})


def overwriting(definition: Definition) -> frozenset[str]:
    """Names of the layers of which nothing else reads the first input: it is made inside, by an op
    that does not keep it, and read once. A name that is applied again must be free to each time."""
    reads = Counter(value for item in definition.items for value in item.inputs)
    reads.update(definition.outputs)
    fresh = {
        value: item.op
        for item in definition.items
        if isinstance(item, Layer) and item.op in FRESH
        for value in item.outputs
        if reads[value] == 1
    }

    def free(item: Item) -> bool:
        made = fresh.get(item.inputs[0]) if isinstance(item, Layer) and item.inputs else None
        return made is not None and (len(item.inputs) == 1 or made in SUMMED)

    bound = {item.name for item in definition.items if not free(item)}
    return frozenset(item.name for item in definition.items) - bound
