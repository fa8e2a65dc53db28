"""Attention, and layers over rows of tokens (N×T×C)."""

from __future__ import annotations

from typing import Any

from resspec.lift import arrange
from resspec.lift import layout as layouts
from resspec.lift.layout import Atom
from resspec.lift.record import Data
from resspec_tensorflow.lift.stock.elements import activated
from resspec_tensorflow.lift.stock.registry import layer
from resspec_tensorflow.lift.walk import NCHW, Unliftable, Walker, flag, turned


@layer("MultiHeadAttention")
def _attention(
    walk: Walker, one: Any, query: Any, value: Any, key: Any = None, attention_mask: Any = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False, **more: Any,
) -> Data:  # fmt: skip
    recorder = walk.recorder
    flag(attention_mask is not None or use_causal_mask, "a mask")
    flag(return_attention_scores, "scores that are given, too")
    heads = int(one._num_heads)
    q, k, v = (
        _in_heads(walk, dense, x, heads)
        for dense, x in (
            (one._query_dense, query),
            (one._key_dense, value if key is None else key),
            (one._value_dense, value),
        )
    )
    flag(len(q.layout) != 4, "over more than one axis of tokens")
    q = walk.elementwise(q, "scale", value=float(one._inverse_sqrt_key_dim))
    scores = arrange.product(
        recorder, [q, k], [list("nqhd"), list("nkhd")], ["n", "h", "q", "k"]
    )  # fmt: skip
    columns = layouts.joined([Atom("w", 1, scores.value.type.width)])
    flag(scores.layout[-1] != columns, "keys that are no columns")
    weights = walk.elementwise(scores, "softmax", over="columns")
    if one._dropout:
        weights = walk.elementwise(weights, "dropout", rate=float(one._dropout))
    found = arrange.product(
        recorder, [weights, v], [list("nhqk"), list("nkhd")], ["n", "q", "h", "d"]
    )  # fmt: skip
    joined = layouts.joined([*found.layout[2], *found.layout[3]])
    x = recorder.ordered(Data(found.value, (*found.layout[:2], joined)))
    dense = one._output_dense
    return _projected(walk, dense, x, int(dense.kernel.shape[-1]), (2, 0, 1))


def _in_heads(walk: Walker, dense: Any, x: Any, heads: int) -> Data:
    """Tokens (N, T, C) → (N, T, heads, depth), of one row."""
    flag(not isinstance(x, Data), "attention to what does not depend on the input")
    _, count, depth = dense.kernel.shape
    x = arrange.in_rows(walk.recorder, x)
    made = _projected(walk, dense, x, count * depth, (1, 2, 0))
    parts = (Atom("c", depth, count), Atom("c", 1, depth))
    return Data(made.value, (*made.layout[:-1], *(layouts.joined([part]) for part in parts)))


def _projected(
    walk: Walker, dense: Any, x: Data, features: int, axes: tuple[int, ...]
) -> Data:  # fmt: skip
    flag(x.layout[-1] != layouts.usual(x.value.type, 1)[1], "along other than the channels")
    taken = {"weight": walk.taken(dense.kernel, axes)}
    if dense.bias is not None:
        taken["bias"] = walk.taken(dense.bias)
    (made,) = walk.recorder.apply(
        "conv2d", x.value, taken=taken, born="linear", out_channels=features, kernel_size=1,
        bias="bias" in taken,
    )  # fmt: skip
    return Data(made, (*x.layout[:-1], layouts.usual(made.type, 1)[1]))


def _row(walk: Walker, one: Any, x: Any) -> Data:
    """Tokens as a map of one row."""
    if getattr(one, "data_format", "channels_last") != "channels_last" or len(x.layout) != 3:
        raise Unliftable("tokens that are no N×T×C")
    return arrange.rearranged(walk.recorder, arrange.in_rows(walk.recorder, x), [2], [], [1])


def _tokens(walk: Walker, value: Any) -> Data:
    n, c, _, w = layouts.usual(value.type, walk.recorder.batch)
    return Data(value, (n, w, c))


@layer("Conv1D")
def _conv(walk: Walker, one: Any, x: Any) -> Any:
    row = _row(walk, one, x)
    width, _, out = one.kernel.shape
    sides: Any = {"valid": (0, 0, 0, 0), "same": "same"}.get(one.padding)
    if one.padding == "causal":
        sides = (0, 0, int(one.dilation_rate[0]) * (width - 1), 0)
    taken = {"weight": walk.taken(one.kernel, (2, 1, 0))}
    if one.bias is not None:
        taken["bias"] = walk.taken(one.bias)
    (made,) = walk.recorder.apply(
        "conv2d", row.value, taken=taken, out_channels=out, kernel_size=(1, width),
        stride=(1, int(one.strides[0])), dilation=(1, int(one.dilation_rate[0])), padding=sides,
        groups=int(one.groups), bias="bias" in taken,
    )  # fmt: skip
    return activated(walk, _tokens(walk, made), one.activation)


@layer("MaxPooling1D", "AveragePooling1D")
def _pool(walk: Walker, one: Any, x: Any) -> Data:
    row = _row(walk, one, x)
    average = type(one).__name__ == "AveragePooling1D"
    sides = (0, 0, 0, 0) if one.padding == "valid" else "same"
    more = {"count_include_pad": one.padding == "valid"} if average else {}
    (made,) = walk.recorder.apply(
        "avg_pool" if average else "max_pool", row.value, kernel_size=(1, int(one.pool_size[0])),
        stride=(1, int(one.strides[0])), padding=sides, **more,
    )  # fmt: skip
    return _tokens(walk, made)


@layer("GlobalAveragePooling1D", "GlobalMaxPooling1D")
def _global_pool(walk: Walker, one: Any, x: Any) -> Data:
    kind = "avg" if "Average" in type(one).__name__ else "max"
    row = _row(walk, one, x)
    (made,) = walk.recorder.apply(f"global_{kind}_pool", row.value)
    c = layouts.usual(made.type, 1)[1]
    return Data(made, (x.layout[0], (), c) if one.keepdims else (x.layout[0], c))


@layer("Resizing")
def _resizing(walk: Walker, one: Any, x: Any) -> Data:
    flag(one.interpolation not in ("nearest", "bilinear"), f"`{one.interpolation}`")
    flag(bool(one.crop_to_aspect_ratio or one.pad_to_aspect_ratio), "a side that is cut or padded")
    value = walk.recorder.map(turned(x, NCHW) if one.data_format == "channels_last" else x)
    mode = "nearest_exact" if one.interpolation == "nearest" else "bilinear"
    (made,) = walk.recorder.apply(
        "resize", value, size=(int(one.height), int(one.width)), mode=mode
    )  # fmt: skip
    return walk.laid(one, made)
