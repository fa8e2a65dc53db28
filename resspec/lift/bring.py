"""A network in code or in a file → its spec, weights and proof: `resspec import`, and
`resspec.import_model`."""

from __future__ import annotations

import contextlib
import fnmatch
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resspec import artifacts, asked, compile, zoo
from resspec import backend as backends
from resspec.diagnostics import SpecError, error
from resspec.ir import Graph
from resspec.lift import text
from resspec.lift.model import FLAT, WAYS, Spelt, Way, identifier, spelt
from resspec.lift.probe import compared_at, diagnostics, recorded
from resspec.lift.proof import TRACED, Check, Network, prove
from resspec.lift.record import KIND, Problem, Recorder
from resspec.lift.same import laid_over
from resspec.lift.shipped import Shelf
from resspec.options import LoadOptions
from resspec.summary import Summary, summarize
from resspec.weights import stored

Say = Callable[[str], None]
FEW = 30  # lines that are as good with blocks as without
FILES = ("*.yaml", "blocks/*.yaml", "weights.safetensors")


@dataclass(frozen=True)
class Imported:
    """A network that came in. `files`: its text by file; `checks`: how far it is from the
    original, in float64; `second`: the other size that was tried."""

    name: str
    original: str
    graph: Graph
    spec: Spelt
    files: Mapping[str, str]
    weights: Mapping[str, NDArray[Any]]
    recorder: Recorder
    checks: Sequence[Check]
    size: tuple[int, int]
    second: tuple[int, int] | None
    summary: Summary
    small: Graph  # at the size that was compared
    notes: Sequence[str] = ()

    @property
    def steps(self) -> int:
        """Of the original."""
        return len(self.recorder.steps)

    @property
    def lines(self) -> int:
        """Of all files together."""
        return lines(self.files)

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the spec, its blocks and its weights, all or nothing; where the spec is.

        Errors: `exists`, unless `force`; `io-error`."""
        data = stored.encode(
            self.weights, self.graph, {n: a.dtype.name for n, a in self.weights.items()}
        )
        _save(Path(folder), self.files, data, force=force)
        return Path(folder) / f"{self.name}.yaml"


@dataclass(frozen=True)
class Outline:
    """A network that came in but for the places that no op says, each a `todo` in the files."""

    name: str
    original: str
    files: Mapping[str, str]
    problems: Sequence[Problem]

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the spec and its blocks, all or nothing; where the spec is. Errors: `exists`,
        unless `force`; `io-error`."""
        _save(Path(folder), self.files, None, force=force)
        return Path(folder) / f"{self.name}.yaml"


def _save(folder: Path, files: Mapping[str, str], weights: bytes | None, *, force: bool) -> None:
    with artifacts.folder(folder, FILES, force=force) as staging:
        if len(files) > 1:
            with staging.place("blocks") as blocks:
                blocks.mkdir()
                for name, one in files.items():
                    if name.startswith("blocks/"):
                        (blocks / Path(name).name).write_text(one, "utf-8")
        for name, one in files.items():
            if "/" not in name:
                staging.write(name, one.encode())
        if weights is not None:
            staging.write("weights.safetensors", weights)


def bring(
    network: Network,
    shape: tuple[int, int, int],
    name: str,
    *,
    doc: str = "",
    check: bool | Literal["outputs"] = True,
    say: Say = lambda _: None,
) -> Imported:
    """A live network as a spec, proven the same. shape: an input that it takes, (C, H, W); check:
    `"outputs"` for those at one size alone.

    Errors: `not-liftable`, one for each place that no op says; `lift-differs`, where the spec is
    not the original."""
    with _told(network.name):
        return _brought(network, shape, name, doc, check, say)


@contextlib.contextmanager
def _told(name: str) -> Iterator[None]:
    """Whatever else goes wrong is one line, too: what is read are strangers' networks."""
    try:
        yield
    except SpecError:
        raise
    except MemoryError as problem:
        raise error("not-liftable", f"{name}: there is not enough memory for it") from problem
    except Exception as problem:
        lines = str(problem).strip().splitlines() or [""]
        raise error(
            "not-liftable",
            f"{name}: reading it ended with {type(problem).__name__}: {lines[0][:300]}",
            help="this is a fault of resspec; please report it, with the model",
        ) from problem


