"""Sets of weights in what a file holds: where they are, which is meant, and what is beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from resspec.diagnostics import suggest
from resspec.weights.files.inert import Made, OddKey
from resspec.weights.files.source import SAVE, Unreadable, shown
from resspec.weights.files.tensors import Lazy, is_weight

COLLECTIONS = frozenset({"params", "batch_stats"})  # of Flax Linen
DEPTH = 32  # of nesting in which sets are looked for
PLACES = 100_000  # that are looked at
SETS = 2_000
WORD = 100  # characters of a key that are kept
NAME = 1_000  # characters of the name of a tensor in a module
NEAR = 200  # sets that a misspelt key is compared with
SHOWN = 10
SMALL = 8  # a set of so many times fewer tensors than another is not asked about
# What training keeps beside weights, as the loops of the field call it.
BESIDE = re.compile(
    r"(.*_)?(optim|optimizer|optimizers|optimizer_states?|optimizer_state_dict|optim_state_dict|"
    r"opt|sched|scheduler|schedulers|lr_schedulers?|scaler|grad_scaler|amp|amp_scaler|"
    r"loss_scaler|rng|rng_states?|rng_state|random_states?|cuda_rng_state|exp_avg|exp_avg_sq|"
    r"momentum_buffer)(_.*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something is: a key, in what is above."""

    key: str = ""
    above: Place | None = None
    depth: int = 0

    def __str__(self) -> str:
        keys, place = [], self
        while place.above is not None:
            keys.append(place.key)
            place = place.above
        return ".".join(reversed(keys))


@dataclass(slots=True)
class Found:
    """A set of tensors. `odd`: kinds of its keys that are no text. `beside`: it belongs to an
    optimiser or the like."""

    key: str
    tensors: dict[str, Lazy]
    odd: list[str] = field(default_factory=list)
    beside: bool = False

    @property
    def is_weights(self) -> bool:
        """Whether it looks like weights: floats that are more than one number each."""
        return not self.beside and any(
            tensor.is_float and tensor.shape != () for tensor in self.tensors.values()
        )


def chosen(root: object, key: str | None, *, trees: bool = False) -> tuple[Found, list[Found]]:
    """The set that is meant, and all that look like weights. trees: whether sets may be the modules
    of a tree. Errors: Unreadable."""
    every = list(find(root))
    weights = _unique([one for one in every if one.is_weights and not one.odd])
    if trees and not any(one.key == key for one in every) and (tree := _tree(every, key or "")):
        return tree, [tree]
    if key is not None:
        return _must_have_names(_named(key, every, weights, root)), weights
    if not weights:
        weights = [one for one in every if not one.beside and not one.odd]
    if not weights:
        raise _none(root, every)
    largest = max(len(one.tensors) for one in weights)
    likely = [one for one in weights if len(one.tensors) * SMALL > largest]
    if len(likely) > 1:
        raise Unreadable(
            f"it holds {len(weights)} sets of weights: {listed(weights)}",
            f"say which: `--key {called(likely[0].key)}`",
        )
    return likely[0], weights


def _tree(every: list[Found], key: str) -> Found | None:
    """The sets under a key as one, by path, where they are a tree of modules with plain names,
    each with a few tensors of its own, as JAX's users pickle; None where they are not."""
    under = f"{key}." if key else ""
    held = [one for one in every if not one.beside and f"{one.key}.".startswith(under)]
    if any(one.odd or any("." in name for name in one.tensors) for one in held):
        return None
    paths = [[part for part in one.key[len(under) :].split(".") if part] for one in held]
    if paths and all(path and path[0] in COLLECTIONS for path in paths):  # of the same modules
        paths = [path[1:] for path in paths]
    found = {
        ".".join((*path, name)): tensor
        for path, one in zip(paths, held, strict=True)
        for name, tensor in one.tensors.items()
    }
    return Found(key, found) if len(held) > 1 else None


def _must_have_names(found: Found) -> Found:
    if found.odd:
        raise Unreadable(_nameless(found), SAVE)
    return found


def _nameless(found: Found) -> str:
    where = f"`{shown(found.key)}`" if found.key else "it"
    return (
        f"the tensors in {where} have no names: a key is {found.odd[0]}, "
        f"`{shown(next(iter(found.tensors)))}`"
    )


