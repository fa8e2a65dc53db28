"""Bodies of blocks laid over each other: where they differ in numbers alone, in what stands in a
hole; where one has layers that another lacks, under a `when`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from resspec.lift.flow import MERGES
from resspec.lift.spell import Hole

NEVER = 1 << 20
LONGEST = 160  # rows of layers that are laid side by side, together
WHENS = 4  # in one row of layers
SHORT = 4  # layers that a repeat is to save
NOTHING: Mapping[str, Any] = {"from": []}  # a branch that is left out
LAYERS = frozenset(("body", "shortcut"))


class When:
    """Layers of some instances, and what others have in their place."""

    def __init__(self, members: set[int], then: list[Any], otherwise: list[Any]) -> None:
        self.members, self.then, self.otherwise = members, then, otherwise
        self.condition = ""


def merged(a: Any, b: Any, us: set[int], them: set[int], choices: bool) -> Any:
    """One body of two, or None. `us`, `them`: the instances; `choices`: whether it may have a
    `when`."""
    if isinstance(a, Hole) and isinstance(b, Hole):
        if not a.like(b) or _depthwise(a) != _depthwise(b):
            return None
        return Hole(a.kind, a.default, a.values | b.values, a.here | b.here)
    if isinstance(a, dict) and isinstance(b, dict):
        return _mappings(a, b, us, them, choices)
    if isinstance(a, list) and isinstance(b, list):
        return _lists(a, b, us, them, choices)
    if type(a) is type(b) and not isinstance(a, Hole | When) and a == b:
        return a
    return None


def _depthwise(hole: Hole) -> bool:
    """Whether a convolution treats each channel on its own: another layer than one that does not,
    whatever its numbers."""
    return hole.kind == "groups" and all(1 < hole.values[k] == hole.here[k] for k in hole.values)


def _mappings(
    a: dict[str, Any], b: dict[str, Any], us: set[int], them: set[int], choices: bool
) -> dict[str, Any] | None:
    if "body" in a and "body" in b:
        a, b = {"shortcut": [], **a}, {"shortcut": [], **b}
        a, b = ({"body": one["body"], "shortcut": one["shortcut"]} for one in (a, b))
    a, b = _padded_alike(a, b), _padded_alike(b, a)
    if list(a) != list(b):
        return None
    made = {}
    for key in a:
        if key in MERGES and isinstance(a[key], list):
            one = _branches(a[key], b[key], us, them, choices)
        else:
            may = choices and (key in LAYERS or not isinstance(a[key], list))
            one = merged(a[key], b[key], us, them, may)
        if one is None:
            return None
        made[key] = one
    return made


def _branches(
    a: list[Any], b: list[Any], us: set[int], them: set[int], choices: bool
) -> list[Any] | None:
    """Branch by branch; one that only some have is left out by the others."""
    if len(a) == len(b):
        pairs = [merged(x, y, us, them, choices) for x, y in zip(a, b, strict=True)]
        return None if any(one is None for one in pairs) else pairs
    if not choices:
        return None
    if len(a) < len(b):
        return _branches(b, a, them, us, choices)
    found: list[Any] = []
    rest = list(b)
    for branch in a:
        both = merged(branch, rest[0], us, them, choices) if rest else None
        if both is not None:
            del rest[0]
        elif isinstance(branch, list):
            both = merged(branch, [dict(NOTHING)], us, them, choices)
            both = [_optional(branch, us, them)] if both is None else both
        if both is None:
            return None
        found.append(both)
    return None if rest else found


def _optional(branch: list[Any], us: set[int], them: set[int]) -> When:
    absent = [dict(NOTHING)]
    return When(set(us), branch, absent) if branch else When(set(them), absent, [])


def _padded_alike(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """a, which says nothing of its padding, with `same` where b says that and it is no other."""
    if b.get("padding") != "same" or "padding" in a or list(a) != [k for k in b if k != "padding"]:
        return a
    kernel, stride = a.get("kernel_size"), a.get("stride")
    if not isinstance(kernel, Hole) or not isinstance(stride, Hole):
        return a
    sizes = [
        size for one in kernel.values.values() for size in (one if isinstance(one, list) else [one])
    ]
    if set(stride.values.values()) != {1} or any(size % 2 == 0 for size in sizes):
        return a
    return {key: a.get(key, "same") for key in b}


def _lists(
    a: list[Any], b: list[Any], us: set[int], them: set[int], choices: bool
) -> list[Any] | None:
    if len(a) == len(b):
        pairs = [merged(x, y, us, them, choices) for x, y in zip(a, b, strict=True)]
        if all(one is not None for one in pairs):
            return pairs
    if choices:
        wrapped = _summed(a, b) or _summed(b, a)
        if wrapped is not None:
            first, second = (a, wrapped) if _sum(a) is not None else (wrapped, b)
            found = _lists(first, second, us, them, choices)
            if found is not None:
                return found
    if not choices or len(a) + len(b) > LONGEST:
        return None
    return _Alignment(a, b, us, them).found()


def _sum(layers: list[Any]) -> int | None:
    """Where the one residual among them is."""
    found = [at for at, one in enumerate(layers) if isinstance(one, dict) and "residual" in one]
    return found[0] if len(found) == 1 else None


def _summed(like: list[Any], layers: list[Any]) -> list[Any] | None:
    """Layers without a shortcut as a residual that has none, at the place where the others have
    theirs."""
    at = _sum(like)
    if at is None or any(isinstance(one, dict) and "residual" in one for one in layers):
        return None
    end = len(layers) - (len(like) - at - 1)
    if end <= at or any(isinstance(one, When) for one in layers):
        return None
    none = {"body": layers[at:end], "shortcut": [dict(NOTHING)]}
    return [*layers[:at], {"residual": none}, *layers[end:]]


class _Alignment:
    """Two rows of layers, the one perhaps with `when`s, laid side by side: what only one has, or
    has in the other's place, stands under a `when`."""

    def __init__(self, a: list[Any], b: list[Any], us: set[int], them: set[int]) -> None:
        self.a, self.b, self.us, self.them = a, b, us, them
        self.best: dict[tuple[int, int, bool], tuple[int, list[Any]]] = {}
        self.pairs: dict[tuple[int, int], Any] = {}

    def found(self) -> list[Any] | None:
        """The row of both; None where they have too little in common."""
        cost, row = self._from(0, 0, False)
        made: list[Any] = []
        for kind, one, other in row:
            if kind == "both":
                made.append(one)
            elif made and isinstance(made[-1], _Gap):
                made[-1].add(one, other)
            else:
                made.append(_Gap([*one], [*other]))
        gaps = [one for one in made if isinstance(one, _Gap)]
        shared = sum(1 for one in made if not isinstance(one, _Gap | When))
        apart = sum(len(one.here) + len(one.there) for one in gaps)
        torn = any(
            len(one.here) > 1 or len(one.there) > 1 for one in gaps if one.here and one.there
        )
        whens = sum(isinstance(one, _Gap | When) for one in made)
        unlike = bool(self.a and self.b) and apart > shared
        if cost >= NEVER or torn or unlike or whens > WHENS:
            return None
        return [one.when(self.us, self.them) if isinstance(one, _Gap) else one for one in made]

    def _from(self, i: int, j: int, gap: bool) -> tuple[int, list[Any]]:
        """What it costs to lay the rest side by side, and how that is done."""
        key = (i, j, gap)
        if key not in self.best:
            self.best[key] = min(self._ways(i, j, gap), key=lambda one: one[0], default=(NEVER, []))
        return self.best[key]

    def _ways(self, i: int, j: int, gap: bool) -> Iterator[tuple[int, list[Any]]]:
        a, b = self.a, self.b
        if i == len(a) and j == len(b):
            yield 0, []
            return
        opening = 0 if gap else 2
        if i < len(a) and isinstance(a[i], When):
            yield from self._through(i, j, a[i])
            return
        if i < len(a) and j < len(b):
            both = self._pair(i, j)
            if both is not None:
                cost, rest = self._from(i + 1, j + 1, False)
                yield cost, [("both", both, None), *rest]
        if i < len(a):
            cost, rest = self._from(i + 1, j, True)
            yield cost + opening + 1, [("gap", [a[i]], []), *rest]
        if j < len(b):
            cost, rest = self._from(i, j + 1, True)
            yield cost + opening + 1, [("gap", [], [b[j]]), *rest]

    def _through(self, i: int, j: int, choice: When) -> Iterator[tuple[int, list[Any]]]:
        """b at a `when` of a: as one of the two."""
        for taken in (True, False):
            inner = choice.then if taken else choice.otherwise
            there = self.b[j : j + len(inner)]
            if len(there) < len(inner):
                continue
            pairs = [merged(x, y, self.us, self.them, False)
                     for x, y in zip(inner, there, strict=True)]  # fmt: skip
            if any(one is None for one in pairs):
                continue
            made = When(
                choice.members | (self.them if taken else set()),
                pairs if taken else choice.then,
                choice.otherwise if taken else pairs,
            )
            cost, rest = self._from(i + 1, j + len(inner), False)
            yield cost, [("both", made, None), *rest]

    def _pair(self, i: int, j: int) -> Any:
        if (i, j) not in self.pairs:
            self.pairs[i, j] = merged(self.a[i], self.b[j], self.us, self.them, True)
        return self.pairs[i, j]


