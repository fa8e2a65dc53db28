"""Data laid over data, and what `--set` changes in it; a value keeps the place it was written at.

`null` laid over a key takes it away: it is as if it had not been written.
"""

from __future__ import annotations

import re

from resspec.diagnostics import Span, did_you_mean, error
from resspec.diagnostics import SpecError as SpecError
from resspec.language.checker import show, spelt
from resspec.language.grammar import MODEL_KEYS
from resspec.language.layer_grammar import ROLES
from resspec.syntax import Data, Map, Seq, parse

CALLS = ("stem", "block", "shortcut", "head", "stage", *ROLES)  # keys that hold a call


def overlay(base: Map, patch: Map) -> Map:
    """A copy of `base` with the patch's keys: mappings are merged, `null` unsets, anything else is
    replaced.

    A call is merged with a call of the same block only: its arguments belong to that block.
    """
    result = copy(base)
    for key, value in patch.items():
        old = result.get(key)
        if value is None and key in result:
            result = without(result, key)
            continue
        if not isinstance(old, Map) or not isinstance(value, Map):
            merged: Data = value
        elif key in CALLS and old.keys() != value.keys():
            merged = value
        else:
            merged = overlay(old, value)
        put(result, key, merged, patch, key)
    return result


def single(key: str, value: Data, places: Map) -> Map:
    """A mapping of one key, which stands where `places` has it."""
    made = Map({key: value}, span=places.span)
    put(made, key, value, places, key)
    return made


def change(data: Map, key: str, patch: Map, declared: Map) -> Map:
    """The model with another setting of a param, or another value of one of its keys.

    patch: a mapping of that key alone. declared: the model before any setting; `null` brings a
    param back to what it says. Errors: `unknown-key` where it is neither.
    """
    params = data.get("params")
    if isinstance(params, Map) and (name := spelt(key, params)) in params:
        if patch[key] is not None:
            return set_param(data, name, patch, key)
        before = declared.get("params")
        return reset_param(data, name, before) if isinstance(before, Map) else data
    if key in MODEL_KEYS:
        return overlay(data, patch) if patch[key] is not None else without(data, key)
    raise error(
        "unknown-key",
        f"`{key}` is neither a param nor a key of the model",
        patch.key_at(key),
        help=did_you_mean(key, [*(params if isinstance(params, Map) else ()), *MODEL_KEYS]),
    )


def set_param(data: Map, name: str, patch: Map, key: str) -> Map:
    """The model with another default of one of its params, what a patch has under a key; what is
    declared of it stays."""
    params = data["params"]
    changed, declared = copy(params), params[name]
    if isinstance(declared, Map):
        declared = copy(declared)
        put(declared, "default", patch[key], patch, key)
        put(changed, name, declared, params, name)
    else:
        put(changed, name, patch[key], patch, key)
    result = copy(data)
    put(result, "params", changed, data, "params")
    return result


def reset_param(data: Map, key: str, before: Map) -> Map:
    """The model with one of its params as it was declared."""
    changed = copy(data["params"])
    if key in before:
        put(changed, key, before[key], before, key)
    result = copy(data)
    put(result, "params", changed, data, "params")
    return result


def override(data: Map, setting: str, declared: Map | None = None) -> Map:
    """Apply `stages.2.depth=23`, or `layers=56` for a param. The value is YAML, `null` unsets.

    declared: the model before variants and settings. Errors: SpecError that names the setting and
    the part of its path that leads nowhere.
    """
    path, equals, text = setting.partition("=")
    file = f"--set {setting}"
    keys = path.strip().split(".")
    if not equals or not all(keys):
        raise error(
            "bad-value", f"`{setting}` is no setting", help="write `--set stages.2.depth=23`"
        )
    number = text.isdecimal() and text.isascii() and 0 < len(text) < 10 and text[0] != "0"
    value = int(text) if number else parse(text, file) if text.strip() else None
    place = Map({keys[-1]: value})
    if number:  # as `parse` has it, sooner
        place.span = Span(file, 1, 2, 1, 2 + len(text))
    elif isinstance(value, Map | Seq):
        place.span = value.span
    else:
        place.span = parse("[" + text + "]", file).at(0) if text.strip() else place.span  # type: ignore[union-attr,arg-type]
    place.key_spans = place.value_spans = {keys[-1]: place.span}
    if len(keys) == 1:
        return change(data, keys[0], place, declared or data)
    return _descend(data, keys, place, setting)


def _descend(data: Map, keys: list[str], place: Map, setting: str) -> Map:
    result = copy(data)
    here: Data = result
    for position, key in enumerate(keys):
        last = position == len(keys) - 1
        at = ".".join(keys[:position]) or "the model"
        if isinstance(here, Seq):
            several = at == "stages" and keys[-1] != "count" and not last
            counted = [one for one in here if isinstance(one, Map) and "count" in one]
            if several and counted:
                message = f"`--set {setting}`: one line of `stages` is several, by its `count`"
                help = "set the lists that it reads, or `--set stages=[…]`"
                raise error("not-found", message, help=help)
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
            key = spelt(key, here)
            if not last and key not in here:
                raise error(
                    "not-found",
                    f"`--set {setting}`: {at} has no `{key}`",
                    help=_by_dots(key)
                    or did_you_mean(key, here, f"it has {', '.join(here) or 'nothing'}"),
                )
            if not last:
                child = _copy_any(here[key])
                here[key] = child
            elif place[keys[-1]] is None:
                child = here.pop(key, None)
            else:
                put(here, key, place[keys[-1]], place, keys[-1])
                child = here[key]
        else:
            raise error("not-found", f"`--set {setting}`: {at} is {show(here)}, it has no parts")
        here = child
    return result


def without(data: Map, key: str) -> Map:
    """A copy of a mapping that lacks one key."""
    result = copy(data)
    result.pop(key, None)
    return result


def copy(data: Map) -> Map:
    """The same mapping, to be changed."""
    result = Map(data, span=data.span)
    result.key_spans, result.value_spans = dict(data.key_spans), dict(data.value_spans)
    return result


def _copy_any(data: Data) -> Data:
    if isinstance(data, Map):
        return copy(data)
    if isinstance(data, Seq):
        result = Seq(data, span=data.span)
        result.item_spans = list(data.item_spans)
        return result
    return data


def put(data: Map, key: str, value: Data, places: Map, at: str) -> None:
    """Set a key; it stands where `places` has `at`."""
    data[key] = value
    data.key_spans[key] = places.key_at(at)
    data.value_spans[key] = places.at(at)


def plain(data: Data) -> Data:
    """The same data without positions."""
    if isinstance(data, Map):
        return {key: plain(value) for key, value in data.items()}  # type: ignore[return-value]
    if isinstance(data, Seq):
        return [plain(value) for value in data]  # type: ignore[return-value]
    return data


def _by_dots(key: str) -> str | None:
    """How `stages[0]` is written here."""
    parts = re.fullmatch(r"(\w+)\[(\d+)\]", key)
    return parts and f"write `{parts[1]}.{parts[2]}`"
