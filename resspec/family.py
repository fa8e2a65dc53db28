"""A model's file and all that it extends: what each of its networks is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from resspec import zoo
from resspec.diagnostics import Span, SpecError, error, suggest
from resspec.language.checker import show
from resspec.language.variants import choose, extend, extended, inside, mentions
from resspec.language.version import check_version
from resspec.library import no_mapping
from resspec.syntax import Map, read
from resspec.zoo import real, shown

PLACELESS = ("not-found", "io-error", "no-variant")  # told where the name stands


@dataclass(frozen=True, slots=True)
class Family:
    """A file's data with its bases laid under it; `variants` are still to be chosen from.

    bases: what it extends, each by itself, the farthest first. words: what any of its networks may
    use as a name, since one may need what another has no use for. sources: the texts by file.
    """

    path: Path
    data: Map
    bases: tuple[Map, ...]
    words: frozenset[str]
    sources: Mapping[str, str]


def read_family(path: Path, search: Sequence[Path] = ()) -> Family:
    """The family in a file. Errors: SpecError where it cannot be read, or what it extends."""
    text, own = _model(path)
    sources, files, links = {str(path): text}, [path], [own]
    words = mentions(own) if own.keys() & {"extends", "variants"} else set()
    while "extends" in (by := links[-1]):
        name, span = extended(by, len(links) - 1), by.at("extends")
        place, picked = _base(name, span, search)
        files.append(place)
        if len(set(map(real, files))) < len(files) and picked is None:
            raise error(
                "extends-cycle",
                f"`{path}` extends itself: {' → '.join(map(shown, files))}",
                span,
                help="one of them must stand without `extends`",
            )
        try:
            sources[str(place)], raw = _model(place)
            words |= mentions(raw)
            links.append(choose(raw, picked, as_base=True))
        except SpecError as caught:
            here = [
                replace(found, span=span) if found.code in PLACELESS else found
                for found in caught.diagnostics
            ]
            raise SpecError(*here) from None
    data = links[-1]
    for patch in reversed(links[:-1]):
        data = extend(data, patch)
    return Family(path, data, tuple(links[:0:-1]), frozenset(words), sources)


def _base(base: str, span: Span, search: Sequence[Path]) -> tuple[Path, str | None]:
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
    # no file of others changes a shipped one
    folders = [] if zoo.ships(own) else zoo.beside([own.parent, *search])
    found = zoo.candidates(file, "model", folders)
    found = [path for path in found if real(path) != real(own)]
    if {entry.path for entry in zoo.shipped(file, "model")}.issuperset(found):
        try:
            return zoo.locate(base)
        except SpecError as caught:
            (problem,) = caught.diagnostics
            if file == own.stem:
                message, help = f"`{file}` extends itself", "name another model, or remove it"
                raise error("extends-cycle", message, span, help=help) from None
            raise error(problem.code, problem.message, span, help=problem.help) from None
    if len(found) > 1:
        raise error(
            "name-clash",
            f"model `{file}` is defined twice: {shown(found[0])} and {shown(found[1])}",
            span,
            help=f"rename yours, or write `extends: {file}.yaml` if it is beside this one",
        )
    return found[0], variant or None


def _model(path: Path) -> tuple[str, Map]:
    """The text and the data of a file that holds a model."""
    text, data = read(path)
    if data is None:
        start = Span(str(path), 1, 1, 1, 1)
        help = "see `resspec show resnet50`"
        raise error("empty-spec", f"`{path}` is empty", start, help=help)
    if not isinstance(data, Map):
        message = f"`{path}` holds {show(data)}, and a model is a mapping"
        raise no_mapping(message, str(path), data)
    check_version(data)
    if "model" not in data:
        is_block = "block" in data and not data.keys() & {"input", "stem", "stages", "head"}
        near = suggest("model", data)
        message = f"`{path}` holds {'a block' if is_block else 'no model'}: there is no `model:`"
        help = f"did you mean `model` by `{near}`?" if near else "begin with `model: name`"
        if is_block:
            help = "name the block in a model: `block: …`"
        raise error("missing-key", message, data.key_at(near) if near else data.span, help=help)
    return text, data
