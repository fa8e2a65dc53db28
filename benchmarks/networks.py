"""Networks beside the original's own model: passes, steps of training and single calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.operations import profile
from benchmarks.record import Line, line
from benchmarks.variants import rewritten
from resspec import api
from resspec.bench import subjects
from resspec.timing import How, Work, interleave


@dataclass(frozen=True, slots=True)
class Run:
    """One way to run a spec. variant: its source written otherwise, see `variants`."""

    optimize: str | None = None
    compile: bool = False
    graphs: bool = False
    variant: str = ""


@dataclass(frozen=True, slots=True)
class Contest:
    """A spec, run in some ways, beside its original.

    work: forward, step or latency. cost: seconds that it takes, compilers included, beside those of
    the timing. peer_compile: whether the original is compiled as well.
    """

    key: str
    spec: str
    work: str
    peer: tuple[str, str]
    runs: Mapping[str, Run] = field(default_factory=lambda: {"": Run()})
    batch: int = 1
    peer_compile: bool = False
    cost: float = 8.0
    backend: str = "torch"


@dataclass(frozen=True, slots=True)
class Setting:
    """What holds for all contests of a run. input: other sizes, where all shall be quick.

    profiles: a file that shows where the time of the slower ones and of their peers goes.
    """

    how: How
    seconds: float = 4.0
    sample: float = 0.1
    rounds: tuple[int, int] = (5, 60)
    batch: int | None = None
    input: tuple[int, int] | None = None
    profiles: Path | None = None


SLOWER = 0.99  # than this, against the peer: worth a look


def contest(one: Contest, setting: Setting) -> Iterator[Line]:
    """A line for each run; one that fails is a line as well."""
    overrides = []
    if setting.input is not None:
        channels = api.load(one.spec).graph.input.type.channels
        overrides = [f"input={[channels, *setting.input]}"]
    spec = api.load(one.spec, overrides=overrides)
    batch = 1 if one.work == "latency" else setting.batch or one.batch
    notes: dict[str, str] = {}
    works: dict[str, Work] = {}
    own: list[str] = []
    timing = None
    for suffix, run in one.runs.items():
        name = f"{one.key}.{suffix}" if suffix else one.key
        try:
            compiled = api.compile_for(spec, one.backend, optimize=run.optimize)
            text = rewritten(compiled.source.text, run.variant)
            compiled = replace(compiled, source=replace(compiled.source, text=text))
            how = replace(setting.how, compile=run.compile, graphs=run.graphs)
            subject = subjects.ours(compiled)(how)
            works[name] = warmed(work_of(one, subject, batch))
        except Exception as problem:  # one network must not hide the others
            yield Line(name, note=first(problem))
        else:
            own.append(name)
            timing = subject.timing
    source, original = one.peer
    peer = f"{source} {original}{', compiled' if one.peer_compile else ''}"
    try:
        how = replace(setting.how, compile=one.peer_compile)
        subject = subjects.original(source, original, spec.graph)(how)
        works[""] = warmed(work_of(one, subject, batch))
    except Exception as problem:  # the library may be missing, or its network too large
        notes = dict.fromkeys(own, f"no {peer}: {first(problem)}")
    found = interleave(
        works, setting.seconds, sample=setting.sample, rounds=setting.rounds
    ) if own else {}  # fmt: skip
    for name in own:
        yield line(name, found[name], found.get(""), peer, examples=batch, note=notes.get(name, ""))
    if setting.profiles is not None and "" in found:
        for name, work in works.items():
            if name == "" or found[name].against(found[""]).median < SLOWER:
                profile(name or f"{one.key}: {peer}", work, setting.profiles)
    works.clear()
    if timing is not None:
        subjects.forget(timing)


def work_of(one: Contest, subject: subjects.Subject, batch: int) -> Work:
    if one.work == "latency":
        return subject.latency()
    return subject.step(batch) if one.work == "step" else subject.forward(batch)


def warmed(work: Work) -> Work:
    """Once done, so that what cannot be compiled or held shows here."""
    work.seconds()
    return work


def first(problem: BaseException) -> str:
    """A problem in one line."""
    text = str(problem).strip().splitlines() or [type(problem).__name__]
    return f"{text[0]}"[:200]