class _Gap:
    """Layers that only the one row has, and only the other."""

    def __init__(self, here: list[Any], there: list[Any]) -> None:
        self.here, self.there = here, there

    def add(self, here: list[Any], there: list[Any]) -> None:
        self.here += here
        self.there += there

    def when(self, us: set[int], them: set[int]) -> When:
        if not self.here:
            return When(set(them), self.there, [])
        return When(set(us), self.here, self.there)


def always(body: Any, members: set[int]) -> Any:
    """The body with what some instances drop while training in all of them, at a rate of 0."""
    if isinstance(body, dict):
        return {key: always(one, members) for key, one in body.items()}
    if not isinstance(body, list):
        return body
    found: list[Any] = []
    for one in body:
        rate = _rate(one)
        if rate is None:
            found.append(always(one, members))
            continue
        missing = members - set(rate.values)
        rate.values |= dict.fromkeys(missing, 0.0)
        rate.here |= dict.fromkeys(missing, 1)
        found += one.then
    return found


def _rate(one: Any) -> Hole | None:
    """The rate of a drop path that some have, and others nothing."""
    if isinstance(one, When) and not one.otherwise and len(one.then) == 1:
        (layer,) = one.then
        rate = layer.get("drop_path", {}).get("rate") if isinstance(layer, dict) else None
        return rate if isinstance(rate, Hole) else None
    return None


