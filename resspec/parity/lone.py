"""Batch norms that would see one number a channel: told before anything is trained."""

from __future__ import annotations

from resspec.diagnostics import Diagnostic, Note, SpecError
from resspec.ir import Graph


def check_norms(graph: Graph, batch: int) -> None:
    """Raise SpecError(norm-of-one) where a batch norm has one position and one example.

    Its variance would be 0, and its output its bias, whatever the input; PyTorch refuses that.
    """
    lone = [
        node
        for node in graph.nodes
        if node.op.NORMALISES == "batch" and (batch, *node.inputs[0].type.spatial) == (1, 1, 1)
    ]
    if not lone:
        return
    first, *others = lone
    message = (
        f"`{first.path}` would normalise one number a channel: a batch of {batch}, "
        f"of {first.inputs[0].type}"
    )
    more = [Note(f"and so would {len(others)} more, `{others[0].path}` the next")] if others else []
    help = "train on a batch of 2 or more, or on a larger `input`; or use `layer_norm` there"
    raise SpecError(Diagnostic("norm-of-one", message, first.span, notes=tuple(more), help=help))
