"""What network weights were saved for: kept beside them, compared with the one that takes them.

Names and shapes say nothing of an activation, a stride or an `eps`: weights of one network may fit
another in every tensor and mean nothing there. So a file keeps, for each layer with parameters and
for each output, a digest of all that leads to it at inference. It is blind to what no output shows:
names, the input's size, how parameters start, what only training does, defaults that a later
version adds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from resspec.diagnostics import escape

if TYPE_CHECKING:
    from resspec.ir import Graph, Node

NAME, NETWORK = "spec", "network"  # the keys of a file's metadata
FORM = "1"  # of what stands under NETWORK
DIGITS = 6
SWAPPED = ("add", "mul", "maximum")  # in any order the same
STARTS = ("init", "momentum", "std", "value")  # fields that say how parameters start, or are kept


class Purpose(NamedTuple):
    """The name of the network, and its digests as text; empty where a file does not tell."""

    name: str
    network: str = ""


def metadata(graph: Graph) -> dict[str, str]:
    """What a file of weights of this graph tells of it."""
    return {NAME: graph.name, NETWORK: network(graph)}


def purpose(about: Mapping[str, str]) -> Purpose | None:
    """What a file's metadata tells of it."""
    return Purpose(about[NAME], about.get(NETWORK, "")) if about.get(NAME) else None


def network(graph: Graph) -> str:
    """The digests of a graph: its layers in the order of their names, its outputs by name."""
    layers, outputs = _digests(graph)
    rest = (f"{name}={digest}" for name, digest in outputs.items())
    return " ".join([FORM, "".join(layers[name] for name in sorted(layers)), *rest])


def otherwise(purpose: Purpose | None, graph: Graph, held: Iterable[str], taken: Collection[str],
              what: str) -> str:  # fmt: skip
    """A sentence where weights are of a network that computes something else, or nothing.

    held: the canonical names of the tensors that came with them. taken: those that this graph uses
    as they are: what else it has is its own.
    """
    if purpose is None:
        return ""
    here = purpose.name == graph.name
    names = f"another {escape(purpose.name)} than this" if here else \
        f"{escape(purpose.name)}, not for {graph.name}"  # fmt: skip
    form, _, rest = purpose.network.partition(" ")
    if form != FORM:
        return "" if here else f"{what} was saved for {names}; whether both compute the same is " \
            "not told in it"  # fmt: skip
    joined, *pairs = rest.split(" ")
    paths = sorted({name.rpartition(".")[0] for name in held})
    if len(joined) != DIGITS * len(paths):
        return ""  # it was written over by another program: nothing is known
    theirs = {path: joined[DIGITS * i : DIGITS * (i + 1)] for i, path in enumerate(paths)}
    layers, outputs = _digests(graph)
    for path, digest in layers.items():
        if path in theirs and digest != theirs[path] and _whole(path, graph, taken):
            return f"{what} was saved for {names}: the two part at `{path}`, or right before it"
    known = dict(pair.rpartition("=")[::2] for pair in pairs)
    for name, digest in outputs.items():
        if name in known and digest != known[name] and len(taken) == len(graph.parameters()):
            return f"{what} was saved for {names}: the two part after the last layer with weights"
    return ""


def _whole(path: str, graph: Graph, taken: Collection[str]) -> bool:
    own = [name for name in graph.parameters() if name.rpartition(".")[0] == path]
    return all(name in taken for name in own)


def _digests(graph: Graph) -> tuple[dict[str, str], dict[str, str]]:
    """By layer with parameters, in execution order, and by output."""
    made = {graph.input.index: "x"}
    layers: dict[str, str] = {}
    for node in graph.nodes:
        read = [made[value.index] for value in node.inputs]
        if node.op.ONLY_TRAINING:
            found = read[0]
        else:
            found = _short(repr((_acts(node), sorted(read) if node.op.NAME in SWAPPED else read)))
        if node.params:  # one that is reused has the inputs of each time
            before = layers.get(node.path)
            layers[node.path] = found if before is None else _short(before + found)
            found = _short(found + node.path)
        for number, value in enumerate(node.outputs):
            made[value.index] = found if len(node.outputs) == 1 else f"{found}[{number}]"
    outputs = {
        name: _short(" ".join(made[value.index] for value in values))
        for name, values in graph.outputs
    }
    return layers, outputs


def _acts(node: Node) -> tuple[object, ...]:
    """What an op does, as far as it is not as usual."""
    idle = STARTS if node.params else ()
    fields = (
        (name, getattr(node.op, name), one.default)
        for name, one in node.op.FIELDS.items()
        if name not in idle
    )
    return node.op.NAME, tuple((name, value) for name, value, usual in fields if value != usual)


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]
