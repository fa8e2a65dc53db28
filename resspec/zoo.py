"""Names → specs: finds files, applies variants, collects the blocks that a model needs."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from resspec import passes
from resspec.diagnostics import Diagnostic, Span, SpecError, error, suggest
from resspec.ir import Graph
from resspec.language.checker import show
from resspec.language.grammar import Grammar
from resspec.language.spec import BlockSpec
from resspec.language.variants import choose, extend, inside, mentions, override, plain, without
from resspec.lower import Limits, lower
from resspec.lower.suspicions import suspicions
from resspec.paths import specs_dir
from resspec.syntax import Map, Seq, read

_KIND = re.compile(r"^(model|block):[ \t]*['\"]?([A-Za-z_]\w*)", re.MULTILINE)
_VARIANTS = re.compile(r"^variants:[^\n]*\n((?:[ \t]+[^\n]*\n?|#[^\n]*\n|\n)*)", re.MULTILINE)
_VARIANT = re.compile(r"^  ['\"]?([A-Za-z_]\w*)['\"]?:", re.MULTILINE)
_DOC = re.compile(  # on one line, or folded (`>-`) over the indented lines below
    r"^doc:[ \t]*(?:[>|][+-]?[ \t]*\n((?:[ \t]+[^\n]*\n)+)|([^\n]+))", re.MULTILINE
)


PLACELESS = ("not-found", "io-error", "no-variant")  # told where the name stands


@dataclass(frozen=True, slots=True)
class Entry:
    """A shipped model, variant of a model, or block."""

    name: str
    path: Path
    doc: str
    family: str  # its folder under specs/, "" at the top
    variant: bool = False


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A model ready for a backend: its graph, the resolved data and the texts it came from."""

    name: str
    graph: Graph
    data: dict[str, Any]
    sources: Mapping[str, str]
    warnings: tuple[Diagnostic, ...] = ()


@cache
def _index() -> tuple[dict[str, list[Entry]], dict[str, list[Entry]]]:
    """Shipped models (with variants) and blocks by name, in the order of their paths."""
    models: dict[str, list[Entry]] = {}
    blocks: dict[str, list[Entry]] = {}
    root = specs_dir()
    for path in sorted(root.rglob("*.yaml")):
        text = path.read_text("utf-8")
        kinds = dict(_KIND.findall(text)[::-1])
        match = _DOC.search(text)
        doc = " ".join((match[1] or match[2]).split()).strip("'\"") if match else ""
        family = path.parent.relative_to(root).as_posix()
        family = "" if family == "." else family
        if "model" in kinds:
            entry = Entry(kinds["model"], path, doc, family)
            models.setdefault(entry.name, []).append(entry)
            for table in _VARIANTS.findall(text):
                for name in _VARIANT.findall(table):
                    variant = Entry(name, path, doc, family, variant=True)
                    models.setdefault(name, []).append(variant)
        elif "block" in kinds:
            entry = Entry(kinds["block"], path, doc, family)
            blocks.setdefault(entry.name, []).append(entry)
    return models, blocks


def models() -> list[Entry]:
    """Every shipped model and variant, by family and name."""
    found = [entry for entries in _index()[0].values() for entry in entries]
    return sorted(
        found, key=lambda entry: (entry.family, str(entry.path), entry.variant, entry.name)
    )


def blocks() -> list[Entry]:
    """Every shipped block, by name."""
    return sorted((e for entries in _index()[1].values() for e in entries), key=lambda e: e.name)


