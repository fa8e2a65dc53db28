"""A first convolution that was trained on other channels, fitted to these.

Source: `adapt_input_conv` of timm, which these agree with on 3 channels; here any number of them
is repeated, and a stem behind `space_to_depth` as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resspec.diagnostics import error

if TYPE_CHECKING:
    from resspec.ir import Graph

Array = NDArray[Any]
MODES = ("sum", "repeat")


def adapted(
    arrays: Mapping[str, Array], graph: Graph, mode: str
) -> tuple[dict[str, Array], tuple[str, ...]]:
    """The arrays, by canonical name, with the convolutions that read the input fitted to its
    channels where they differ, and the names of those.

    mode: `sum`, to one channel: the kernel answers to grey as it did to equal colours. `repeat`,
    to N of them: the channels again and again, times old/new, so that equal ones give the same.
    Errors: `bad-value` for a mode that cannot give so many channels.
    """
    if mode not in MODES:
        raise error(
            "bad-value", f"no way to adapt the input `{mode}`; there are {', '.join(MODES)}"
        )
    channels = graph.input.type.channels
    found, names = dict(arrays), []
    for name, places in readers(graph).items():
        shape, array = graph.parameters()[name].shape, found.get(name)
        if array is None or array.shape == shape or array.ndim != len(shape):
            continue
        others = array.shape[:1] + array.shape[2:] == shape[:1] + shape[2:]
        if others and array.shape[1] % places == 0 and array.shape[1]:
            if mode == "sum" and channels != 1:
                raise error(
                    "bad-value",
                    f"`sum` makes one channel of several, and {graph.name} reads {channels}",
                    help="use `repeat`",
                )
            found[name] = _fitted(array, places, channels, mode)
            names.append(name)
    return found, tuple(names)


def _fitted(array: Array, places: int, channels: int, mode: str) -> Array:
    """(O, places · old, …) → (O, places · channels, …), the places slowest."""
    old = array.shape[1] // places
    apart = array.reshape(array.shape[0], places, old, *array.shape[2:])
    if mode == "sum":
        made = apart.sum(axis=2, keepdims=True, dtype=array.dtype)
    else:
        made = np.take(apart, np.arange(channels) % old, axis=2) * array.dtype.type(old / channels)
    return np.ascontiguousarray(made.reshape(array.shape[0], places * channels, *array.shape[2:]))


def readers(graph: Graph) -> dict[str, int]:
    """Weights of ungrouped convolutions that read the input, each with how many positions of it
    stand side by side in its channels: 1, or those of a block after `space_to_depth`."""
    reads = {graph.input.index: 1}
    found: dict[str, int] = {}
    for node in graph.nodes:
        places = reads.get(node.inputs[0].index) if node.inputs else None
        if places is None:
            continue
        weight = node.params.get("weight")
        if weight is None and len(node.inputs) == 1 and len(node.outputs) == 1:
            (before,), (after,) = node.inputs, node.outputs
            if node.op.places > 1:
                reads[after.index] = places * node.op.places
            elif after.type.channels == before.type.channels and not node.params:
                reads[after.index] = places
        elif (
            weight is not None
            and weight.role == "conv"
            and len(weight.shape) == 4
            and getattr(node.op, "groups", 1) == 1
        ):
            found[f"{node.path}.weight"] = places
    return found
