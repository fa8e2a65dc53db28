"""A name → its graph: read, choose the variant, check the form, lower, simplify, look for slips.

`load` shows the whole way; each step hands its result to the next, and keeps nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from resspec import passes, zoo
from resspec.diagnostics import Diagnostic, Note, Span, SpecError
from resspec.family import Family, read_family
from resspec.ir import Graph
from resspec.language.grammar import Grammar, well_formed
from resspec.language.overlay import override, plain, without
from resspec.language.spec import ModelSpec
from resspec.language.variants import bare, choose, inherited
from resspec.library import Library
from resspec.lower import Lowered, lower
from resspec.lower.suspicions import suspicions
from resspec.options import LoadOptions
from resspec.syntax import Map


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A model ready for a backend: its graph, the resolved data and the texts it came from."""

    name: str
    graph: Graph
    data: dict[str, Any]
    sources: Mapping[str, str]
    warnings: tuple[Diagnostic, ...] = ()

    def _repr_html_(self) -> str:
        """For notebooks: a picture, and what its parts cost."""
        from resspec.draw import notebook

        return notebook.html(self.graph)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        from resspec.draw import notebook

        return {"text/plain": notebook.text(self.graph), "text/html": self._repr_html_()}


def load(name: str, options: LoadOptions = LoadOptions()) -> LoadedSpec:
    """Read a model by path, `path#variant` or name; apply variants and settings; lower it.

    Errors: SpecError with every problem found.
    """
    path, variant = zoo.locate(name)
    return compile_one(read_family(path, options.search), variant, options)


def compile_one(
    family: Family,
    variant: str | None,
    options: LoadOptions,
    judge: Callable[..., Iterable[Diagnostic]] = lambda *specs: (),
) -> LoadedSpec:
    """One network of a family. Errors: SpecError with every problem found.

    judge: a further look at the form of the model, and of the blocks that it takes from files.
    """
    with _collected_later():
        return _compiled(family, variant, options, judge)


@contextmanager
def _collected_later() -> Iterator[None]:
    """While a network is made nearly nothing of it is garbage, and looking for that takes time that
    grows with all that is there."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _compiled(
    family: Family,
    variant: str | None,
    options: LoadOptions,
    judge: Callable[..., Iterable[Diagnostic]],
) -> LoadedSpec:
    data, layers = _chosen(family, variant, options.settings)
    spec = well_formed(data, Grammar.model).replace(inherited=inherited(layers))
    _refuse(judge(spec))
    library = Library(spec.blocks, [family.path.parent, *options.search])
    made = _lowered(spec, library, options, data.at("stages"))
    lowered = made.graph
    _refuse(judge(*library.own_blocks()))
    graph = passes.simplify(lowered)
    own = [*spec.blocks.values(), *library.own_blocks()]
    warnings = tuple(suspicions(spec, own, lowered, graph, family.words))
    sources = {**family.sources, **library.sources}
    resolved = _resolved(data, made.idle, library)
    return LoadedSpec(spec.name, graph, resolved, sources, warnings)


def form(family: Family) -> list[Diagnostic]:
    """What is wrong with the form of a base that is not built; keys may be missing."""
    grammar = Grammar()
    grammar.model(bare(family.data))
    return [one for one in grammar.problems if one.code != "missing-key"]


def _chosen(
    family: Family, variant: str | None, settings: Sequence[str]
) -> tuple[Map, Sequence[Map]]:
    """The data of one network, and what it was laid over, itself last."""
    declared, data = bare(family.data), choose(family.data, variant)
    layers = [*family.bases, declared, data]
    for setting in settings:
        data = override(data, setting, declared)
        layers.append(data)
    return data, layers


def _refuse(found: Iterable[Diagnostic]) -> None:
    if problems := tuple(found):
        raise SpecError(*problems)


def _lowered(spec: ModelSpec, library: Library, options: LoadOptions, stages: Span) -> Lowered:
    try:
        return lower(spec, library, library.known, options.limits)
    except SpecError as caught:
        if "stages" not in spec.inherited:
            raise
        raise SpecError(*(_of_a_base(one, stages) for one in caught.diagnostics)) from None


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


def _resolved(data: Map, idle: Iterable[str], library: Library) -> dict[str, Any]:
    """The data as one file that needs no other but shipped ones."""
    resolved: Any = plain(data)
    for key in idle:
        del resolved[key]
    if library.borrowed:
        borrowed = {
            key: plain(without(block, "block")) for key, block in sorted(library.borrowed.items())
        }
        resolved["blocks"] = {**resolved.get("blocks", {}), **borrowed}
    found: dict[str, Any] = resolved
    return found
