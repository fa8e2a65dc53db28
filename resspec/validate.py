"""Every problem of a file at once: its base, all its variants, or a block that stands alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resspec import zoo
from resspec.compile import compile_one, form
from resspec.diagnostics import Diagnostic, Note, SpecError
from resspec.family import read_family
from resspec.ir import Graph
from resspec.language.typed import judged, mistyped
from resspec.language.variants import members
from resspec.options import LoadOptions
from resspec.syntax import Map, read
from resspec.trial import Judge, try_block

SHOWN = 6  # names of variants in a note
_QUOTED = re.compile(r"`([^`]*)`")
_NUMBERS = re.compile(r"\d[\d,.×]*")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say of a spec. checked: the names of its models. remark: what `ok` means,
    where that is not plain."""

    spec: str
    diagnostics: tuple[Diagnostic, ...]
    checked: tuple[str, ...] = ()
    remark: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--format json`."""
        return {
            "spec": self.spec,
            "checked": list(self.checked),
            "remark": self.remark,
            "diagnostics": [one.to_json() for one in self.diagnostics],
        }


def validate(
    spec: str, options: LoadOptions = LoadOptions(), judge: Judge = lambda graph: ()
) -> Verdict:
    """Check a file with all its variants, one model (`path#variant`, a name), or a block's file.

    judge: what else there is to say of each model, a backend's view for one.
    """
    try:
        path, variant = zoo.locate(spec)
    except SpecError as caught:
        return Verdict(spec, caught.diagnostics)
    whole = variant is None and "#" not in spec and spec.endswith((".yaml", ".yml"))
    return verdict(spec, path, options, judge, None if whole else lambda names: [variant])


Pick = Callable[[Sequence[str | None]], Sequence[str | None]]


def verdict(
    spec: str, path: Path, options: LoadOptions, judge: Judge, pick: Pick | None = None
) -> Verdict:
    """The same of a file. pick: which of its models are checked, given all by name, where the base
    is None; all of them, and a block that stands alone, unless told."""
    whole = pick is None
    try:
        alone = _block(path)
        if alone is not None and (pick is None or pick([None]) == [None]):
            found, remark = try_block(path, alone, options, judge)
            return Verdict(spec, tuple(found), (), remark)
        family = read_family(path, options.search)
        base = str(family.data.get("model"))
        names = list(members(family.data))
        names = names if pick is None else [*pick(names)]
    except SpecError as caught:
        return Verdict(spec, caught.diagnostics)
    by_name: dict[str, Sequence[Diagnostic]] = {}
    for name in names:
        try:
            loaded = compile_one(family, name, options, mistyped)
            held = mistyped_ops(loaded.graph)
            by_name[name or base] = (*held, *loaded.warnings, *judge(loaded.graph))
        except SpecError as caught:
            by_name[name or base] = caught.diagnostics
    count = len(names) - (None in names)
    remark = f"{count} variant{'s' if count > 1 else ''}" if whole and count else ""
    remark = f"with {remark}" if None in names and remark else remark
    if not names:
        remark = "abstract, and without variants: its form"
        return Verdict(spec, tuple(form(family)), (), remark)
    return Verdict(spec, told_once(by_name, base), tuple(by_name), remark)


def mistyped_ops(graph: Graph) -> Iterator[Diagnostic]:
    """What pydantic says of the ops as they are held, each told once."""
    for op, node in {node.op: node for node in graph.nodes}.items():
        yield from judged(op, node.span)


def _block(path: Path) -> Map | None:
    """The data of a file that holds a block and no model."""
    _, data = read(path)
    if not isinstance(data, Map) or "block" not in data or "model" in data:
        return None
    keys = data.keys() - {"resspec", "block"}
    return data if not keys or keys & {"layers", "inputs"} else None


def told_once(found: Mapping[str, Sequence[Diagnostic]], base: str) -> tuple[Diagnostic, ...]:
    """The problems of several models of a file, each once, with the models that have it.

    A warning is the same where its place is; an error, and what a backend says, where its message
    is, too, but for numbers and the models' names.
    """
    first: dict[Any, Diagnostic] = {}
    having: dict[Any, list[str]] = {}
    for name, diagnostics in found.items():
        for one in diagnostics:
            key = _sameness(one, found)
            first.setdefault(key, one)
            if name not in having.setdefault(key, []):
                having[key].append(name)
    return tuple(
        one if len(having[key]) == len(found) else _naming(one, having[key], base)
        for key, one in first.items()
    )


def _sameness(one: Diagnostic, names: Container[str]) -> Any:
    place = (one.severity, one.code, one.span)
    if one.severity == "warning" and one.span is not None and one.code != "unsupported":
        return place
    message = _QUOTED.sub(lambda word: "·" if word[1] in names else word[0], one.message)
    message = _NUMBERS.sub("#", message)
    return (*place, message, tuple(note.span for note in one.notes))


def _naming(one: Diagnostic, names: Sequence[str], base: str) -> Diagnostic:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN])
    more = len(names) - SHOWN
    what = "" if base in names else "variant " if len(names) == 1 else "variants "
    note = Note(f"in {what}{shown} and {more} more" if more > 0 else f"in {what}{shown}")
    return replace(one, notes=(*one.notes, note))