def holes(data: Any) -> Iterator[Hole]:
    """Every hole of a body, as the text has them."""
    if isinstance(data, Hole):
        yield data
    elif isinstance(data, When):
        yield from holes(data.then)
        yield from holes(data.otherwise)
    elif isinstance(data, dict):
        for one in data.values():
            yield from holes(one)
    elif isinstance(data, list):
        for one in data:
            yield from holes(one)


def choices(data: Any) -> Iterator[When]:
    """Every `when` of a body."""
    if isinstance(data, When):
        yield data
        yield from choices([data.then, data.otherwise])
    elif isinstance(data, dict):
        for one in data.values():
            yield from choices(one)
    elif isinstance(data, list):
        for one in data:
            yield from choices(one)


def filled(data: Any, layers: bool = True) -> Any:
    """The body with what is written in each hole; arguments at their defaults are left out, layers
    that follow each other several times stand in a `repeat`. layers: whether a list is of them."""
    if isinstance(data, Hole):
        return data.text
    if isinstance(data, dict):
        made = {key: _filled(key, one) for key, one in data.items()}
        if made.get("shortcut") == []:
            del made["shortcut"]
        return {key: one for key, one in made.items() if one is not LEFT_OUT}
    if isinstance(data, list):
        found: list[Any] = []
        for one in data:
            if isinstance(one, When):
                found.append(_choice(one))
                continue
            made = filled(one, layers)
            # `{norm: {}}` is `norm`
            if isinstance(made, dict) and len(made) == 1 and next(iter(made.values())) == {}:
                made = next(iter(made))
            found.append(made)
        return _repeated(found) if layers else found
    return data


def _filled(key: str, value: Any) -> Any:
    if key in MERGES and isinstance(value, list):
        return [filled(branch) for branch in value]
    return filled(value, key in LAYERS)


def _repeated(layers: list[Any]) -> list[Any]:
    """The same layers several times in a row as a `repeat`."""
    count = len(layers)
    for at in range(count):
        for period in range(1, (count - at) // 2 + 1):
            first, times = layers[at : at + period], 1
            while layers[at + times * period : at + (times + 1) * period] == first:
                times += 1
            if times > 1 and (times - 1) * _size(first) >= SHORT and not _names(first):
                again = {"repeat": times, "layers": first}
                return [*layers[:at], again, *_repeated(layers[at + times * period :])]
    return layers


def _size(data: Any) -> int:
    """How many layers there are, about."""
    if isinstance(data, list):
        return len(data) + sum(map(_size, data))
    return sum(map(_size, data.values())) if isinstance(data, dict) else 0


def _names(data: Any) -> bool:
    if isinstance(data, dict):
        return bool({"as", "from", "reuse", "like"} & set(data)) or any(map(_names, data.values()))
    return isinstance(data, list) and any(map(_names, data))


def _choice(one: When) -> dict[str, Any]:
    then, otherwise = filled(one.then), filled(one.otherwise)
    made: dict[str, Any] = {"when": one.condition, "then": then}
    return made | ({"else": otherwise} if otherwise else {})


class _LeftOut:
    pass


LEFT_OUT = _LeftOut()
