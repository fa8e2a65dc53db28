"""What each op says that it reads, against where a NaN in its input comes out.

Of `resize`, which multiplies with weights of 0, where a change comes out.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from resspec import receptive
from resspec.ops import OPS
from resspec.weights import randomise
from tests.ops import cases
from tests.ops.running import expected

# The bound holds and is not always reached: with dilation, or a source row of weight 0.
LOOSE = ("resize", "conv_transpose2d", "learned")
# What puts positions elsewhere is said to read every one.
MOVED = (
    *("einsum", "softmax", "tokens", "grid", "roll", "concat_columns", "windows", "join_windows"),
    *("learned", "relative_bias", "relative_logits"),
)


def spoiled(graph, tested, axis: int) -> np.ndarray:
    """For each row (column) of the input spoiled in turn, which ones of the output are."""
    count = graph.input.type.spatial[axis]
    wrong = 1e3 if tested.op.NAME == "resize" else np.nan
    x = np.tile(
        np.linspace(1, 2, graph.input.type.size).reshape(graph.input.type.shape),
        (count + 1, 1, 1, 1),
    )
    for row in range(count):
        x[(row, slice(None), *((row,) if axis == 0 else (slice(None), row)))] = wrong
    weights = {name: array.astype(np.float64) for name, array in randomise(graph).items()}
    outputs = expected(graph, tested, weights, x)
    across = (1, 3) if axis == 0 else (1, 2)
    changed = [(out[:-1] != out[-1]).numpy().any(across) for out in outputs]
    return np.any(changed, axis=0)


@pytest.mark.parametrize("name", sorted(OPS))
def test_an_op_reads_what_it_says(name: str) -> None:
    seen = 0
    listed = cases.CASES[name]
    for case in listed[:: -(-len(listed) // 8)]:  # at most eight, evenly over the list
        graph, tested = cases.build(name, case)
        if not tested.outputs[0].type.is_map or tested.op.is_zero:
            continue
        found = receptive.of(graph)[tested.outputs[0].index]
        for axis, field in enumerate((found.height, found.width)):
            wrong = spoiled(graph, tested, axis)
            seen += 1
            if found.everything or field is None:
                assert wrong.all() or name in MOVED, case
                continue
            mirrored = "reflect" in case.attributes.values() or name == "blur_pool"
            for position, column in enumerate(wrong.T):
                low, high = field.at(position)
                if mirrored and (low < 0 or high >= len(wrong)):
                    continue  # the padding holds what else would not be read
                reads = set(np.flatnonzero(column))
                assert all(low <= row <= high for row in reads), (case, position)
                if name not in LOOSE:
                    assert {low, high} & set(range(len(wrong))) <= reads, (case, position)
    assert seen or name in ("flatten", "linear")