class Library:
    """Finds blocks by name: the model's own, beside its file, `--path`, shipped."""

    def __init__(self, own: Mapping[str, BlockSpec], folders: Sequence[Path]) -> None:
        self.own, self.folders = own, folders
        self.found: dict[str, BlockSpec | None] = dict(own)
        self.broken: dict[str, SpecError] = {}
        self.sources: dict[str, str] = {}
        self.borrowed: dict[str, Map] = {}  # blocks from outside the shipped library
        for name, block in own.items():
            self._check_clash(name, self._candidates(name), block)

    def __call__(self, name: str) -> BlockSpec | None:
        if name in self.broken:
            raise self.broken[name]
        if name not in self.found:
            try:
                self.found[name] = self._load(name)
            except SpecError as caught:
                self.broken[name] = caught
                raise
        return self.found[name]

    def _candidates(self, name: str) -> list[Path]:
        """Files that define the block, each once, equal texts counted as one."""
        paths = [
            place
            for folder in self.folders
            for place in (folder / f"{name}.yaml", folder / "blocks" / f"{name}.yaml")
            if place.is_file() and _is_block(place)
        ]
        paths += [entry.path for entry in _index()[1].get(name, ())]
        distinct: dict[Path, Path] = {}
        for path in paths:
            distinct.setdefault(path.resolve(), path)
        texts: dict[bytes, Path] = {}
        for path in distinct.values():
            texts.setdefault(_bytes(path), path)
        return list(texts.values())

    def _check_clash(self, name: str, paths: Sequence[Path], own: BlockSpec | None = None) -> None:
        places = [*([f"{own.span.file} (its own `blocks:`)"] if own else []), *map(shown, paths)]
        if len(places) > 1:
            raise error(
                "name-clash",
                f"block `{name}` is defined twice: {places[0]} and {places[1]}",
                own.span if own else None,
                help="give yours another name",
            )

    def _load(self, name: str) -> BlockSpec | None:
        paths = self._candidates(name)
        if not paths:
            return None
        self._check_clash(name, paths)
        text, data = read(Path(shown(paths[0])))
        file = shown(paths[0])
        self.sources[file] = text
        if not isinstance(data, Map):
            raise _no_mapping(f"`{file}` holds {show(data)}, and a block is a mapping", file, data)
        grammar = Grammar()
        block = grammar.block(data)
        grammar.finish()
        assert block is not None
        if block.name != name:
            raise error(
                "not-found",
                f"`{file}` defines `{block.name}`, a file is named by its block",
                block.span,
                help=f"rename the file to `{block.name}.yaml`",
            )
        if not paths[0].resolve().is_relative_to(specs_dir().resolve()):
            self.borrowed[name] = data
        return block

    def own_blocks(self) -> list[BlockSpec]:
        """Blocks from outside the shipped library that the model called."""
        return [block for name in self.borrowed if (block := self.found[name]) is not None]

    def known(self) -> list[str]:
        """Names to suggest."""
        beside = [
            path.stem
            for folder in self.folders
            for path in sorted(folder.glob("*.yaml"))[:200]
            if _is_block(path)
        ]
        return [*self.own, *beside, *_index()[1]]


def load(
    name: str,
    *,
    overrides: Sequence[str] = (),
    search: Sequence[str] = (),
    limits: Limits | None = None,
) -> LoadedSpec:
    """Read a model by path, `path#variant` or name; apply variants and overrides; lower it.

    Errors: SpecError with every problem found.
    """
    sources: dict[str, str] = {}
    path, variant = locate(name)
    family: set[str] = set()
    data = _resolve(path, variant, sources, family)
    for setting in overrides:
        data = override(data, setting)
    grammar = Grammar()
    spec = grammar.model(data)
    grammar.finish()
    assert spec is not None
    library = Library(spec.blocks, [path.parent, *map(Path, search)])
    lowered = lower(spec, library, library.known(), limits)
    graph = passes.run(lowered)
    own = [*spec.blocks.values(), *library.own_blocks()]
    warnings = tuple(suspicions(spec, own, lowered, graph, family))
    resolved: Any = plain(data)
    if library.borrowed:
        borrowed = {
            key: plain(without(block, "block")) for key, block in sorted(library.borrowed.items())
        }
        resolved["blocks"] = {**resolved.get("blocks", {}), **borrowed}
    return LoadedSpec(spec.name, graph, resolved, {**sources, **library.sources}, warnings)


