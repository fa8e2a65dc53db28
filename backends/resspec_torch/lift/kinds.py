"""Kinds of ATen's operations that are read in a way of their own, and what is told of some that no
op says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx

VIEWS = frozenset({
    "view", "reshape", "flatten", "unflatten", "permute", "transpose", "t", "numpy_T", "squeeze",
    "unsqueeze", "contiguous", "clone", "detach", "alias", "to", "_to_copy", "type_as", "expand",
    "expand_as", "view_as", "reshape_as", "lift_fresh_copy", "_unsafe_view", "float",
})  # fmt: skip
# views for a part of what they look at, and for all of it in another order
PARTS = frozenset(
    "select slice narrow split split_with_sizes chunk tensor_split unbind getitem".split()
)
MOVED = frozenset("movedim moveaxis swapaxes swapdims mT adjoint".split())
COPIES = frozenset({"clone", "_to_copy", "lift_fresh_copy"})
MAY_COPY = frozenset("contiguous reshape flatten reshape_as to float type_as".split())
IGNORED = ("_assert", "sym_", "add_batch")
# operations that take what was expanded as it was before
SPREAD = VIEWS | frozenset({
    "add", "sub", "rsub", "mul", "multiply", "div", "maximum", "minimum", "addcmul", "matmul",
    "bmm", "einsum", "scaled_dot_product_attention", "repeat", "tile", "cat", "concat",
    "select", "slice",
})  # fmt: skip


UNSAID = "no op says this"
INSTEAD = {  # and what may stand in its place
    "log_softmax": "no op says this; give what it reads, and leave it to the loss",
    "_log_softmax": "no op says this; give what it reads, and leave it to the loss",
    **dict.fromkeys(
        ("upsample_bicubic2d", "_upsample_bicubic2d_aa"), "no op says this; bilinear can be said"
    ),
    **dict.fromkeys(
        ("sqrt", "rsqrt", "var", "std", "var_mean", "std_mean"),
        "no op says this; where it is part of a norm that ops have, a module of that norm is read",
    ),
    **dict.fromkeys(
        ("copy", "fill", "index_put", "masked_scatter"),
        "it writes into a tensor; torch.cat, torch.where and masked_fill can be said",
    ),
    "lstm": "no op says this: in a spec nothing is done place by place with what came before",
    "gru": "no op says this: in a spec nothing is done place by place with what came before",
}


def base_name(target: Any) -> str:
    schema = getattr(target, "_schema", None)
    return str(schema.name).split("::")[-1] if schema else getattr(target, "__name__", str(target))


def is_view(node: fx.Node) -> bool:
    """Whether it gives all of a tensor under another shape or order: what is written into the one
    is in the other."""
    name = base_name(node.target)
    if name in COPIES or name not in VIEWS | MOVED:
        return False
    given, made = getattr(node.args[0], "meta", {}).get("val"), node.meta.get("val")
    if name not in MAY_COPY or not isinstance(given, Tensor) or not isinstance(made, Tensor):
        return True
    if made.dtype != given.dtype or node.kwargs.get("copy") or True in node.args[3:]:
        return False
    if name == "contiguous":
        return bool(given.is_contiguous())
    with contextlib.suppress(RuntimeError):
        torch.empty_strided(given.shape, given.stride(), device="meta").view(made.shape)
        return True
    return False


def looked_at(node: Any) -> Iterator[tuple[fx.Node, bool]]:
    """The tensors that one is a view of, and whether of a part."""
    part = False
    while isinstance(node, fx.Node) and node.op == "call_function":
        part = part or base_name(node.target) in PARTS
        if not is_view(node) and base_name(node.target) not in PARTS:
            return
        node = node.args[0]
        if isinstance(node, fx.Node):
            yield node, part
