"""Whose names the tensors of a file or of a live model have: canonical ones, or a backend's own.

What a training loop puts before names is no part of them: `module.`, `model.`, `_orig_mod.`, the
attribute of a module that holds the network. Counters of steps are no weights.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from resspec import backend as backends
from resspec.backend import Variable
from resspec.diagnostics import Note, SpecError, error, escape

if TYPE_CHECKING:
    from resspec.ir import Graph

CANONICAL = "canonical"
STEPS = ("num_batches_tracked", "n_averaged")
# Wrappers that may also stand inside a name, where only a part of a network was wrapped.
WRAPPERS = frozenset({"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"})
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Naming:
    """Which tensor is which parameter, by name.

    whose: `canonical`, or a backend. prefix: what stands before the names. variables: canonical
    name → its name as given, and the layout that it has there. missing: canonical names that are
    not given. unknown: names under the prefix that the network lacks. beside: names without it.
    """

    whose: str
    prefix: str
    variables: Mapping[str, Variable]
    missing: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def likely(self) -> bool:
        """Whether so many names agree that it is no coincidence."""
        return len(self.variables) > len(self.missing)

    @property
    def whole(self) -> bool:
        """Whether every parameter is named, and under the prefix nothing else is."""
        return not self.missing and not self.unknown


def is_step(name: str) -> bool:
    """Whether this is a counter of training steps, which no network computes with."""
    return re.split(r"[./]", name)[-1] in STEPS


def recognised(given: Collection[str], graph: Graph, within: str = "") -> Naming | None:
    """Whose names these are: those of which most are known here. None where none is. within: the
    key of the set that they are, in what a file holds.

    Errors: `weights-mismatch` where several sets of them are there.
    """
    names = [name for name in given if not is_step(name)]
    best: Naming | None = None
    for whose, known in _vocabularies(graph):
        found = _read(whose, names, known, within)
        if found is None:
            continue
        if found.whole:
            return found
        if best is None or len(found.variables) > len(best.variables):
            best = found
    return best


def _vocabularies(graph: Graph) -> Iterator[tuple[str, Mapping[str, Variable]]]:
    """Canonical name → variable, for whoever may have named the tensors."""
    canonical = {name: Variable(name, "") for name in graph.parameters()}
    yield CANONICAL, canonical
    for name in backends.names():
        try:
            variables = backends.get(name).emit(graph).variables
        except SpecError:  # a backend that cannot express the graph has written no such file
            continue
        if dict(variables) != canonical:
            yield name, variables


@dataclass(slots=True)
class _Set:
    """The names under one prefix."""

    found: dict[str, str] = field(default_factory=dict)  # canonical → as given


def _read(
    whose: str, names: list[str], known: Mapping[str, Variable], within: str
) -> Naming | None:
    owners = _owners(known)
    best: Naming | None = None
    # the names as they are, then without what wraps parts of the network
    as_they_are = dict(zip(names, names, strict=True))
    for shown in (as_they_are, _unwrapped(names), _inner(names), _dotted(names)):
        sets: dict[str, _Set] = defaultdict(_Set)
        for name, clean in shown.items():
            for prefix, local in _suffixes(clean):
                if local in owners:
                    sets[prefix].found.setdefault(owners[local], name)
        whole = [prefix for prefix, one in sets.items() if len(one.found) == len(known)]
        if len(whole) > 1 and known:
            raise _several(whole, within)
        ranked = sorted(sets, key=lambda prefix: (-len(sets[prefix].found), len(prefix)))
        if not ranked:
            continue
        prefix = whole[0] if whole else ranked[0]
        naming = _naming(whose, prefix, sets[prefix].found, shown, known)
        if whole:
            return naming
        if best is None or len(naming.variables) > len(best.variables):
            best = naming
    return best


def _naming(
    whose: str,
    prefix: str,
    found: Mapping[str, str],
    shown: Mapping[str, str],
    known: Mapping[str, Variable],
) -> Naming:
    taken = set(found.values())
    others = [name for name in shown if name not in taken]
    return Naming(
        whose,
        prefix,
        {name: Variable(found[name], one.layout) for name, one in known.items() if name in found},
        tuple(name for name in known if name not in found),
        tuple(name for name in others if shown[name].startswith(prefix)),
        tuple(name for name in others if not shown[name].startswith(prefix)),
    )


def _suffixes(name: str) -> Iterator[tuple[str, str]]:
    """Every cut at a dot or a slash: what stands before it, with the sign, and what after."""
    yield "", name
    for cut in re.finditer(r"[./]", name):
        yield name[: cut.end()], name[cut.end() :]


def _owners(known: Mapping[str, Variable]) -> dict[str, str]:
    """A variable's name → the canonical one. Files may number the variables of layers that are
    no common ones, in the order in which a layer has them: `gain/0`; those of before had dots in
    names of layers."""
    owners = {variable.name: name for name, variable in known.items()}
    owners |= {one.replace("-", "."): name for one, name in owners.items()}
    counts: Counter[str] = Counter()
    for name, variable in known.items():
        layer, slash, _ = variable.name.rpartition("/")
        if slash:
            owners.setdefault(f"{layer}/{counts[layer]}", name)
            counts[layer] += 1
    return owners


def _inner(names: Iterable[str]) -> dict[str, str]:
    """Each `layer/variable` without the models that its layer stands in."""
    return _distinct({name: "/".join(name.split("/")[-2:]) for name in names})


def _unwrapped(names: Iterable[str]) -> dict[str, str]:
    """Each name without wrappers, wherever they stand."""
    return _distinct({
        name: ".".join(part for part in name.split(".") if part not in WRAPPERS) for name in names
    })  # fmt: skip


def _dotted(names: Collection[str]) -> dict[str, str]:
    """Each name as a path with dots, where all of them have slashes alone (a flattened tree)."""
    apart = {name: name.replace("/", ".") for name in names if "." not in name}
    return _distinct(apart) if len(apart) == len(names) else {}


def _distinct(clean: dict[str, str]) -> dict[str, str]:
    """The names, unless two are one."""
    twice = max(Counter(clean.values()).values(), default=0) > 1
    return {} if twice else clean


def _several(prefixes: list[str], within: str) -> SpecError:
    one = next((escape(prefix.rstrip("./")) for prefix in sorted(prefixes) if prefix), "")
    notes = [Note(f"`{escape(prefix) or '(no prefix)'}`") for prefix in sorted(prefixes)[:SHOWN]]
    return error(
        "weights-mismatch",
        f"{len(prefixes)} sets of this network's tensors are there, under different prefixes",
        notes=notes,
        help=f"choose one with --key {within and f'{within}.'}{one} (key=…)" if one else None,
    )
