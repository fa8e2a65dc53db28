"""A name → its graph: read, choose the variant, check the form, lower, simplify, look for slips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resspec import passes, zoo
from resspec.diagnostics import Diagnostic, Note, Span, SpecError, error
from resspec.ir import Graph
from resspec.language.checker import show
from resspec.language.grammar import Grammar
from resspec.language.overlay import override, plain, without
from resspec.language.variants import bare, choose, extend, inherited, inside, mentions
from resspec.lower import Limits, lower
from resspec.lower.suspicions import suspicions
from resspec.syntax import Map, read
from resspec.zoo import Library, real, shown

PLACELESS = ("not-found", "io-error", "no-variant")  # told where the name stands


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A model ready for a backend: its graph, the resolved data and the texts it came from."""

    name: str
    graph: Graph
    data: dict[str, Any]
    sources: Mapping[str, str]
    warnings: tuple[Diagnostic, ...] = ()


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
    path, variant = zoo.locate(name)
    return File(path, search).compile(variant, overrides, limits)


class File:
    """A model's file and what it extends, read once: each of its models is made from it.

    Errors: SpecError where it cannot be read, or what it extends.
    """

    def __init__(self, path: Path, search: Sequence[str] = ()) -> None:
        self.path, self.search = path, [Path(folder) for folder in search]
        self.sources: dict[str, str] = {}
        self.words: set[str] = set()  # of all that can be made of it: one may need what another
        self.chain = [path]  # has no use for
        self.layers: list[Map] = []
        own = self._read(path)
        self.data = extend(own, self._fetch)
        if "extends" in own or "variants" in own:
            self.words |= mentions(own)

    def compile(
        self, variant: str | None, overrides: Sequence[str] = (), limits: Limits | None = None
    ) -> LoadedSpec:
        """One of its models. Errors: SpecError with every problem found."""
        declared, data = bare(self.data), choose(self.data, variant)
        layers = [*self.layers, declared, data]
        for setting in overrides:
            data = override(data, setting, declared)
            layers.append(data)
        grammar = Grammar()
        spec = grammar.model(data)
        grammar.finish()
        if spec is None:
            raise AssertionError("a model without problems is one")
        spec = spec.model_copy(update={"inherited": inherited(layers)})
        library = Library(spec.blocks, [self.path.parent, *self.search])
        try:
            lowered = lower(spec, library, library.known(), limits)
        except SpecError as caught:
            if "stages" not in spec.inherited:
                raise
            place = data.at("stages")
            raise SpecError(*(_of_a_base(one, place) for one in caught.diagnostics)) from None
        graph = passes.run(lowered)
        own = [*spec.blocks.values(), *library.own_blocks()]
        warnings = tuple(suspicions(spec, own, lowered, graph, self.words))
        resolved: Any = plain(data)
        if library.borrowed:
            borrowed = {
                key: plain(without(block, "block"))
                for key, block in sorted(library.borrowed.items())
            }
            resolved["blocks"] = {**resolved.get("blocks", {}), **borrowed}
        sources = {**self.sources, **library.sources}
        return LoadedSpec(spec.name, graph, resolved, sources, warnings)

    def form(self) -> list[Diagnostic]:
        """What is wrong with the form of a base that is not built; keys may be missing."""
        grammar = Grammar()
        grammar.model(bare(self.data))
        return [one for one in grammar.problems if one.code != "missing-key"]

    def _fetch(self, base: str, by: Map) -> Map:
        """The data of what a model extends, not yet extended."""
        span = by.at("extends")
        place, picked = self._base(base, span)
        self.chain.append(place)
        if len(set(map(real, self.chain))) < len(self.chain) and picked is None:
            raise error(
                "extends-cycle",
                f"`{self.path}` extends itself: {' → '.join(map(shown, self.chain))}",
                span,
                help="one of them must stand without `extends`",
            )
        try:
            raw = self._read(place)
            self.words.update(mentions(raw))
            chosen = choose(raw, picked, as_base=True)
        except SpecError as caught:
            here = [
                replace(found, span=span) if found.code in PLACELESS else found
                for found in caught.diagnostics
            ]
            raise SpecError(*here) from None
        self.layers.insert(0, chosen)
        return chosen

    def _base(self, base: str, span: Span) -> tuple[Path, str | None]:
        """The file and the variant that `extends` means: a path below the folder of the file that
        says so, or a name: beside that file, on `--path`, shipped."""
        own = Path(span.file)
        file, _, variant = base.partition("#")
        if file.endswith((".yaml", ".yml")) or "/" in file or "\\" in file:
            place = own.parent / file
            if not inside(base):
                raise error(
                    "path-escape",
                    f"`extends: {base}` leaves the folder of its file",
                    span,
                    help="extend a model by its name, or a file beside this one",
                )
            if not real(place).is_relative_to(real(own.parent)):
                raise error("path-escape", f"`extends: {base}` leads out of its folder", span)
            return place, variant or None
        found = zoo.candidates(file, "model", [own.parent, *self.search])
        found = [path for path in found if real(path) != real(own)]
        shipped = {entry.path for entry in zoo.models() if entry.name == file}
        if shipped.issuperset(found):
            try:
                return zoo.locate(base)
            except SpecError as caught:
                (problem,) = caught.diagnostics
                raise error(problem.code, problem.message, span, help=problem.help) from None
        if len(found) > 1:
            raise error(
                "name-clash",
                f"model `{file}` is defined twice: {shown(found[0])} and {shown(found[1])}",
                span,
                help=f"rename yours, or write `extends: {file}.yaml` if it is beside this one",
            )
        return found[0], variant or None

    def _read(self, path: Path) -> Map:
        text, data = read(path)
        self.sources[str(path)] = text
        if data is None:
            start = Span(str(path), 1, 1, 1, 1)
            help = "see `resspec show resnet50`"
            raise error("empty-spec", f"`{path}` is empty", start, help=help)
        if not isinstance(data, Map):
            message = f"`{path}` holds {show(data)}, and a model is a mapping"
            raise zoo.no_mapping(message, str(path), data)
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


def _of_a_base(one: Diagnostic, stages: Span) -> Diagnostic:
    """A complaint about an argument in inherited stages, for the author of the new block."""
    span = one.span
    if one.code != "unknown-argument" or span is None or span.file != stages.file:
        return one
    if not stages.line <= span.line <= stages.end_line:
        return one
    note = Note("the stages are inherited, and their blocks are not")
    help = "write `stages:` anew, without it, or declare it in the block"
    return replace(one, notes=(*one.notes, note), help=help)


__all__ = ["File", "LoadedSpec", "load"]
