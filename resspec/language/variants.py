"""One file, many models: `extends`, `variants` and overrides from the command line.

All three change the data of a model before it is parsed; each value keeps the place that it was
written at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from resspec.diagnostics import SpecError, error, suggest
from resspec.language.checker import pick, show
from resspec.language.grammar import MODEL_KEYS
from resspec.language.layer_grammar import ROLES
from resspec.syntax import Data, Map, Seq, parse

MAX_EXTENDS = 16
_WORD = re.compile(r"[A-Za-z_]\w*")
CALLS = ("stem", "block", "shortcut", "head", "stage", *ROLES)  # keys that hold a call


def overlay(base: Map, patch: Map) -> Map:
    """A copy of `base` with the patch's keys: mappings are merged, anything else is replaced.

    A call is merged with a call of the same block only: its arguments belong to that block.
    """
    result = _copy(base)
    for key, value in patch.items():
        old = result.get(key)
        if not isinstance(old, Map) or not isinstance(value, Map):
            merged: Data = value
        elif key in CALLS and old.keys() != value.keys():
            merged = value
        else:
            merged = overlay(old, value)
        _put(result, key, merged, patch, key)
    return result


def extend(data: Map, fetch: Callable[[str, Map], Map], depth: int = 0) -> Map:
    """Apply `extends`. `fetch` gives the data of the base, itself not yet extended.

    Errors: `extends-cycle` where a chain comes back or is longer than 16.
    """
    if "extends" not in data:
        return data
    name = data["extends"]
    span = data.at("extends")
    if not isinstance(name, str):
        raise error("wrong-type", f"`extends` names a model, found {show(name)}", span)
    if depth >= MAX_EXTENDS:
        raise error(
            "extends-cycle",
            f"more than {MAX_EXTENDS} models extend each other",
            span,
            help="one of them extends itself, over the others",
        )
    base = without(extend(fetch(name, data), fetch, depth + 1), "variants")
    patch = without(data, "extends")
    params = patch.get("params")
    if isinstance(params, Map):  # a plain value is a new default, the declaration stays
        known = base.get("params")
        declared = []
        for key, value in params.items():
            if isinstance(known, Map) and key in known and not isinstance(value, Map):
                base = _set_param(base, key, pick(params, [key])) or base
            else:
                declared.append(key)
        _put(patch, "params", pick(params, declared), patch, "params")
    return overlay(base, patch)


def choose(data: Map, variant: str | None) -> Map:
    """Apply one of `variants:`; its keys are params, else keys of the model.

    Errors: `no-variant`; `unknown-key` for a key that is neither.
    """
    table = data.get("variants")
    rest = without(data, "variants")
    if table is not None and not isinstance(table, Map):
        raise error(
            "wrong-type", f"`variants` is a mapping, found {show(table)}", data.at("variants")
        )
    if variant is None:
        return rest
    known = list(table or ())
    if table is None or variant not in table:
        near = suggest(variant, known)
        raise error(
            "no-variant",
            f"`{data.get('model')}` has no variant `{variant}`",
            data.span,
            help=f"did you mean `{near}`?"
            if near
            else f"its variants: {', '.join(known)}"
            if known
            else "it has no variants",
        )
    patch = table[variant]
    if patch is not None and not isinstance(patch, Map):
        raise error(
            "wrong-type",
            f"a variant is a mapping of settings, found {show(patch)}",
            table.at(variant),
        )
    named = Map({"model": variant}, span=table.key_at(variant))
    named.key_spans = named.value_spans = {"model": table.key_at(variant)}
    result = overlay(rest, named)
    for key, value in (patch or {}).items():
        assert patch is not None
        single = Map({key: value}, span=patch.span)
        single.key_spans = {key: patch.key_at(key)}
        single.value_spans = {key: patch.at(key)}
        result = _set_param(result, key, single) or _patch(result, key, single)
    return result


def _patch(data: Map, key: str, single: Map) -> Map:
    if key not in MODEL_KEYS:
        params = data.get("params")
        known = [*(params if isinstance(params, Map) else ()), *MODEL_KEYS]
        near = suggest(key, known)
        raise error(
            "unknown-key",
            f"`{key}` is neither a param nor a key of the model",
            single.key_at(key),
            help=f"did you mean `{near}`?" if near else None,
        )
    return overlay(data, single)


def _set_param(data: Map, key: str, single: Map) -> Map | None:
    """The model with another default of one of its params, or None where it has none such."""
    params = data.get("params")
    if not isinstance(params, Map) or key not in params:
        return None
    changed, declared = _copy(params), params[key]
    if isinstance(declared, Map):
        declared = _copy(declared)
        _put(declared, "default", single[key], single, key)
        _put(changed, key, declared, params, key)
    else:
        _put(changed, key, single[key], single, key)
    result = _copy(data)
    _put(result, "params", changed, data, "params")
    return result


def override(data: Map, setting: str) -> Map:
    """Apply `stages.2.depth=23`, or `layers=56` for a param. The value is YAML.

    Errors: SpecError that names the setting and the part of its path that leads nowhere.
    """
    path, equals, text = setting.partition("=")
    file = f"--set {setting}"
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise error(
            "bad-value", f"`{setting}` is no setting", help="write `--set stages.2.depth=23`"
        )
    value = parse(text, file) if text.strip() else None
    place = Map({keys[-1]: value})
    if isinstance(value, Map | Seq):
        place.span = value.span
    else:
        place.span = parse("[" + text + "]", file).at(0) if text.strip() else place.span  # type: ignore[union-attr,arg-type]
    place.key_spans = place.value_spans = {keys[-1]: place.span}
    if len(keys) == 1:
        done = _set_param(data, keys[0], place)
        if done is not None:
            return done
        return _patch(data, keys[0], place)
    return _descend(data, keys, place, setting)


def _descend(data: Map, keys: list[str], place: Map, setting: str) -> Map:
    result = _copy(data)
    here: Data = result
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        at = ".".join(keys[:position]) or "the model"
        if isinstance(here, Seq):
            if not key.isdecimal() or int(key) >= len(here):
                raise error(
                    "not-found",
                    f"`--set {setting}`: {at} has {len(here)} items, none of them is `{key}`",
                )
            number = int(key)
            child = place[key] if last else _copy_any(here[number])
            here[number] = child
            if last:
                here.item_spans[number] = place.at(key)
        elif isinstance(here, Map):
            if not last and key not in here:
                near = suggest(key, here)
                raise error(
                    "not-found",
                    f"`--set {setting}`: {at} has no `{key}`",
                    help=f"did you mean `{near}`?"
                    if near
                    else f"it has {', '.join(here) or 'nothing'}",
                )
            if last:
                _put(here, key, place[key], place, key)
                child = here[key]
            else:
                child = _copy_any(here[key])
                here[key] = child
        else:
            raise error("not-found", f"`--set {setting}`: {at} is {show(here)}, it has no parts")
        here = child
    return result


def without(data: Map, key: str) -> Map:
    """A copy of a mapping that lacks one key."""
    result = _copy(data)
    result.pop(key, None)
    return result


def _copy(data: Map) -> Map:
    result = Map(data, span=data.span)
    result.key_spans, result.value_spans = dict(data.key_spans), dict(data.value_spans)
    return result


def _copy_any(data: Data) -> Data:
    if isinstance(data, Map):
        return _copy(data)
    if isinstance(data, Seq):
        result = Seq(data, span=data.span)
        result.item_spans = list(data.item_spans)
        return result
    return data


def _put(data: Map, key: str, value: Data, places: Map, at: str) -> None:
    data[key] = value
    data.key_spans[key] = places.key_at(at)
    data.value_spans[key] = places.at(at)


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


def plain(data: Data) -> Data:
    """The same data without positions."""
    if isinstance(data, Map):
        return {key: plain(value) for key, value in data.items()}  # type: ignore[return-value]
    if isinstance(data, Seq):
        return [plain(value) for value in data]  # type: ignore[return-value]
    return data


def inside(name: str) -> bool:
    """True where a relative path stays in its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    return not path.is_absolute() and ".." not in path.parts and ":" not in name


__all__ = ["SpecError", "choose", "extend", "inside", "mentions", "overlay", "override", "plain"]