def called(key: str) -> str:
    """A set's key as the command line takes it."""
    return shown(key) or "''"


def listed(sets: list[Found]) -> str:
    """`state_dict` (18 tensors), …"""
    words = [
        f"`{called(one.key)}` ({len(one.tensors)} tensor{'s' * (len(one.tensors) != 1)})"
        for one in sets[:SHOWN]
    ]
    if len(sets) > SHOWN:
        words.append(f"and {len(sets) - SHOWN} more")
    return ", ".join(words)


def find(root: object) -> Iterator[Found]:
    """Every map that holds tensors, in the order of the file; each object once."""
    todo: list[tuple[object, Place, bool]] = [(root, Place(), False)]
    seen: set[int] = set()
    places = sets = 0
    while todo:
        node, place, beside = todo.pop()
        places += 1
        if places > PLACES or sets > SETS:
            raise Unreadable("it nests too much beside its tensors to find them", SAVE)
        if id(node) in seen or place.depth > DEPTH:
            continue
        seen.add(id(node))
        if isinstance(node, Made) and _is_module(node):
            if held := dict(_module(node)):
                sets += 1
                yield Found(str(place), held, [], beside)
            continue
        if not isinstance(node, dict | list | tuple | Made):
            continue
        beside = beside or any(key == "param_groups" for key, _ in _entries(node))
        tensors, strangers, odd = dict[str, Lazy](), dict[str, Lazy](), list[str]()
        inner: list[tuple[object, Place, bool]] = []
        for key, value in _entries(node):
            leaf = tensor_of(value)
            if leaf is not None:
                if not isinstance(key, str):
                    odd.append(_kind(key))
                tensors[_text(key)] = leaf
                continue
            if strange := _instead(key, value):
                strangers[_text(key)] = strange
            if isinstance(value, dict | list | tuple | Made):
                here = _text(key)[:WORD]
                apart = beside or bool(BESIDE.fullmatch(here))
                inner.append((value, Place(here, place, place.depth + 1), apart))
        if tensors:
            if isinstance(node, list | tuple):
                odd = ["its place in a list"]
            sets += 1
            yield Found(str(place), tensors | strangers, odd, beside)
        todo += reversed(inner)


def tensor_of(value: object) -> Lazy | None:
    """A tensor, or what stands for an array."""
    if isinstance(value, Lazy):
        return value
    if isinstance(value, Made):
        if value.tensor is not None:
            return value.tensor
        if str(value).endswith("Tensor"):
            return Lazy(str(value), (1,), trouble=f"is a {shown(value)}")
    return None


def _instead(key: object, value: object) -> Lazy | None:
    """What stands where the name says that a layer's tensor should (`fc.weight`), and is none."""
    if not isinstance(key, str) or value is None or "." not in key or not is_weight(key):
        return None
    trouble = f"is {_kind(value)}, no tensor"
    if isinstance(value, Made):
        trouble = f"is a `{shown(value)}`, whose code is never run"
    return Lazy(type(value).__name__, (1,), trouble=trouble)


def _entries(node: dict[Any, Any] | list[Any] | tuple[Any, ...] | Made) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.items()
    elif isinstance(node, Made):
        yield from node.items.items()
        state = node.state
        for part in state if isinstance(state, tuple) else (state,):  # with __slots__, a pair
            if isinstance(part, dict):
                yield from part.items()
        yield from enumerate(node.elements)
    else:
        yield from enumerate(node)


def _is_module(node: Made) -> bool:
    return isinstance(node.state, dict) and all(
        isinstance(node.state.get(one), dict) for one in ("_parameters", "_modules")
    )


def _module(root: Made) -> Iterator[tuple[str, Lazy]]:
    """The state dict of a module that was pickled as a whole: what its code would give."""
    todo: list[tuple[Made, str, int]] = [(root, "", 0)]
    places = 0
    while todo:
        node, prefix, depth = todo.pop()
        places += 1
        if places > PLACES or depth > DEPTH or len(prefix) > NAME:
            raise Unreadable("its model nests without end", SAVE)
        state: Any = node.state
        left_out = state.get("_non_persistent_buffers_set")
        left_out = left_out if isinstance(left_out, list) else []
        for kind in ("_parameters", "_buffers"):
            held = state.get(kind)
            for key, value in held.items() if isinstance(held, dict) else ():
                leaf = tensor_of(value)
                if leaf is not None and not (kind == "_buffers" and key in left_out):
                    yield f"{prefix}{_text(key)[:NAME]}", leaf
        inner = [
            (child, f"{prefix}{_text(key)[:NAME]}.", depth + 1)
            for key, child in state["_modules"].items()
            if isinstance(child, Made) and _is_module(child)
        ]
        todo += reversed(inner)


