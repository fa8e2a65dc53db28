"""What a caller gives as weights: a file, a mapping of tensors, a live model. All become arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resspec import asked
from resspec.diagnostics import SpecError, error, escape
from resspec.weights import models
from resspec.weights.files.sets import COLLECTIONS
from resspec.weights.models import widened
from resspec.weights.naming import is_step
from resspec.weights.purpose import Purpose, network

Arrays = dict[str, NDArray[Any]]
THEIRS = "the given weights"
DEPTH = 32  # of mappings one in the other
GENERATORS = ("RngKey", "RngCount")  # Flax's, in its states


@dataclass(frozen=True, slots=True)
class Given:
    """Arrays by the names that they came with, half precision widened, and what each was stored as.

    what: as messages name it. canonical: the names are known to be. path: of a file.
    taken, key: which of a file's sets it is, in words and as `--key` names it. purpose: the
    network that they were saved for, where that is told. strange: what stands in the place of
    tensors that were not read, by the names of these.
    """

    what: str
    arrays: Arrays
    dtypes: Mapping[str, str] = field(default_factory=dict)
    canonical: bool = False
    path: Path | None = None
    taken: str = ""
    key: str = ""
    purpose: Purpose | None = None
    strange: Mapping[str, str] = field(default_factory=dict)

    @property
    def verb(self) -> str:
        return "do" if self.what == THEIRS else "does"


def arrays_of(tensors: Mapping[Any, Any], key: str | None = None) -> Given:
    """A mapping of tensors of any framework, or of arrays. key: which of several such mappings in
    it, or the names' prefix. Errors: `weights-format`."""
    if key is not None:
        tensors = _chosen(tensors, key)
    tensors = _by_path(tensors)
    arrays: Arrays = {}
    dtypes: dict[str, str] = {}
    for name, value in tensors.items():
        if not isinstance(name, str):
            raise error("weights-format", f"the given weights are named by {_kind(name)}, not text")
        if is_step(name):
            continue
        if isinstance(value, Mapping):
            raise error(
                "weights-format",
                f"`{escape(name)}` of the given weights is a {_kind(value)}, no tensor",
                help=f"give what it holds: weights=checkpoint[{name!r}]",
            )
        arrays[name], dtypes[name] = _array(name, value)
    return Given(THEIRS, arrays, dtypes)


def _by_path(tensors: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A tree of tensors and nothing else, with plain names, by path: `head.linear1.kernel`, without
    the states of random generators in it. Anything else as it is."""

    def leaves(tree: Mapping[Any, Any], path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        if len(path) > DEPTH:
            raise error("weights-format", "the given weights nest without end",
                        help="give the state dict alone")  # fmt: skip
        for name, value in tree.items():
            inner = (*path, str(name))
            if isinstance(value, Mapping) and list(value) == ["value"]:  # an NNX variable, saved
                value = value["value"]
            if isinstance(value, Mapping):
                yield from leaves(value, inner)
            elif type(value).__name__ not in GENERATORS:
                yield ".".join(inner), value

    kinds = {isinstance(value, Mapping) for value in tensors.values()}
    if True not in kinds:
        return tensors
    if kinds == {True} and COLLECTIONS.issuperset(tensors):  # two trees of the same modules
        found = [one for tree in tensors.values() for one in leaves(tree, ())]
    else:
        found = list(leaves(tensors, ()))
    plain = all(hasattr(value, "shape") and hasattr(value, "dtype") for _, value in found)
    dotted = any(isinstance(name, str) and "." in name for name in _names(tensors))
    return dict(found) if plain and not dotted else tensors


def _names(tree: Mapping[Any, Any]) -> Iterator[Any]:
    for name, value in tree.items():
        yield name
        if isinstance(value, Mapping):
            yield from _names(value)


def _chosen(tensors: Mapping[Any, Any], key: str) -> Mapping[Any, Any]:
    inner = tensors.get(key)
    if isinstance(inner, Mapping):
        return inner
    return with_prefix(tensors, key)


def with_prefix(tensors: Mapping[Any, Any], key: str) -> dict[str, Any]:
    """The tensors whose names start so, without it. Errors: `weights-format` where none does."""
    prefix = key if key.endswith((".", "/")) else f"{key}."
    found = {
        name[len(prefix) :]: value
        for name, value in tensors.items()
        if isinstance(name, str) and name.startswith(prefix)
    }
    if not found:
        heads = dict.fromkeys(str(name).partition(".")[0] for name in tensors)
        held = ", ".join(list(heads)[:8])
        raise error("weights-format", f"nothing is called `{escape(key)}` there; there are "
                    f"{escape(held)}{' …' if len(heads) > 8 else ''}")  # fmt: skip
    return found


def model_of(model: object) -> Given:
    """What a live model holds: by canonical name where resspec built it in this process, otherwise
    by its framework's names. Errors: `bad-value` for what is no model."""
    what = "the given model"
    if models.backend_of(model) is None:
        wanted = "a file's path, tensors by name, or a live model"
        raise asked.refused("what weights are taken from", wanted, model)
    if models.built(model) is not None:
        arrays, graph = models.read(model)
        return Given(what, arrays, canonical=True, purpose=Purpose(graph.name, network(graph)))
    found = models.state(model)
    return Given(what, {name: array for name, array in found.items() if not is_step(name)})


def _array(name: str, value: Any) -> tuple[NDArray[Any], str]:
    """A tensor's numbers, and its type, whichever framework it is of."""
    try:
        kind = str(getattr(value, "dtype", "")).rpartition(".")[2]
        if hasattr(value, "detach"):  # one that gradients are kept of, wherever it is
            value = value.detach().cpu()
            value = value.float() if kind == "bfloat16" else value
        array = np.asanyarray(value.numpy() if hasattr(value, "numpy") else value)
    except SpecError:
        raise
    except Exception as problem:
        # sparse, quantised, without storage: each framework raises types of its own
        raise _no_tensor(name, value) from problem
    numeric = array.dtype.kind in "fiub" or array.dtype.name == "bfloat16"
    if not numeric or np.ma.is_masked(array):
        raise _no_tensor(name, value)
    if array.dtype.kind == "f" and not (array.dtype.isnative and array.dtype.itemsize <= 8):
        array = array.astype(f"f{min(array.dtype.itemsize, 8)}")  # as frameworks take it
    return widened(np.asarray(array)), kind or array.dtype.name


def _no_tensor(name: str, value: object) -> SpecError:
    return error(
        "weights-format",
        f"`{escape(name)}` of the given weights is a {_kind(value)} that holds no plain numbers",
    )


def _kind(value: object) -> str:
    return type(value).__name__
