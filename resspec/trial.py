"""A block that stands alone, tried in small models: what it is in them, it is anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resspec import passes
from resspec.diagnostics import Diagnostic, SpecError
from resspec.ir import Graph
from resspec.language.grammar import Grammar, well_formed
from resspec.language.spec import BlockSpec, ParamSpec
from resspec.language.typed import mistyped
from resspec.library import Library
from resspec.lower import lower
from resspec.lower.suspicions import suspicions
from resspec.lower.uncalled import check_uncalled
from resspec.options import Limits, LoadOptions
from resspec.syntax import Map, placed

Judge = Callable[[Graph], Iterable[Diagnostic]]
TRIAL = "<trial>"
NUMBERS = (16, 64, 4, 1)  # what a param without a default is tried with
CERTAIN = (  # whatever the arguments are
    "expression-limit expression-syntax missing-argument name-clash name-collision not-found "
    "unknown-argument unknown-name unknown-variable value-before-name"
).split()
SMALL = Limits(nodes=3_000)
ENDLESS = ("node-limit", "param-limit", "recursion-limit", "size-limit")


@dataclass(frozen=True, slots=True)
class Try:
    """A small model that calls the block, and how that is told."""

    model: dict[str, Any]
    told: str


def try_block(
    path: Path,
    data: Map,
    options: LoadOptions = LoadOptions(),
    judge: Judge = lambda graph: (),
) -> tuple[list[Diagnostic], str]:
    """Problems of a block's file, and how far they could be told.

    It is called with its defaults, and 16 or so where a number is needed, as a stage's block, as a
    shortcut and as what arranges a stage; what is wrong in all of these is wrong.
    """
    block = well_formed(data, Grammar.block)
    if path.stem != block.name:
        message = f"`{path}` defines `{block.name}`, a file is named by its block"
        help = f"rename the file to `{block.name}.yaml`"
        return [Diagnostic("not-found", message, block.span, help=help)], ""
    above = [path.parent.parent] if path.parent.name == "blocks" else []
    library = Library({}, [path.parent, *above, *options.search])
    try:
        library(block.name)
    except SpecError as caught:  # a clash
        return list(caught.diagnostics), ""
    found = _once([*mistyped(block), *check_uncalled(block, library, library.known)])
    failures: list[tuple[Diagnostic, ...]] = []
    for one in tries(block):
        try:
            graph = lowered(one.model, library, options.limits or SMALL)
        except SpecError as caught:
            failures.append(caught.diagnostics)
            if any(problem.code in ENDLESS for problem in caught.diagnostics):
                break  # nor would others end soon
            continue
        if found:
            return found, ""
        spec = _model(one.model)
        final = passes.simplify(graph)
        own = [block] if block.name in library.borrowed else []  # what ships is not judged
        warnings = (*suspicions(spec, own, graph, final), *judge(final))
        return [w for w in warnings if w.span and w.span.file == block.span.file], one.told
    everywhere = [
        problem
        for problem in failures[0]
        if problem.code in CERTAIN
        and problem.span is not None
        and problem.span.file != TRIAL
        and all(any(_same(problem, other) for other in others) for others in failures[1:])
    ]
    found = _once([*found, *map(_own_notes, everywhere)])
    why = min((len(problems), problems[0].message) for problems in failures)[1]
    remark = f"a block: its form, names and calls; alone it could not be tried: {why}"
    return found, "" if found else remark


def tries(block: BlockSpec) -> Iterator[Try]:
    """Small models that call the block, the likeliest first."""
    head = {"model": "trial", "input": [16, 32, 32], "num_classes": 10}
    arranges = any(param.type == "blocks" for param in block.params.values())
    needs = any(param.default is None for param in block.params.values())
    for number in NUMBERS if needs else NUMBERS[:1]:
        given = {
            name: _value(param, number)
            for name, param in block.params.items()
            if param.default is None and param.type != "blocks"
        }
        call = {block.name: given} if given else block.name
        told = ", ".join(f"{name}={value}" for name, value in given.items())
        told = f"a block: tried with {told or 'its defaults'} on 16×32×32"
        if arranges:
            stage = {"depth": 2, "block": {"basic": {"width": 16}}, "stage": call}
            yield Try({**head, "stages": [stage]}, told)
            continue
        for what, layers in _contexts(call, len(block.inputs)):
            stages = [{"depth": 1, "block": one} for one in (layers, "identity")]
            yield Try({**head, "stages": stages}, f"{told}{what}")


def _contexts(call: Any, inputs: int) -> Iterator[tuple[str, list[Any]]]:
    """Layers that call it: on the current value or several, as a shortcut, on a vector."""
    made: list[Any] = [{"as": "v0"}]
    made += [{"act": None, "as": f"v{number}"} for number in range(1, inputs)]
    read = [{"from": [f"v{number}" for number in range(inputs)]}] if inputs > 1 else []
    yield "", [*made, *read, call]
    for width, stride in ((32, 2), (16, 1)):
        body = [{"conv": {"out_channels": width, "kernel_size": 3, "stride": stride}}]
        bridged = {"residual": {"body": body, "shortcut": [*read, call]}}
        yield ", as a shortcut", [*made, {"from": "v0"}, bridged]
    pool = {"max_pool": {"kernel_size": 2, "stride": 2}}
    maps = [{"as": "v0"}, {**pool, "as": "v1"}, {**pool, "as": "v2"}]
    yield " and smaller", [*maps, {"from": ["v0", "v1", "v2"]}, call]
    yield ", as a vector", ["global_avg_pool", "flatten", call]


def _value(param: ParamSpec, number: int) -> Any:
    low, high = param.min, param.max
    bounded: float = number if high is None else min(number, high)
    bounded = bounded if low is None else max(bounded, low)
    number = int(bounded)
    match param.type:
        case "bool":
            return False
        case "choice":
            return param.choices[0]
        case "block":
            return "identity"
        case "list":
            return [number] * 8
        case "float" | "number":
            return bounded
    return number


def _model(data: dict[str, Any]) -> Any:
    grammar = Grammar()
    located = placed(data, TRIAL)
    spec = grammar.model(located) if isinstance(located, Map) else None
    grammar.finish()
    return spec


def lowered(data: dict[str, Any], library: Library, limits: Limits = SMALL) -> Graph:
    """The graph of a small model. Errors: SpecError."""
    return lower(_model(data), library, library.known, limits).graph


def _same(one: Diagnostic, other: Diagnostic) -> bool:
    return (one.code, one.span) == (other.code, other.span)


def _once(found: Any) -> list[Diagnostic]:
    """The first of each code and place."""
    return list({(one.code, one.span): one for one in reversed(list(found))}.values())[::-1]


def _own_notes(one: Diagnostic) -> Diagnostic:
    """Without the places in the model that it was tried in."""
    notes = (note for note in one.notes if note.span is None or note.span.file != TRIAL)
    return replace(one, notes=tuple(notes))
