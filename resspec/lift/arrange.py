"""Products and rearrangements of tensors as ops say them: `einsum`, or `tokens`, `windows` and what
undoes them where it is one of these. A tensor's axes are told by what they run over."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, NamedTuple, Protocol

from resspec.ir import Value
from resspec.lift import layout as layouts
from resspec.lift.ancestry import cut_from, nearest
from resspec.lift.layout import Atom, Awkward, Data, Layout
from resspec.lift.naming import fresh
from resspec.ops.einsum import written
from resspec.types import TensorType

Term = tuple[tuple[str, ...], ...]
# what names are called: of both values, of the first alone, of the second, and those summed over;
# each of channels and of positions
CALLED = {
    "both": ("heads", "g"), "first": ("c", "n"), "second": ("d", "m"), "summed": ("d", "m"),
}  # fmt: skip


class Recorder(Protocol):
    """Notes ops: `resspec.lift.record`."""

    batch: int
    windows: set[tuple[int, int]]

    def once(self, op: str, *inputs: Value, **arguments: Any) -> Value: ...

    def ordered(self, data: Data) -> Data: ...

    def maker(self, value: Value) -> Any: ...


class Name(NamedTuple):
    """One index of a product. `atoms`: what it runs over in each value, if in it at all."""

    word: str
    label: str
    atoms: tuple[Atom | None, ...]
    place: str  # both, first, second or summed

    @property
    def size(self) -> int:
        return next(atom.size for atom in self.atoms if atom is not None)

    @property
    def is_channels(self) -> bool:
        return any(atom is not None and atom.dim == "c" for atom in self.atoms)


def product(
    recorder: Recorder, tensors: Sequence[Data], labels: Sequence[Sequence[str]], out: Sequence[str]
) -> Data:
    """One or two tensors, multiplied, a letter for each axis, summed over those that `out` lacks.
    Raises Awkward."""
    names, batch = _names([one.layout for one in tensors], labels, out)
    kept = [name for name in names if name.label in out]
    order = {label: at for at, label in enumerate(out)}
    kept.sort(key=lambda name: order[name.label])
    channels = [name for name in kept if name.is_channels]
    places = [name for name in kept if not name.is_channels]
    both = [name for name in places if name.place == "both"]
    if not both and len(tensors) == 2 and all(_is_one_window(recorder, one) for one in tensors):
        heights = (one.value.type.height for one in tensors)
        both = [Name("g", "", tuple(Atom("h", height, 1) for height in heights), "both")]
        names = [*both, *names]
    first = [name for name in places if name.place == "first"]
    second = [name for name in places if name.place == "second"]
    if first and second:
        dims = (channels, [*both, *first], second)
    elif first or second:
        dims = (channels, both, first or second)
    else:  # of channels alone: those of the second side by side
        side = [name for name in channels if name.place == "second"]
        rest = [name for name in channels if name.place != "second"]
        tokens = [name for name in both if any(a is not None and a.dim == "w" for a in name.atoms)]
        if tokens or not side or not any(name.place == "first" for name in rest):
            dims = (channels, [name for name in both if name not in tokens], tokens)
        else:
            dims = (rest, both, side)
    return _applied(recorder, tensors, names, batch, dims, out)


def rearranged(
    recorder: Recorder, tensor: Data, channels: Sequence[int], rows: Sequence[int],
    columns: Sequence[int],
) -> Data:  # fmt: skip
    """The same tensor, of a value whose channels, rows and columns are these of its axes. Raises
    Awkward."""
    places = {str(at): dim for dim, axes in enumerate((channels, rows, columns)) for at in axes}
    return turned(recorder, tensor, lambda name: places[name.label])


def focused(recorder: Recorder, tensor: Data, at: int) -> Data:
    """The same tensor, of a value whose channels are one of its axes. Raises Awkward."""
    with contextlib.suppress(Awkward):
        found = recorder.ordered(tensor)
        axis = found.layout[at]
        channels = found.value.type.channels
        if layouts.dims(axis) in ("c", "") and layouts.size(axis) == channels:
            return found
    return turned(recorder, tensor, lambda name: 0 if name.label == str(at % len(tensor.layout))
                   else 1 if name.is_channels else 2)  # fmt: skip


def columned(recorder: Recorder, tensor: Data, at: int) -> Data:
    """The same tensor, of a value whose columns are one of its axes. Raises Awkward."""
    return turned(recorder, tensor, lambda name: 2 if name.label == str(at % len(tensor.layout))
                   else 0 if name.is_channels else 1)  # fmt: skip


def alike(recorder: Recorder, tensor: Data, like: Data) -> Data:
    """The same tensor, of a value whose axes run over what those of another of its shape do. Raises
    Awkward."""
    labels = [str(n) for n in range(len(tensor.layout))]
    if layouts.shape(tensor.layout) != layouts.shape(like.layout):
        raise Awkward("values that are laid out differently are joined element by element")
    names, batch = _names([tensor.layout, like.layout], [labels, labels], labels)
    if any(None in name.atoms for name in names):
        raise Awkward("values that are laid out differently are joined element by element")
    dims = tuple(
        sorted(
            (name for name in names if (atom := name.atoms[1]) is not None and atom.dim == dim),
            key=lambda name: _step(name, 1), reverse=True,
        )
        for dim in "chw"
    )  # fmt: skip
    return _applied(recorder, [tensor], names, batch, dims, labels)


def turned(recorder: Recorder, tensor: Data, place: Callable[[Name], int]) -> Data:
    """A rearrangement by where each name goes: to channels, rows or columns."""
    labels = [str(n) for n in range(len(tensor.layout))]
    names, batch = _names([tensor.layout], [labels], labels)
    dims = tuple([name for name in names if place(name) == dim] for dim in range(3))
    return _applied(recorder, [tensor], names, batch, dims, labels)


def _is_one_window(recorder: Recorder, tensor: Data) -> bool:
    """Whether it is of the one window that a map has at this size."""
    kind, step = tensor.value.type, nearest(recorder, tensor.value, ("tokens", "windows"))
    return (
        step is not None
        and step.op.NAME == "windows"
        and kind.is_map
        and (step.outputs[0].type.height == 1)
    )


# -- names ---------------------------------------------------------------------------------------


def _names(
    tensors: Sequence[Layout], labels: Sequence[Sequence[str]], out: Sequence[str]
) -> tuple[list[Name], str]:
    """The indices of a product, and the label of the axis that has the examples."""
    axes: dict[str, list[list[Atom]]] = {}
    batches: set[str] = set()
    for at, (layout, own) in enumerate(zip(tensors, labels, strict=True)):
        for axis, label in zip(layout, own, strict=True):
            held = axes.setdefault(label, [[] for _ in tensors])
            held[at] = [atom for atom in axis if atom.dim != "n"]
            if any(atom.dim == "n" for atom in axis):
                batches.add(label)
                if axis[0].dim != "n" or sum(atom.dim == "n" for atom in axis) > 1:
                    raise Awkward("examples that are no longer the outermost")
    if len(batches) > 1 or not batches <= {*out}:
        raise Awkward("a product of, or a sum over, different examples")
    taken: set[str] = set()
    names: list[Name] = []
    for label, held in axes.items():
        for atoms in _refined(held):
            here = [atom is not None for atom in atoms]
            place = (
                "summed" if label not in out
                else "both" if all(here)
                else "first" if here[0] else "second"
            )  # fmt: skip
            channel = any(atom is not None and atom.dim == "c" for atom in atoms)
            names.append(Name(_fresh(place, channel, taken, atoms), label, atoms, place))
    return names, next(iter(batches), "")  # none: of one example


def _fresh(place: str, channel: bool, taken: set[str], atoms: Sequence[Atom | None]) -> str:
    word = CALLED[place][0 if channel else 1]
    if len(atoms) == 1:  # a rearrangement
        (atom,) = atoms
        assert atom is not None
        word = {"c": "c", "h": "y", "w": "x"}[atom.dim]
    return fresh(word, taken)


def _refined(held: Sequence[Sequence[Atom]]) -> Iterator[tuple[Atom | None, ...]]:
    """Atoms of one axis side by side, cut where another value has them cut."""
    rest = [list(atoms)[::-1] for atoms in held]
    full = [at for at, atoms in enumerate(rest) if atoms]
    while any(rest[at] for at in full):
        if not all(rest[at] for at in full):
            raise Awkward("a product of axes of different sizes")
        step = min(rest[at][-1].size for at in full)
        made: list[Atom | None] = [None] * len(rest)
        for at in full:
            atom = rest[at].pop()
            if atom.size % step:
                raise Awkward("a product of axes that are cut differently")
            inner = atom.size // step
            made[at] = Atom(atom.dim, atom.step * inner, step)
            if inner > 1:
                rest[at].append(Atom(atom.dim, atom.step, inner))
        yield tuple(made)


# -- ops -----------------------------------------------------------------------------------------


def _applied(
    recorder: Recorder, tensors: Sequence[Data], names: Sequence[Name], batch: str,
    dims: Sequence[Sequence[Name]], out: Sequence[str],
) -> Data:  # fmt: skip
    terms = tuple(_term(one.value.type, at, names) for at, one in enumerate(tensors))
    output = tuple(tuple(name.word for name in dim) for dim in dims)
    sizes = {name.word: name.size for name in names}
    values = [one.value for one in tensors]
    made = None
    if len(values) == 1:
        made = _moved(recorder, values[0], terms[0], output, sizes)
    if made is None:
        pattern = f"{', '.join(map(written, terms))} -> {written(output)}"
        told = _told(terms, sizes)
        made = recorder.once("einsum", *values, pattern=pattern, sizes=told)
    atoms: dict[str, Atom] = {}
    for dim, own in zip("chw", dims, strict=True):
        step = 1
        for name in reversed(own):
            atoms[name.word] = Atom(dim, step, name.size)
            step *= name.size
    n = Atom("n", 1, recorder.batch)
    layout = tuple(
        layouts.joined(
            [*([n] if label == batch else []),
             *(atoms[name.word] for name in names if name.label == label)]
        )
        for label in out
    )  # fmt: skip
    return Data(made, layout)


def _term(kind: TensorType, at: int, names: Sequence[Name]) -> Term:
    """The axes of a value by the names that share them. Raises Awkward where some are missing."""
    found: list[tuple[str, ...]] = []
    for dim, extent in zip("chw", kind.shape, strict=False):
        pairs = [(name.atoms[at], name.word) for name in names]
        own = sorted(
            ((atom, word) for atom, word in pairs if atom is not None and atom.dim == dim),
            key=lambda one: -one[0].step,
        )
        step = 1
        for atom, _ in reversed(own):
            if atom.step != step:
                raise Awkward("a tensor that has some elements twice, or not at all")
            step *= atom.size
        if step != extent:
            raise Awkward("a tensor that has some elements twice, or not at all")
        found.append(tuple(word for _, word in own))
    return tuple(found)


def _told(terms: Sequence[Term], sizes: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    """Sizes that must be told: all but one of what shares an axis, the outermost of channels told,
    of positions not."""
    told: dict[str, int] = {}
    for term in terms:
        for at, axis in enumerate(term):
            rest = axis[:-1] if at == 0 else axis[1:]
            told |= {name: sizes[name] for name in rest}
    for term in terms:  # what channels tell already
        for name in term[0][-1:]:
            if name in told and all(other in told for other in term[0]):
                del told[name]
    return tuple(sorted(told.items()))


def _moved(
    recorder: Recorder, value: Value, term: Term, output: Term, sizes: Mapping[str, int]
) -> Value | None:
    """The op that says a rearrangement by its name; None where it is no other than `einsum`."""
    if term == output:
        return value
    if len(term) != 3 or term[0] != output[0]:
        return None
    _, rows, columns = term
    apply = recorder.once
    if (output[1], output[2]) == ((), (*rows, *columns)):
        if value.type.spatial in recorder.windows:
            return apply("windows", value, size=value.type.spatial)
        return apply("tokens", value)
    origin = cut_from(recorder, value)
    if origin is not None and value is origin.outputs[0]:
        whole = tuple(prod(sizes[name] for name in axis) for axis in output[1:])
        if origin.inputs[0].type.spatial == whole:
            made: Value = origin.inputs[0]
            return made  # undone at once
    if not rows and len(columns) == 2 and (output[1], output[2]) == (columns[:1], columns[1:]):
        size = (sizes[columns[0]], sizes[columns[1]])
        if origin is not None and origin.inputs[0].type.spatial == size:
            like = origin.inputs[0]
            if origin.op.NAME == "windows":
                return apply("join_windows", value, like, size=origin.op.size)
            return apply("grid", value, like)
        return apply("grid", value, size=size)
    crossed = len(rows) == len(columns) == 2 and (output[1], output[2]) == (
        (rows[0], columns[0]), (rows[1], columns[1]),
    )  # fmt: skip
    if not crossed:
        return None
    if origin is not None and origin.op.NAME == "windows":
        whole = (sizes[rows[0]] * sizes[columns[0]], sizes[rows[1]] * sizes[columns[1]])
        inner = (sizes[columns[0]], sizes[columns[1]])
        if origin.op.size == inner and origin.inputs[0].type.spatial == whole:
            return apply("join_windows", value, origin.inputs[0], size=inner)
    size = (sizes[rows[1]], sizes[columns[1]])
    recorder.windows.add(size)
    return apply("windows", value, size=size)


def in_rows(recorder: Recorder, tensor: Data) -> Data:
    """A tensor whose axes share or part the positions of a map, of a value that has them so: tokens
    in one row, windows a row each. Others as they are."""
    layout = tensor.layout
    if not tensor.value.type.is_map:
        return tensor
    examples = (n for n, axis in enumerate(layout) if any(atom.dim == "n" for atom in axis))
    at = next(examples, 0)
    beside = [atom for atom in layout[at] if atom.dim in "hw"]
    axes = [n for n, axis in enumerate(layout) if n != at and any(a.dim in "hw" for a in axis)]
    mixed = any({"h", "w"} <= {atom.dim for atom in axis} for axis in layout)
    if not axes or not (mixed or is_grid(tensor)) or (not beside and len(axes) > 2):
        return tensor
    outer = sorted(axes, key=lambda n: -max((a.step for a in layout[n] if a.dim == "h"), default=0))
    rows = {str(at)} if beside else {str(n) for n in outer[:-1]}
    labels = [str(n) for n in range(len(layout))]
    try:
        names, batch = _names([layout], [labels], labels)
        channels = [name for name in names if name.is_channels]
        places = [name for name in names if not name.is_channels]
        dims = (
            sorted(channels, key=_step, reverse=True),
            [name for name in places if name.label in rows],
            [name for name in places if name.label not in rows],
        )
        return _applied(recorder, [tensor], names, batch, dims, labels)
    except Awkward:
        return tensor


def is_grid(tensor: Data) -> bool:
    """Whether it is a map again of tokens, which are cut into rows, or of windows."""
    kind, rows = tensor.value.type, [layouts.dims(axis) for axis in tensor.layout]
    rows = [axis for axis in rows if axis and {*axis} <= {"h", "w"}]
    if not kind.is_map or len(tensor.layout) != 4 or len(rows) != 2:
        return False
    return rows == ["hw", "hw"] or (rows == ["w", "w"] and kind.height == 1)


def _step(name: Name, at: int = 0) -> int:
    atom = name.atoms[at]
    assert atom is not None
    return atom.step
