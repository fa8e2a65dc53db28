"""Live models: which network each was built from, and its weights by canonical name.

What is kept of a built model is kept weakly: by instance, by the class that its source made, and,
for copies that have neither, by the names and shapes of its tensors, the latest few.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from resspec import asked
from resspec import backend as backends
from resspec.backend import Backend, Live, Source
from resspec.diagnostics import SpecError, error
from resspec.live import PREFIX

if TYPE_CHECKING:
    from resspec.ir import Graph

WRAPPED = 4  # models one inside the other, of which a copy is looked for
KEPT = 64  # kinds of models that are remembered beyond their instances


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model was built from."""

    graph: Graph
    backend: Backend
    source: Source


_INSTANCES: WeakKeyDictionary[Any, Origin] = WeakKeyDictionary()
_CLASSES: WeakKeyDictionary[type, Origin] = WeakKeyDictionary()
_KINDS: OrderedDict[tuple[Any, ...], Origin] = OrderedDict()


def remember(model: Any, graph: Graph, backend: Backend, source: Source) -> None:
    """Keep what a model was built from for as long as it lives."""
    origin = Origin(graph, backend, source)
    with contextlib.suppress(TypeError):  # a value that has no hash or cannot be watched
        _INSTANCES[model] = origin
    if type(model).__module__.startswith(PREFIX):
        _CLASSES[type(model)] = origin
    if backend.live is not None:
        kind = _kind(backend, model)
        _KINDS[kind] = origin
        _KINDS.move_to_end(kind)
        while len(_KINDS) > KEPT:
            _KINDS.popitem(last=False)


def backend_of(model: object) -> Backend | None:
    """The backend of whose framework this is a live model; None for anything else."""
    for name in backends.names():
        if (found := backends.get(name)).owns(model):
            return found
    return None


def built(model: object) -> tuple[Any, Origin] | None:
    """The model that resspec built: this one, or the one inside it (of a wrapper, of a trainer's
    module); None where there is none. Errors: `bad-value` where there are several."""
    owner = backend_of(model)
    if owner is None:
        return None
    found: list[tuple[Any, Origin]] = []
    for part in _live(owner).parts(model):
        origin = _instance(part) or _CLASSES.get(type(part))
        if origin is not None and all(part is not one for one, _ in found):
            found.append((part, origin))
    if len(found) > 1:
        names = ", ".join(origin.graph.name for _, origin in found)
        raise error("bad-value", f"this model holds {len(found)} that resspec built: {names}",
                    help="give the one that is meant")  # fmt: skip
    if found:
        return found[0]
    for part in islice(_live(owner).parts(model), WRAPPED):
        if (origin := _KINDS.get(_kind(owner, part))) is not None:
            return part, origin
    return None


def _instance(model: object) -> Origin | None:
    with contextlib.suppress(TypeError):
        return _INSTANCES.get(model)
    return None


def read(model: object) -> tuple[dict[str, NDArray[Any]], Graph]:
    """Canonical arrays of a model that resspec built, half precision widened, and its graph.

    Errors: `bad-value` for a model of other origin, and for what is no model; `weights-mismatch`
    for one that lacks a tensor since.
    """
    found = built(model)
    if found is None:
        raise foreign(model)
    inner, origin = found
    variables, known = origin.source.variables, _live(origin.backend).shapes(inner)
    lacking = [name for name, one in variables.items() if one.name not in known]
    if lacking:
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        raise error(
            "weights-mismatch",
            f"this model of {origin.graph.name} has no {lacking[0]}{more}: it was changed since it "
            "was built",
            help="undo that first: pruning, say, leaves a mask until it is removed",
        )
    arrays = origin.backend.runtime().read_weights(inner, variables)
    return {name: widened(array) for name, array in arrays.items()}, origin.graph


def state(model: object) -> dict[str, NDArray[Any]]:
    """The tensors of any live model by its framework's names. Errors: `bad-value`."""
    owner = backend_of(model)
    if owner is None:
        raise foreign(model)
    return {name: widened(array) for name, array in _live(owner).state(model).items()}


def widened(array: NDArray[Any]) -> NDArray[Any]:
    """Half precision as float32, which holds it exactly; NumPy itself has no bfloat16."""
    half = array.dtype == np.float16 or array.dtype.name == "bfloat16"
    return array.astype(np.float32) if half else array


def foreign(model: object) -> SpecError:
    kind = f"{type(model).__module__}.{type(model).__qualname__}".removeprefix("builtins.")
    if backend_of(model) is None:
        return error(
            "bad-value",
            f"{asked.kind(model)} is no live model",
            help="give what `resspec.build` returned, in whatever wraps it",
        )
    return error(
        "bad-value",
        f"this {kind} was not built by resspec in this process, so its spec is not known",
        help="name the spec: read_weights(model, spec=…)",
    )


def _kind(backend: Backend, model: object) -> tuple[Any, ...]:
    return (backend.name, *_live(backend).shapes(model).items())


def _live(owner: Backend) -> Live:
    assert owner.live is not None  # what owns a model can tell its weights
    return owner.live()
