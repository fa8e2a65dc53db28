"""Shipped specs against the implementations that they describe: counts, eps and outputs.

Weights go into the original and back out through the matching that `resspec port` uses, so that
equal outputs prove both the spec and the port.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from resspec_torch.origins import STEPS, TorchOriginal

from resspec import api, sizes
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.port import origins
from resspec.port.match import match
from resspec.port.mismatch import structure_differences
from resspec.port.transfer import distance
from resspec.summary import summarize
from resspec.weights import example, randomise
from resspec.weights.sampling import disturbed
from tests.conformance import report, sample
from tests.zoo.cases import Case, Row

EXACT = 1e-11  # relative error in float64, forward
ROUNDED = 1e-7  # what a few numbers that are rounded to float32 move in float64
HUGE = 250_000_000  # parameters: one float64 copy is 2 GB, and several are alive at once
BATCH = 2
EVEN = (96, 128)  # multiples of 32
LEAST = {"Xception": (72, 90)}  # what an original refuses to be smaller than
# Originals of one size: of their positions, or of windows or bands that divide it.
OWN = ("vit_*", "deit_*", "swin_*", "maxvit_*", "coatnet_*", "bat_*", "*rpt*", "*bot*", "*halo*",
       "*_clip*")  # fmt: skip


@dataclass(slots=True)
class Result:
    """What was found about a case. `problems` fail it; `left_out` says what was not compared."""

    key: str
    family: str
    spec: str
    counts: bool = False
    structure: bool | None = None
    errors: dict[str, float] = field(default_factory=dict)  # backend → relative error of outputs
    equal: dict[str, bool] = field(default_factory=dict)
    dtype: str = ""
    problems: list[str] = field(default_factory=list)
    left_out: str = ""
    second: dict[str, float] = field(default_factory=dict)  # errors at another size, same model
    ambiguous: list[str] = field(default_factory=list)  # sets of names that only their order told


@cache
def _origin(source: str) -> origins.Origin | None:
    return origins.get(source) if source in origins.names() else None


def check(
    case: Case, size: tuple[int, int], backends: Iterable[str], *, huge: bool = False
) -> Result:
    """Everything about one row. `size`: height and width at which outputs are compared."""
    result = Result(case.key, case.family, case.spec)
    graph = api.load(case.spec).graph
    origin = _origin(case.source)
    if case.row:
        _counts(case.row, graph, result)
    if origin is None:
        result.left_out = "a paper has no implementation to run"
        return result
    if case.name in sample.IN_ORDER:
        result.left_out = "tables that are looked up for a product: see tests/conformance/sample.py"
        return result
    if case.params > HUGE and not huge:
        original = origin.open(case.name, graph, empty=True)
        _structure(original, graph, result)
        millions = case.params // 1_000_000
        result.left_out = f"outputs: {millions} M parameters; {report.HUGE}"
        result.problems += result.ambiguous[:5]
        return result
    size = (
        graph.input.type.spatial
        if any(fnmatch(case.name, one) for one in OWN)
        else LEAST.get(case.name, size)
    )
    small = _resized(case.spec, graph.input.type.channels, size)
    exact = _outputs(case, origin, small, backends, result, "float64")
    if exact is not None:
        _outputs(case, origin, small, backends, result, "float32", exact)
    if not result.equal or not all(result.equal.values()):
        result.problems += result.ambiguous[:5]  # equal outputs prove any order of equals right
    return result


def _opened(case: Case, origin: origins.Origin, graph: Graph, dtype: str) -> origins.Original:
    """The original; the pyramid is a part of torchvision that has no name in its registry."""
    if case.name != "resnet50_fpn":
        return origin.open(case.name, graph, dtype=dtype)
    import torch
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

    norm = torch.nn.BatchNorm2d  # not the frozen one, so that the norms are those of the spec
    model = resnet_fpn_backbone(backbone_name="resnet50", weights=None, norm_layer=norm)
    return TorchOriginal(model.to(getattr(torch, dtype)), graph, "torchvision's FPN")


def _resized(spec: str, channels: int, size: tuple[int, int]) -> Graph:
    """The spec for a small input; for one whose sizes divide evenly where it needs that (a shortcut
    that rounds up beside a body that rounds down, as in the original)."""
    try:
        return api.load(spec, overrides=[f"input={[channels, *size]}"]).graph
    except SpecError:
        return api.load(spec, overrides=[f"input={[channels, *EVEN]}"]).graph


def _counts(row: Row, graph: Graph, result: Result) -> None:
    """Parameters, buffers, MACs, and the eps and momentum of batch norms, all exact."""
    cost = summarize(graph)
    found: dict[str, Any] = {
        "input": graph.input.type.shape,
        "params": cost.params,
        "buffers": cost.buffers,
        "macs": cost.macs,
    }
    expected: dict[str, Any] = {
        "input": tuple(int(row[f"input_{axis}"]) for axis in "chw"),
        **{key: int(row[key]) for key in ("params", "buffers", "macs")},
    }
    norms = {node.op for node in graph.nodes if node.op.NAME == "batch_norm"}
    found["bn_eps"] = {norm.eps for norm in norms}  # type: ignore[attr-defined]
    expected["bn_eps"] = {float(row["bn_eps"])} if row["bn_eps"] else set()
    wrong = [
        f"{key} is {found[key]}, not {value}"
        for key, value in expected.items()
        if found[key] != value
    ]
    result.counts = not wrong
    result.problems += wrong


def _structure(original: origins.Original, graph: Graph, result: Result) -> Any:
    """The matching. Where it fails, or a layer is told otherwise, that is a problem."""
    try:
        matching = match(original.trace, graph)
    except SpecError as problem:
        result.structure = False
        result.problems.append(str(problem).splitlines()[0])
        return None
    problems = structure_differences(matching.pairs)
    result.ambiguous = [f"ambiguous: {', '.join(names[:3])}" for names in matching.ambiguous]
    problems += [f"the original never uses {name}" for name in matching.unread]
    result.structure = not problems
    result.problems += problems[:5]
    return matching


def _outputs(
    case: Case, origin: origins.Origin, graph: Graph, backends: Iterable[str], result: Result,
    dtype: str, exact: list[NDArray[Any]] | None = None, *, loud: bool = False,
) -> list[NDArray[Any]] | None:  # fmt: skip
    """Outputs of the original and of each backend, and again where each norm gives more, if the
    network is one that magnifies the rounding of its weights beyond what may differ. What the
    original gives in float64 where they have to be compared in float32, since it holds numbers that
    are rounded to float32; then given again as `exact`, since both sides may be as far from each
    other as each is from its own."""
    original = _opened(case, origin, graph, dtype)
    matching = _structure(original, graph, result)
    if matching is None:
        return None
    x = example((BATCH, *graph.input.type.shape)).astype(dtype)
    weights = randomise(graph)
    for change in (_louder,) if loud else (dict[str, NDArray[Any]], _louder):
        original.load(matching.stored(change(weights)))
        expected = original.forward(x)
        if _alive(expected):
            break
    arrays = original.arrays()
    ported = matching.canonical(arrays)
    if case.row is None:
        numbers = {name: one for name, one in arrays.items() if one.dtype.kind == "f"}
        held = sum(one.size for name, one in numbers.items() if not name.endswith(STEPS))
        result.counts = held == sum(one.size for one in graph.parameters().values())
    other = _second(original, graph, dtype) if dtype == "float64" else None
    rounds = original.rounds
    del original, matching, arrays, weights
    gc.collect()
    if not _alive(expected):
        result.problems.append("the outputs do not depend on the input, so they prove nothing")
        return None
    if rounds == "lifted":
        result.dtype = "float64, and what the original rounds to float32 was not rounded"
    if rounds == "kept":
        off = distance(run(graph, next(iter(backends)), ported, x, dtype), expected)
        result.dtype = f"float32; the original in float64 holds float32 numbers ({off:.1e} off)"
        if off > ROUNDED:
            result.problems.append(f"outputs are {off:.1e} off, more than that explains")
        return expected
    result.dtype = result.dtype or dtype
    for name in backends:
        found, *others = runs(graph, name, ported, [x, *([other[0]] if other else [])], dtype)
        result.errors[name] = error = distance(found, expected)
        limit = EXACT
        if exact is not None:
            limit = _floor(graph, name, ported, x) + distance(expected, exact)
        result.equal[name] = bool(error <= limit)
        if not result.equal[name] and change is not _louder and dtype == "float64":
            moved = {key: disturbed(one, key, dtype) for key, one in ported.items()}
            if distance(run(graph, name, moved, x, dtype), found) > limit:
                del found, others, moved
                gc.collect()
                return _outputs(case, origin, graph, backends, result, dtype, loud=True)
        if not result.equal[name]:
            result.problems.append(f"{name}: outputs are {error:.1e} off, over {limit:.1e}")
        if other:
            result.second[name] = error = distance(others[0], other[1])
            if not error <= limit:
                size = "×".join(map(str, other[0].shape[2:]))
                result.problems.append(f"{name}: outputs at {size} are {error:.1e} off")
        del found, others
        gc.collect()
    return None


def _louder(weights: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """With half the deviation in each norm, so that it gives twice as much: what `randomise` keeps
    small for the sake of rounding is nothing at the end of a long chain without shortcuts."""
    return {
        name: one / 4 if name.endswith(".running_var") else one for name, one in weights.items()
    }


def _second(
    original: origins.Original, graph: Graph, dtype: str
) -> tuple[NDArray[Any], list[NDArray[Any]]] | None:
    """An input of another size, odd and not square where it can be, and what the original gives;
    None where one of the two takes no other size."""
    size = sizes.second(graph)
    if size is None:
        return None
    x = example((BATCH, graph.input.type.channels, *size)).astype(dtype)
    try:
        return x, original.forward(x)
    except (RuntimeError, ValueError, AssertionError):
        return None


def run(
    graph: Graph, backend: str, weights: Mapping[str, NDArray[Any]], x: NDArray[Any], dtype: str
) -> list[NDArray[Any]]:
    """Outputs of a graph on a backend."""
    return runs(graph, backend, weights, [x], dtype)[0]


def runs(
    graph: Graph,
    backend: str,
    weights: Mapping[str, NDArray[Any]],
    inputs: Sequence[NDArray[Any]],
    dtype: str,
) -> list[list[NDArray[Any]]]:
    """Outputs of one live model for each input."""
    compiled = api.compile_for(graph, backend)
    model = compiled.running("cpu", dtype, weights).model
    outputs = [compiled.backend.runtime().forward(model, x)[0] for x in inputs]
    del model
    if backend == "tensorflow":
        import keras

        keras.backend.clear_session(free_memory=False)
    return [[value for values in one.values() for value in values] for one in outputs]


def _floor(
    graph: Graph, backend: str, weights: Mapping[str, NDArray[Any]], x: NDArray[Any]
) -> float:
    """How far the backend in float32 is from itself in float64."""
    single = run(graph, backend, weights, x.astype("float32"), "float32")
    return distance(single, run(graph, backend, weights, x.astype("float64"), "float64"))


def _alive(outputs: Sequence[NDArray[Any]]) -> bool:
    """Whether two examples differ by more than rounding."""
    return all(
        np.isfinite(one).all()
        and distance([one[:1]], [one[1:2]]) > 1e-6  # a softmax over 1000 classes may be nearly flat
        for one in outputs
    )
