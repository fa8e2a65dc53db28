"""Activations that a network writes out, as the ops that they are: x · sigmoid(x) and its like."""

from __future__ import annotations

from dataclasses import replace
from math import isclose

from resspec.ir import Value
from resspec.lift.record import Recorder, Step
from resspec.ops.base import OPS

CLOSE = 3e-8  # a sixth, in single precision
PRODUCTS = {"sigmoid": "silu", "hard_sigmoid": "hard_swish"}


def gated(recorder: Recorder) -> None:
    """Say in one step what several say; what nothing needs any more is left to `tidy`."""
    makers: dict[Value, Step] = {}
    steps: list[Step] = []
    for step in recorder.steps:
        found = _hard(step, makers) if step.op.NAME == "scale" else _product(step, makers)
        if found is not None:
            op, value = found
            step = replace(step, op=OPS[op](), inputs=(value,))
        steps.append(step)
        makers |= dict.fromkeys(step.outputs, step)
    recorder.steps = steps
    recorder.makers |= makers


def _is(step: Step | None, name: str, value: float | None = None) -> bool:
    if step is None or name != step.op.NAME:
        return False
    found = getattr(step.op, "value", None)
    return value is None or (isinstance(found, float) and isclose(found, value, rel_tol=CLOSE))


def _clipped(value: Value, makers: dict[Value, Step]) -> Value | None:
    """x of min(max(x + 3, 0), 6)."""
    clip = makers.get(value)
    moved = makers.get(clip.inputs[0]) if clip is not None else None
    if clip is None or moved is None or not _is(clip, "relu6") or not _is(moved, "shift", 3.0):
        return None
    return moved.inputs[0]


def _hard(step: Step, makers: dict[Value, Step]) -> tuple[str, Value] | None:
    """A sixth of min(max(x + 3, 0), 6), or of its product with x."""
    if not _is(step, "scale", 1 / 6):
        return None
    (value,) = step.inputs
    inner = _clipped(value, makers)
    if inner is not None:
        return "hard_sigmoid", inner
    product = makers.get(value)
    if product is None or not _is(product, "mul") or len(product.inputs) != 2:
        return None
    for x, gate in (product.inputs, product.inputs[::-1]):
        if _clipped(gate, makers) is x:
            return "hard_swish", x
    return None


def _product(step: Step, makers: dict[Value, Step]) -> tuple[str, Value] | None:
    if step.op.NAME != "mul" or len(step.inputs) != 2:
        return None
    for x, gate in (step.inputs, step.inputs[::-1]):
        maker = makers.get(gate)
        if maker is None:
            continue
        inner = maker.inputs[0]
        if maker.op.NAME in PRODUCTS and inner is x:
            return PRODUCTS[maker.op.NAME], x
        before = makers.get(inner)
        if before is None or before.inputs[0] is not x:
            continue
        if _is(maker, "tanh") and _is(before, "softplus"):
            return "mish", x
        if _is(maker, "sigmoid") and _is(before, "scale", 1.702):
            return "quick_gelu", x
    return None
