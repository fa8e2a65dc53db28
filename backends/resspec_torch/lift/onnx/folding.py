"""What an ONNX graph computes of sizes and constants alone, as numbers: by the standard's own
reference, after what it will give is known to be small."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from resspec_torch.lift.program import LARGE, Unfit

FOLDED = frozenset(
    "Abs Add And Cast Ceil Concat ConstantOfShape Cos CumSum DequantizeLinear Div Equal Erf Exp "
    "Expand EyeLike Flatten Floor Gather GatherElements GatherND Greater GreaterOrEqual Identity "
    "Less LessOrEqual Log MatMul Max Mean Min Mod Mul Neg NonZero Not OneHot Or Pad Pow Range "
    "Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape Round ScatterND "
    "Sigmoid Sign Sin Size Slice Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Trilu Unsqueeze "
    "Where Xor".split()
)


def folded(
    op: str, arrays: Sequence[NDArray[Any] | None], count: int, attributes: Mapping[str, Any],
    opset: int, most: int = LARGE,
) -> list[NDArray[Any]]:  # fmt: skip
    """So many results of an operator for these numbers, of at most so many. Errors: Unfit."""
    names = ["" if one is None else f"in{at}" for at, one in enumerate(arrays)]
    made = [f"out{at}" for at in range(count)]
    given = {name: np.asarray(one) for name, one in zip(names, arrays, strict=True) if name}
    ids = [helper.make_opsetid("", opset)]
    try:
        one = helper.make_node(op, names, made, **attributes)
        tensors = {name: numpy_helper.from_array(array, name) for name, array in given.items()}
        types = {name: helper.make_tensor_type_proto(tensor.data_type, tensor.dims)
                 for name, tensor in tensors.items()}  # fmt: skip
        found = onnx.shape_inference.infer_node_outputs(
            onnx.defs.get_schema(op, opset, ""), one, types, tensors, opset_imports=ids
        )
        for kind in found.values():
            sizes = [dim.dim_value for dim in kind.tensor_type.shape.dim]
            if float(np.prod([float(size) for size in sizes])) > most:
                raise Unfit(f"{op}: a constant of more than {most:,} numbers")
        ends = [helper.make_tensor_value_info(name, 0, None) for name in made]
        starts = [helper.make_value_info(name, kind) for name, kind in types.items()]
        graph = helper.make_graph([one], "one", starts, ends)
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(helper.make_model(graph, opset_imports=ids)).run(
                None, given
            )
    except Unfit:
        raise
    except Exception as problem:  # of the reference's many types
        line = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
        raise Unfit(f"{op}: {line[:200]}") from problem
    return [np.asarray(one) for one in results]
