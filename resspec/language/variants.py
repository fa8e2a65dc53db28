"""One file, many models: `extends`, `variants`, and bases that are no network themselves.

All of it changes the data of a model before it is parsed; each value keeps the place that it was
written at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from resspec.diagnostics import Diagnostic, Note, Span, SpecError, did_you_mean, error
from resspec.language.checker import pick, show, spelt
from resspec.language.overlay import change, overlay, plain, put, set_param, single, without
from resspec.syntax import Data, Map, Seq

MAX_EXTENDS = 16
OWN = ("variants", "abstract")  # what a model says of its file, and hands down to none
RESHAPES = ("block", "stages", "params", "let", "blocks", "defaults")  # what blocks come from
_WORD = re.compile(r"[A-Za-z_]\w*")


def extended(data: Map, depth: int) -> str:
    """The model that `extends` names. Errors: `extends-cycle` where a chain is longer than 16."""
    name, span = data["extends"], data.at("extends")
    if not isinstance(name, str):
        raise error("wrong-type", f"`extends` names a model, found {show(name)}", span)
    if depth >= MAX_EXTENDS:
        raise error(
            "extends-cycle",
            f"more than {MAX_EXTENDS} models extend each other",
            span,
            help="one of them extends itself, over the others",
        )
    return name


def extend(base: Map, data: Map) -> Map:
    """A model laid over what it extends."""
    patch = without(data, "extends")
    params = patch.get("params")
    if isinstance(params, Map):  # a plain value is a new default, the declaration stays
        known = base.get("params")
        declared = []
        for key, value in params.items():
            name = spelt(key, known) if isinstance(known, Map) else key
            if isinstance(known, Map) and name in known and not isinstance(value, Map | None):
                base = set_param(base, name, params, key)
            else:
                declared.append(key)
        put(patch, "params", pick(params, declared), patch, "params")
    return _settled(overlay(base, patch))


def _settled(data: Map) -> Map:
    """The data without the keys that `null` unset although no base has them."""
    return pick(data, (key for key, value in data.items() if value is not None))


def table(data: Map) -> Map:
    """The `variants:` of a model, none where it has no such key."""
    found = data.get("variants")
    if found is not None and not isinstance(found, Map):
        raise error(
            "wrong-type", f"`variants` is a mapping, found {show(found)}", data.at("variants")
        )
    return found if isinstance(found, Map) else Map(span=data.span)


def members(data: Map) -> Iterator[str | None]:
    """The networks of a file: None for the base unless it is abstract, then each variant's name."""
    if not is_abstract(data):
        yield None
    for name, patch in table(data).items():
        if not (isinstance(patch, Map) and is_abstract(patch)):
            yield name


def is_abstract(data: Map) -> bool:
    """Whether a model or a variant is a base for others only. Errors: `wrong-type`."""
    said = data.get("abstract", False)
    if not isinstance(said, bool):
        message = f"`abstract` is true or false, found {show(said)}"
        raise error("wrong-type", message, data.at("abstract"))
    return said


def bare(data: Map) -> Map:
    """The model without what it says of its file."""
    for key in OWN:
        data = without(data, key)
    return data


def choose(data: Map, variant: str | None, *, as_base: bool = False) -> Map:
    """Apply one of `variants:`; its keys are params, else keys of the model.

    A variant may extend another of the table, and the base may be called by its own name.
    as_base: an abstract one will do.
    Errors: `no-variant`, also for an abstract one; `extends-cycle`; `unknown-key`.
    """
    known = table(data)
    rest = bare(data)
    if variant is None or (variant not in known and variant == data.get("model")):
        if is_abstract(data) and not as_base:
            raise _abstract(str(data.get("model")), data, known)
        return rest
    if variant not in known:
        raise _unknown(variant, data, known, data.span)
    patches = [_patch(known, name) for name in _lineage(data, known, variant)]
    if is_abstract(patches[0]) and not as_base:
        raise _abstract(variant, patches[0], known)
    result = overlay(rest, single("model", variant, _named(known, variant)))
    problems: list[Diagnostic] = []
    for patch in reversed(patches):
        for key, value in patch.items():
            if key in ("extends", "abstract"):
                continue
            try:
                if key == "variants":
                    message = "a variant has no variants of its own"
                    raise error("unknown-key", message, patch.key_at(key),
                                help="write it beside this one, with `extends:`")  # fmt: skip
                result = change(result, key, single(key, value, patch), rest)
            except SpecError as caught:
                problems += caught.diagnostics
    if problems:
        raise SpecError(*problems)
    return result


