"""A network and those that it is compared with, at the same work by turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from resspec.bench.subjects import Maker, Subject
from resspec.timing import How, Times, Work, interleave

WORKS = ("forward", "latency", "training")
OURS = "resspec"


@dataclass(frozen=True, slots=True)
class Row:
    """One model at one work. times: seconds a turn, of `batch` examples. memory: bytes at most.

    ratio: how many times faster than the first of the models, round by round. share: of the rate at
    which the device multiplies matrices. problem: why there are no times.
    """

    work: str
    model: str
    batch: int
    times: Times | None = None
    ratio: Times | None = None
    memory: int | None = None
    share: float | None = None
    problem: str = ""

    @property
    def rates(self) -> tuple[float, float, float] | None:
        """Examples a second: median, first and third quartile."""
        if self.times is None:
            return None
        low, high = self.times.spread
        return self.batch / self.times.median, self.batch / high, self.batch / low


@dataclass(frozen=True, slots=True)
class Contest:
    """What is measured. macs: of one example. rate: operations a second of the device's matrix
    product, if it is known. folded: models that are not to be trained."""

    makers: Mapping[str, Maker]
    how: How
    batch: int
    macs: int
    seconds: float = 5.0
    rate: float | None = None
    folded: frozenset[str] = frozenset()

    def rows(self, works: tuple[str, ...] = WORKS) -> Iterator[Row]:
        """As they are known, those of a work together. What a model cannot do, for want of memory,
        is a row too. Errors: SpecError where a model cannot be made."""
        subjects = {name: make(self.how) for name, make in self.makers.items()}
        for work in works:
            yield from self._of(work, subjects)

    def _of(self, work: str, subjects: Mapping[str, Subject]) -> Iterator[Row]:
        batch = 1 if work == "latency" else self.batch
        started: dict[str, Work] = {}
        memory: dict[str, int | None] = {}
        rows: dict[str, Row] = {}
        for name, subject in subjects.items():
            if work == "training" and name in self.folded:
                continue
            rows[name] = Row(work, name, batch)
            try:
                one = self._work(work, subject)
                memory[name] = subject.timing.peak(subject.model, one, subject.how)
                started[name] = one
            except MemoryError as problem:
                rows[name] = replace(rows[name], problem=_short(problem))
        found: dict[str, Times] = {}
        try:
            found = interleave(started, self.seconds) if started else {}
        except MemoryError as problem:
            rows |= {name: replace(rows[name], problem=_short(problem)) for name in started}
        first = next((name for name in rows if name in found), "")
        passes = 6 if work == "training" else 2  # back twice as much as forth; a MAC is two
        for name, row in rows.items():
            if name in found:
                times = found[name]
                speed = passes * self.macs * batch / times.median
                row = replace(
                    row,
                    times=times,
                    ratio=times.against(found[first]) if name != first else None,
                    memory=memory[name],
                    share=speed / self.rate if self.rate else None,
                )
            yield row

    def _work(self, work: str, subject: Subject) -> Work:
        if work == "latency":
            return replace(subject, how=replace(self.how, graphs=self.how.compile)).latency()
        return subject.step(self.batch) if work == "training" else subject.forward(self.batch)


def _short(problem: MemoryError) -> str:
    return f"out of memory: {problem}" if str(problem) else "out of memory"