def _brought(
    network: Network, shape: tuple[int, int, int], name: str, doc: str,
    check: bool | Literal["outputs"], say: Say,
) -> Imported:  # fmt: skip
    say("tracing")
    recorder = recorded(network, shape)
    say("writing the spec")
    with tempfile.TemporaryDirectory(prefix="resspec-import-") as folder:
        spec, files, path = _written(recorder, shape, name, doc, Path(folder))

        def at(size: tuple[int, int]) -> Graph:
            return _loaded(path, (shape[0], *size))

        graph = at(shape[1:])
        names = laid_over(recorder, graph)
        checks: Sequence[Check] = ()
        told: list[str] = []
        size, second, small = shape[1:], None, graph
        if check:
            full = check is True
            size, second, told = compared_at(network, recorder, at, shape, full=full)
            small = at(size)
            say(f"comparing with the original at {size[0]}×{size[1]}")
            wide = second if full else None
            checks = prove(network, names, at, size, wide, training=full, tell=told.append)
            if not any(one.quantity.endswith("second size") for one in checks):
                second = None
    weights = names.canonical(network.arrays())
    broken = next((n for n, a in weights.items() if not np.isfinite(a).all()), None)
    if broken is not None:
        raise error("weights-format", f"{network.name}: `{broken}` of it holds nan or infinity")
    if count := sum(one.size for one in names.numbers(names.stored).values()):
        told.append(f"{count:,} numbers that nothing trains come with its weights alone")
    made = {n: a if a.dtype in (np.float32, np.float64) else a.astype(np.float32)
            for n, a in weights.items()}  # fmt: skip
    return Imported(
        spec.model["model"], network.name, graph, spec, files, made, recorder, checks, size,
        second, summarize(graph), small, [*network.notes, *recorder.notes, *told],
    )  # fmt: skip


def outlined(network: Network, shape: tuple[int, int, int], name: str) -> Outline:
    """A network with a `todo` for each place that no op says. Nothing of it is compared. Errors:
    `not-liftable` where nothing around a place can be told from it."""
    with _told(network.name):
        recorder = network.record((network.batch or TRACED, *shape), outline=True)
        if not recorder.outputs or recorder.input is None:
            raise SpecError(*diagnostics(recorder.problems))
        spec = spelt(recorder, name, {one.name for one in zoo.blocks()})
    return Outline(spec.model["model"], network.name, texts(spec), recorder.problems)


def _written(
    recorder: Recorder, shape: tuple[int, int, int], name: str, doc: str, folder: Path
) -> tuple[Spelt, dict[str, str], Path]:
    """The shortest spec of what was recorded, its files, and where the model's is."""
    taken = {one.name for one in zoo.blocks()}

    def specs(ways: Iterable[Way], shelf: Shelf | None) -> list[tuple[Spelt, dict[str, str]]]:
        made = [spelt(recorder, name, taken, doc, way=way, shelf=shelf) for way in ways]
        return sorted(((one, texts(one)) for one in made), key=lambda one: lines(one[1]))

    flat = specs([FLAT], None)
    # a block of the library may mean something else in the place where it stands
    for number, shelf in enumerate((Shelf(), Shelf(places=False), None)):
        found = specs(WAYS, shelf)
        most = max(lines(flat[0][1]), FEW)
        shorter = [one for one in found if lines(one[1]) <= most]
        for at, (spec, files) in enumerate(shorter if shelf else [*shorter, *flat]):
            path = placed(folder / f"{number}.{at}", files)
            with contextlib.suppress(SpecError):
                laid_over(recorder, _loaded(path, shape))
                return spec, files, path
    return spec, files, path  # and what is wrong will be told


def texts(spec: Spelt) -> dict[str, str]:
    """The files of a spec by their name."""
    found = {f"{spec.model['model']}.yaml": text.written(spec.model)}
    for name, block in spec.blocks.items():
        kind = spec.kinds.get(name, "")
        told = kind and not re.fullmatch(rf"(.*\.)?{KIND}\d*", kind)  # a word of ours says nothing
        doc = {"doc": f"{kind} of the original."} if told else {}
        found[f"blocks/{name}.yaml"] = text.written({"block": name, **doc, **block})
    return found