def _named(known: Map, variant: str) -> Map:
    """Places for `model: variant`: where the variant is named."""
    span = known.key_at(variant)
    places = Map(span=span)
    places.key_spans = places.value_spans = {"model": span}
    return places


def _patch(known: Map, name: str) -> Map:
    patch = known[name]
    if patch is not None and not isinstance(patch, Map):
        message = f"a variant is a mapping of settings, found {show(patch)}"
        raise error("wrong-type", message, known.at(name))
    return patch if isinstance(patch, Map) else Map(span=known.at(name))


def _lineage(data: Map, known: Map, variant: str) -> list[str]:
    """The variant, what it extends, what that extends…"""
    chain = [variant]
    while "extends" in (patch := _patch(known, chain[-1])):
        base, span = patch["extends"], patch.at("extends")
        if not isinstance(base, str):
            message = f"`extends` in a variant names another one, found {show(base)}"
            raise error("wrong-type", message, span)
        if base not in known and base == data.get("model"):
            break
        if base not in known:
            others = [one for one in known if one != chain[-1]]
            help = did_you_mean(base, others, "name another one of the same table")
            raise error("no-variant", f"no variant is called `{base}`", span, help=help)
        if base in chain:
            raise _cycle(chain[chain.index(base) :], known)
        chain.append(base)
        if len(chain) > MAX_EXTENDS:
            message = f"more than {MAX_EXTENDS} variants extend each other"
            raise error("extends-cycle", message, span, help="say more in one of them")
    return chain


def _cycle(ring: list[str], known: Map) -> SpecError:
    """Told alike whichever of them it was found from: from the first in the table."""
    start = ring.index(next(name for name in known if name in ring))
    ring = ring[start:] + ring[:start]
    places = [known[name].at("extends") for name in ring]
    return error(
        "extends-cycle",
        f"variant `{ring[0]}` extends itself: {' → '.join([*ring, ring[0]])}",
        places[-1],
        notes=[
            Note(f"`{one}` extends `{two}`", at)
            for one, two, at in zip(ring, ring[1:], places, strict=False)
        ],
        help="one of them must stand without `extends`",
    )


def _unknown(variant: str, data: Map, known: Map, span: Span) -> SpecError:
    shown = ", ".join([*known][:8]) + (", …" if len(known) > 8 else "")
    return error(
        "no-variant",
        f"`{data.get('model')}` has no variant `{variant}`",
        span,
        help=did_you_mean(
            variant, known, f"its variants: {shown}" if known else "it has no variants"
        ),
    )


def _abstract(name: str, data: Map, known: Map) -> SpecError:
    shown = ", ".join(f"`#{one}`" for one in [*known][:8] if one != name)
    return error(
        "no-variant",
        f"`{name}` is abstract: it is a base for others, and no network itself",
        data.key_at("abstract"),
        help=f"name a variant: {shown}" if shown else "extend it, or remove `abstract`",
    )


def inherited(layers: Sequence[Map]) -> frozenset[str]:
    """`shortcut` and `stages`, where the last of `layers`, each laid over the one before, has them
    from one with other blocks: what its own do not take is no slip of its author."""
    last = layers[-1]

    def foreign(key: str, reshapes: Sequence[str]) -> bool:
        return key in last and any(
            key in layer
            and layer.at(key) == last.at(key)
            and any(plain(layer.get(one)) != plain(last.get(one)) for one in reshapes)
            for layer in layers[:-1]
        )

    kinds = {"shortcut": RESHAPES, "stages": ("block",)}
    return frozenset(key for key, reshapes in kinds.items() if foreign(key, reshapes))


def mentions(data: Data, declares: bool = False) -> set[str]:
    """Every word that a model's text could mean as a name: of values, and of keys but for those
    that declare or set a param."""
    if isinstance(data, str):
        return set(_WORD.findall(data))
    parts: list[Data] = list(data) if isinstance(data, Seq) else []
    found: set[str] = set()
    if isinstance(data, Map):
        for key, value in data.items():
            found |= set() if declares else {key}
            if key == "variants" and isinstance(value, Map):
                parts += [part for one in value.values() if isinstance(one, Map)
                          for part in one.values()]  # fmt: skip
            elif key == "params":
                found |= mentions(value, declares=True)
            elif key != "doc":
                parts.append(value)
    return found.union(*map(mentions, parts))


def inside(name: str) -> bool:
    """True where a relative path stays in its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in name