def _unique(sets: list[Found]) -> list[Found]:
    """Sets of the same tensors by the same names are one, the first."""
    found: dict[object, Found] = {}
    for one in sets:
        same = tuple((name, tensor.same()) for name, tensor in one.tensors.items())
        found.setdefault(same, one)
    return list(found.values())


def _named(key: str, every: list[Found], weights: list[Found], root: object) -> Found:
    """The set of that key, or of one that ends so; otherwise the tensors of a set whose names
    begin so, with the set's key before it or without."""
    exact = [one for one in every if one.key == key]
    if len(exact) > 1:
        raise Unreadable(f"it holds {len(exact)} sets that are called `{shown(key)}`", SAVE)
    ends = exact or [one for one in weights if one.key.endswith(f".{key}")]
    if len(ends) == 1:
        return ends[0]
    for one in sorted(every, key=lambda one: len(one.key), reverse=True):
        rest = key.removeprefix(f"{one.key}.") if one.key else key
        if rest != key and (inner := _beginning(one, rest, key)):
            return inner
    begun = [inner for one in weights if (inner := _beginning(one, key, f"{one.key}.{key}"))]
    if len(begun) == 1:
        return begun[0]
    if not every:
        raise _none(root, every)
    near = suggest(key, [one.key for one in every[:NEAR] if len(one.key) <= WORD])
    only = "the file itself is the set" if [one.key for one in weights] == [""] else ""
    raise Unreadable(
        f"it has no set of weights `{shown(key)}`; "
        + (only or f"there are {listed(weights or every)}"),
        f"did you mean `--key {shown(near)}`?" if near else "leave out --key" if only else None,
    )


def _beginning(one: Found, start: str, key: str) -> Found | None:
    """The tensors of a set whose names begin so, without it; None where none does."""
    for separator in (".", "/"):
        before = f"{start}{separator}"
        tensors = {
            name.removeprefix(before): tensor
            for name, tensor in one.tensors.items()
            if name.startswith(before)
        }
        if tensors:
            return Found(key.lstrip("."), tensors, one.odd, one.beside)
    return None


def _none(root: object, every: list[Found]) -> Unreadable:
    """Why there is nothing to take."""
    odd = next((one for one in every if one.odd and not one.beside), None)
    if odd is not None:
        return Unreadable(_nameless(odd), SAVE)
    if tensor_of(root) is not None:
        return Unreadable("it holds one tensor without a name",
                          SAVE)  # fmt: skip
    if every:
        return Unreadable(f"it holds no weights, only {listed(every)}")
    what = f"a `{shown(root)}`, whose code is never run" if isinstance(root, Made) else (
        "no state dict: it is " + _kind(root) if not isinstance(root, Mapping) else
        f"no tensors: {_held(root)}"
    )  # fmt: skip
    return Unreadable(f"it holds {what}",
                      SAVE)  # fmt: skip


def _held(root: Mapping[Any, Any]) -> str:
    names = [f"`{shown(_text(key))}`" for key in list(root)[:5]]
    return f"it has {', '.join(names)}{', …' * (len(root) > 5)}" if names else "it is empty"


def _text(key: object) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, bytes):
        return key.decode("ascii", "backslashreplace")
    return key.kind if isinstance(key, OddKey) else str(key)


KINDS = {
    "int": "a number", "float": "a number", "bool": "a truth value", "bytes": "bytes",
    "NoneType": "None", "tuple": "a tuple", "list": "a list", "str": "a text",
    "Made": "an object", "object": "an object", "Named": "a class",
}  # fmt: skip


def _kind(value: object) -> str:
    kind = value.kind if isinstance(value, OddKey) else type(value).__name__
    return KINDS.get(kind, f"a {kind}")