def lines(files: Mapping[str, str]) -> int:
    return sum(one.count("\n") for one in files.values())


def placed(folder: Path, files: Mapping[str, str]) -> Path:
    """Write a spec's files; where the model's is."""
    (folder / "blocks").mkdir(parents=True)
    for name, one in files.items():
        (folder / name).write_text(one, "utf-8")
    return folder / next(iter(files))


def _loaded(path: Path, shape: Sequence[int]) -> Graph:
    options = LoadOptions().having(f"input={list(shape)}")
    try:
        return compile.load(str(path), options).graph
    except SpecError as problem:
        first = problem.diagnostics[0]
        raise SpecError(replace(first, span=None, notes=())) from problem


def nothing(source: str) -> SpecError:
    """The error where no backend knows a source."""
    known = [one for name in backends.names() for one in backends.get(name).imports]
    words = {"*:*": "package.module:callable"}
    said = [words.get(one, one.replace(":*", ":NAME").replace("*.", "FILE.")) for one in known]
    return error(
        "not-found",
        f"`{source}` is nothing that can be imported",
        help=f"write {', '.join(said)}",
    )


def name_of(source: str) -> str:
    """A name for what a source gives."""
    last = source.replace("\\", "/").rpartition("/")[2].rpartition(":")[2].partition(".")[0]
    return identifier(last.lower())


def must_be_free(folder: Path, *, force: bool) -> None:
    """Errors: `exists`, before any work is done."""
    with contextlib.suppress(_Enough), artifacts.folder(folder, FILES, force=force):
        raise _Enough


class _Enough(Exception):
    """Looked, and left all as it was."""


def opened(source: str) -> Network:
    """The network that a source names. Errors: `not-found`, `no-backend`."""
    for name in _openers(source):
        importer = backends.get(name).importer
        found = importer().open_source(source) if importer is not None else None
        if found is not None:
            network: Network = found
            return network
    raise nothing(source)


def _openers(source: str) -> list[str]:
    """Backends that open a source, that of the closest pattern first: `keras:*` before `*:*`."""
    found: list[tuple[int, str]] = []
    for name in backends.names():
        fits = [one for one in backends.get(name).imports if fnmatch.fnmatchcase(source, one)]
        if fits:
            found.append((max(map(len, fits)), name))
    longest = max(found, default=(0, ""))[0]
    return [name for length, name in found if length == longest]


def import_model(
    model: Any, example_input: Any = None, name: str | None = None, *, doc: str = ""
) -> Imported:
    """A live model as a spec with its weights, proven to compute the same.

    model: an `nn.Module`, or a functional Keras model. example_input: an input that it takes, a
    tensor or an array of N×C×H×W, of Keras N×H×W×C; a Keras model that says its size needs none.
    name: of the spec; that of the model's class, unless told. `result.save(folder)` writes the
    spec, its blocks and its weights; `resspec.build(result.graph, weights=result.weights)` builds
    it on any backend.
    Errors: `not-liftable`, one for each place that no op says; `lift-differs`.
    """
    kind = type(model).__name__
    network = of_model(model, kind)
    shape = network.shape
    if example_input is not None:
        given = tuple(int(one) for one in getattr(example_input, "shape", ()))
        if len(given) != 4:
            found = len(given) or asked.kind(example_input)
            raise error("bad-value", f"the example input is an array of 4 axes, found {found}")
        shape = (given[3], given[1], given[2]) if network.channels_last else given[1:]
    if shape is None:
        raise error("bad-value", f"{kind} does not say what it reads: give an example input")
    return bring(network, shape, name or kind.lower(), doc=doc)


def of_model(model: Any, name: str) -> Network:
    """A live model as what is imported. Errors: `bad-value`."""
    for one in backends.names():
        backend = backends.get(one)
        if backend.importer is None or not backend.owns(model):
            continue
        found = backend.importer().of_module(model, name)
        if found is not None:
            network: Network = found
            return network
    help = "the command takes files and names: `resspec import timm:NAME`" \
        if isinstance(model, str | Path) else None  # fmt: skip
    raise asked.refused("what is imported", "a live model of a framework", model, help)
