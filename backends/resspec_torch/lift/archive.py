"""PyTorch's exported programs (`.pt2`) as what is imported. Nothing of the file runs: its graph is
read as data, and only known operations of ATen are ever called."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from resspec.diagnostics import error
from resspec.lift.proof import widened
from resspec.weights.files import exported
from resspec.weights.files.source import Unreadable, shown
from resspec_torch.lift.played import PlayedNetwork
from resspec_torch.lift.program import Call, Program, Ref
from resspec_torch.lift.values import output_names

DTYPES = {
    1: torch.uint8, 2: torch.int8, 3: torch.int16, 4: torch.int32, 5: torch.int64,
    6: torch.float16, 7: torch.float32, 8: torch.float64, 12: torch.bool, 13: torch.bfloat16,
}  # fmt: skip
PLAIN = ("as_int", "as_float", "as_bool", "as_string")
LISTS = ("as_ints", "as_floats", "as_bools", "as_strings")


def opened(path: Path, name: str) -> PlayedNetwork:
    """The network of an archive. Errors: `io-error`, `weights-format`, `not-liftable`."""
    try:
        found = exported.read_exported(path)
        program = _program(found)
    except Unreadable as problem:
        raise error("weights-format", f"`{path}`: {problem.reason}", help=problem.help) from problem
    except (KeyError, TypeError, AttributeError, ValueError, IndexError) as problem:
        raise error("weights-format", f"`{path}`: its program is damaged") from problem
    network = PlayedNetwork(program, name, program.tensors)
    network.notes = widened(found.stored)
    return network


def _program(found: exported.Exported) -> Program:
    module = found.program["graph_module"]
    graph, signature = module["graph"], module["signature"]
    tensors = {
        name: torch.from_numpy(array)
        for name, array in {**found.constants, **found.weights}.items()
    }
    taken: dict[str, tuple[str, str]] = {}
    inputs: list[str] = []
    for spec in signature["input_specs"]:
        ((kind, one),) = spec.items()
        match kind:
            case "parameter":
                taken[one["arg"]["name"]] = ("parameters", one["parameter_name"])
            case "buffer":
                taken[one["arg"]["name"]] = ("buffers", one["buffer_name"])
            case "tensor_constant":
                taken[one["arg"]["name"]] = ("constants", one["tensor_constant_name"])
            case "user_input":
                inputs.append(one["arg"].get("as_tensor", {}).get("name", ""))
            case _:
                raise Unreadable(f"its program reads a {shown(kind)}, which is none of tensors",
                                 "export a model of plain tensors")  # fmt: skip
    for _, name in taken.values():
        if name not in tensors:
            raise Unreadable(f"it lacks the tensor `{shown(name)}`")
    if len(inputs) != 1 or not inputs[0]:
        raise error("not-liftable", f"a model reads one tensor, N×C×H×W; this one {len(inputs)}")
    values = graph["tensor_values"]
    shape = tuple(one.get("as_int") for one in values[inputs[0]]["sizes"])
    known = {
        name: tuple(one["as_int"] for one in value["sizes"])
        for name, value in values.items()
        if all("as_int" in one for one in value["sizes"])
    }
    return Program(
        [_call(node) for node in graph["nodes"]], inputs[0], shape, taken,
        list(_outputs(module)), tensors, known,
    )  # fmt: skip


def _call(node: Mapping[str, Any]) -> Call:
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for given in node["inputs"]:
        value = _argument(given["arg"])
        if value is DROPPED:
            continue
        if given.get("kind", 1) == 1:
            args.append(value)
        else:
            kwargs[given["name"]] = value
    gives, several = _gives(node["outputs"])
    target = str(node["target"]).removeprefix("torch.ops.")
    stack: dict[str, tuple[str, str]] = {}
    for frame in str(node["metadata"].get("nn_module_stack", "")).split(";"):
        key, _, rest = frame.partition(",")
        path, _, kind = rest.rpartition(",")
        if key:
            stack[key] = (path, kind)
    return Call(target, tuple(args), kwargs, gives, several, stack)


class _Dropped:
    """An argument that says where a tensor is, or how it lies in memory."""


DROPPED = _Dropped()


def _argument(arg: Mapping[str, Any]) -> Any:
    ((kind, value),) = arg.items()
    if kind in PLAIN or kind in LISTS:
        return value
    match kind:
        case "as_none":
            return None
        case "as_tensor" | "as_optional_tensor":
            return _reference(value)
        case "as_tensors" | "as_optional_tensors":
            return [_reference(one) for one in value]
        case "as_sym_int" | "as_sym_float" | "as_sym_bool":
            return _symbol(value)
        case "as_sym_ints" | "as_sym_floats" | "as_sym_bools":
            return [_symbol(one) for one in value]
        case "as_scalar_type":
            return DTYPES.get(value, torch.float32)
        case "as_memory_format" | "as_layout" | "as_device":
            return DROPPED
    return f"<{kind}>"


def _reference(value: Mapping[str, Any]) -> Any:
    if "name" in value:
        return Ref(value["name"])
    return _argument(value)


def _symbol(value: Mapping[str, Any]) -> Any:
    ((kind, one),) = value.items()
    return Ref(one) if kind == "as_name" else one


def _gives(outputs: list[Mapping[str, Any]]) -> tuple[tuple[str | None, ...], bool]:
    names: list[str | None] = []
    several = len(outputs) > 1
    for output in outputs:
        ((kind, value),) = output.items()
        if kind in ("as_tensors", "as_optional_tensors"):
            several = True
            names += [one.get("name") for one in value]
        elif kind in ("as_sym_int", "as_sym_float", "as_sym_bool"):
            names.append(value.get("as_name"))
        else:
            names.append(value.get("name") if isinstance(value, Mapping) else None)
    return tuple(names), several


def _outputs(module: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What the model gives, by name; what it only changes is left out."""
    given = []
    for spec in module["signature"]["output_specs"]:
        ((kind, one),) = spec.items()
        if kind == "user_output":
            given.append(_argument(one["arg"]))
    root = next((one for one in module["module_call_graph"] if one["fqn"] == ""), None)
    signature = root.get("signature") if root else None
    names = {at: "out" if at == 0 else f"out{at}" for at in range(len(given))}
    if signature:
        _, spec = json.loads(signature["out_spec"])
        places = iter(range(len(given)))
        tree = _tree(spec, places)
        names |= {at: name for at, name in output_names(tree).items() if at < len(given)}
    yield from ((names[at], one) for at, one in enumerate(given))


def _tree(spec: Mapping[str, Any], places: Iterator[int]) -> Any:
    """Mappings by their keys, everything else by its place; leaves are numbered."""
    kind, children = spec.get("type"), spec.get("children_spec") or []
    if kind is None:
        return next(places, 0)
    made = [_tree(child, places) for child in children]
    if str(kind).rpartition(".")[2] in ("dict", "OrderedDict"):
        keys = json.loads(spec["context"])
        return {str(key): one for key, one in zip(keys, made, strict=False)}
    return made