def locate(name: str) -> tuple[Path, str | None]:
    """The file and the variant that a name or a path means.

    Errors: `not-found`, with the nearest name; `name-clash` where two shipped files have it.
    """
    file, _, variant = name.partition("#")
    if file.endswith((".yaml", ".yml")) or "/" in file or os.sep in file:
        if not Path(file).is_file():
            raise error("not-found", f"there is no file `{file}`")
        return Path(file), variant or None
    entries = _index()[0].get(file, [])
    if not entries:
        near = suggest(file, _index()[0])
        raise error(
            "not-found",
            f"no model is called `{file}`",
            help=f"did you mean `{near}`?"
            if near
            else "`resspec list` names them; a file ends in .yaml",
        )
    if len(entries) > 1:
        raise error(
            "name-clash",
            f"`{file}` is in {shown(entries[0].path)} and in {shown(entries[1].path)}",
            help="name the file: `path.yaml#variant`",
        )
    (entry,) = entries
    return Path(shown(entry.path)), variant or (file if entry.variant else None)


def _resolve(path: Path, variant: str | None, sources: dict[str, str], family: set[str]) -> Map:
    """The data of one model. `family` gets the words of all that its files can make: what this
    variant has no use for, another may need."""
    data = _model(path, sources)
    if variant or "extends" in data or "variants" in data:
        family |= mentions(data)
    folder = path.parent
    chain = [path]

    def fetch(base: str, by: Map) -> Map:
        span = by.at("extends")
        if base.endswith((".yaml", ".yml")) or "/" in base or "\\" in base:
            if not inside(base):
                raise error(
                    "path-escape",
                    f"`extends: {base}` leaves the folder of its file",
                    span,
                    help="extend a model by its name, or a file beside this one",
                )
            file, _, chosen = base.partition("#")
            place, picked = folder / file, chosen or None
            if not place.resolve().is_relative_to(folder.resolve()):
                raise error("path-escape", f"`extends: {base}` leads out of its folder", span)
        else:
            try:
                place, picked = locate(base)
            except SpecError as caught:
                (found,) = caught.diagnostics
                raise error(found.code, found.message, span, help=found.help) from None
        chain.append(place)
        if len({one.resolve() for one in chain}) < len(chain) and picked is None:
            raise error(
                "extends-cycle",
                f"`{path}` extends itself: {' → '.join(map(shown, chain))}",
                span,
                help="one of them must stand without `extends`",
            )
        try:
            raw = _model(place, sources)
            family.update(mentions(raw))
            return choose(raw, picked)
        except SpecError as caught:
            here = [
                replace(found, span=span) if found.code in PLACELESS else found
                for found in caught.diagnostics
            ]
            raise SpecError(*here) from None

    return choose(extend(data, fetch), variant)


def _model(path: Path, sources: dict[str, str]) -> Map:
    text, data = read(path)
    sources[str(path)] = text
    if data is None:
        start = Span(str(path), 1, 1, 1, 1)
        raise error("empty-spec", f"`{path}` is empty", start, help="see `resspec show resnet50`")
    if not isinstance(data, Map):
        message = f"`{path}` holds {show(data)}, and a model is a mapping"
        raise _no_mapping(message, str(path), data)
    if "model" not in data:
        kind = "a block" if "block" in data else "no model"
        raise error(
            "missing-key",
            f"`{path}` holds {kind}: there is no `model:`",
            data.span,
            help="name the block in a model: `block: …`"
            if "block" in data
            else "begin with `model: name`",
        )
    return data


def _no_mapping(message: str, file: str, data: Any) -> SpecError:
    span = data.span if isinstance(data, Seq) else Span(file, 1, 1, 1, 2)
    return error("not-a-mapping", message, span, help="begin with `model: name`, no dash before it")


@cache
def _bytes(path: Path) -> bytes:
    return path.read_bytes()


def _is_block(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            text = stream.read(1 << 20).decode("utf-8", "replace")
    except OSError:
        return False
    kinds = dict(_KIND.findall(text)[::-1])
    return "block" in kinds and "model" not in kinds


def shown(path: Path) -> str:
    """A path as messages name it: relative to here where that is shorter."""
    with_here = os.path.relpath(path)
    return with_here if not with_here.startswith("..") else str(path)


__all__ = ["Entry", "LoadedSpec", "blocks", "load", "locate", "models"]
