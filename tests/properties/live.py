"""A spec that validates, held against its live models: shapes, parameters, MACs, source."""

from __future__ import annotations

import ast
import builtins
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from resspec import api, zoo
from resspec.backend import get
from resspec.diagnostics import SpecError
from resspec.ir import Graph

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
FIXED_FILTERS = ("blur_pool",)  # convolutions for a framework, but none of the network's
METHODS = {  # of tensors, keras and nn.Module that rules call, beside the allow-listed modules
    "torch": """abs add_ amax append assign chunk clamp expand fill_ flatten item keys mean new_empty
        new_zeros numel permute register_buffer reshape split square std sum transpose unflatten
        unsqueeze view view_as softmax var values var_mean zip forward __init__ mul_ copy_ size lerp_ bernoulli_
        new_tensor new_ones rsqrt sqrt clone squeeze mul div to float type_as type contiguous
        pow dim detach""".split(),
    "tensorflow": """append add_weight assign cast astype keys split update super get_config get_layer
        call build __init__ items reshape compute_output_shape as_list assign_add copy get shape""".split(),
}
ROOTS = {
    "torch": ("torch", "nn", "F", "math", "super"),
    "tensorflow": ("keras", "tf", "np", "math", "super", "ops", "layers", "functools"),
}


class Wrong(AssertionError):
    """A spec that validates and does not do as it says."""


def load(text: str, folder: Path) -> zoo.LoadedSpec:
    """The spec of a text. Errors: SpecError, each diagnostic at a place."""
    path = folder / "spec.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return zoo.load(str(path))


def check(graph: Graph, backend: str, *, run: bool = True) -> bool:
    """Build, count and run. False where the backend cannot express the spec and says so.

    Errors: Wrong where the live model differs from the graph.
    """
    try:
        compiled = api.compile_for(graph, backend)
    except SpecError as caught:
        if any(found.code != "unsupported" for found in caught.diagnostics):
            raise Wrong(f"{backend}: {caught}") from caught
        return False
    strange = [*calls(compiled.source.text, backend)]
    if strange:
        raise Wrong(f"{backend}: the source calls {strange}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = compiled.instantiate()
        summary = api.summarize(graph)
        expect(f"{backend}: counts", get(backend).counts(model), (summary.params, summary.buffers))
        if backend == "tensorflow":
            outputs = model.output if isinstance(model.output, dict) else {"out": model.output}
            found = {name: shapes(value) for name, value in outputs.items()}
            channels = {k: [s[-1:] + s[:-1] for s in v] for k, v in found.items()}
            names = [name for name, _ in graph.outputs]
            expected = dict(zip(outputs if len(names) == 1 else names, types(graph).values(), strict=True))
            expect("tensorflow: symbolic shapes", channels, expected)
        if run:
            forward(graph, backend, model, summary.macs)
    return True


def forward(graph: Graph, backend: str, model: Any, macs: int) -> None:
    """One pass; in torch, MACs are counted on the way."""
    x = np.random.default_rng(0).standard_normal((2, *graph.input.type.shape), np.float32)
    if backend == "torch":
        from torch.utils.flop_counter import FlopCounterMode

        with FlopCounterMode(display=False) as counter:
            outputs = get(backend).forward(model, x)
        if not any(node.op.NAME in FIXED_FILTERS for node in graph.nodes):
            expect("torch: MACs", counter.get_total_flops(), 2 * len(x) * macs)
    else:
        outputs = get(backend).forward(model, x)
    found = {name: [value.shape[1:] for value in values] for name, values in outputs.items()}
    expect(f"{backend}: shapes", found, types(graph))


def types(graph: Graph) -> dict[str, list[tuple[int, ...]]]:
    return {name: [value.type.shape for value in values] for name, values in graph.outputs}


def shapes(value: Any) -> list[tuple[int, ...]]:
    values = value if isinstance(value, list | tuple) else [value]
    return [tuple(one.shape[1:]) for one in values]


def expect(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise Wrong(f"{what}: {found}, the graph says {expected}")


def calls(text: str, backend: str) -> Iterator[str]:
    """Calls in emitted source that are neither on the backend's allow-list nor of its own names."""
    tree = ast.parse(text)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    bound = {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    bound |= {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    safe = {name for name in dir(builtins)} - {"eval", "exec", "compile", "open", "__import__", "input"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or node.names[0].name
            roots = {"torch", "keras", "tensorflow", "math", "typing", "collections", "__future__", "numpy", "functools"}
            if module.split(".")[0] not in roots:
                yield f"import {module}"
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Call | ast.Subscript):  # what a call or a list of ours gives
            continue
        if isinstance(function, ast.Name):
            if function.id not in own | bound | safe | set(ROOTS[backend]) | IMPORTED:
                yield function.id
            continue
        assert isinstance(function, ast.Attribute)
        root = function.value
        while isinstance(root, ast.Attribute | ast.Call | ast.Subscript):
            root = root.func if isinstance(root, ast.Call) else root.value
        name = root.id if isinstance(root, ast.Name) else "literal"
        if name in ROOTS[backend] or name == "self" or function.attr in METHODS[backend]:
            continue
        yield f"{name}….{function.attr}"


IMPORTED = {"Tensor", "partial", "prod", "cast"}

