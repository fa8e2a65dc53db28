"""Who is timed: a spec's network, and the original's own model of the same name."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from resspec import backend as backends
from resspec.backend import Backend, Model, Timing
from resspec.diagnostics import error
from resspec.port import origins
from resspec.timing import How, Work

if TYPE_CHECKING:
    from resspec.api import Compiled
    from resspec.ir import Graph


@dataclass(frozen=True, slots=True)
class Subject:
    """A live model on its device, and what it is timed at."""

    model: Model
    timing: Timing
    how: How
    shape: tuple[int, ...]  # of one example

    def forward(self, batch: int) -> Work:
        return self.timing.forward(self.model, (batch, *self.shape), self.how)

    def latency(self) -> Work:
        """One example at a time, each waited for."""
        return self.timing.forward(self.model, (1, *self.shape), self.how, each=True)

    def step(self, batch: int) -> Work:
        return self.timing.step(self.model, (batch, *self.shape), self.how)


Maker = Callable[[How], Subject]  # makes it anew: a run leaves nothing to the next


def timing_of(backend: Backend) -> Timing:
    """Raises SpecError(unsupported)."""
    if backend.timing is None:
        raise error("unsupported", f"the backend `{backend.name}` cannot be timed")
    return backend.timing()


def ours(compiled: Compiled) -> Maker:
    """The network of a spec, with drawn weights. Errors when made: `no-backend`, `no-device`."""
    timing = timing_of(compiled.backend)
    drawn = compiled.weights().weights

    def make(how: How) -> Subject:
        live = compiled.running(how.device, how.dtype, drawn)
        model = timing.place(live.model, how)
        return Subject(model, timing, how, compiled.graph.input.type.shape)

    return make


def original(source: str, name: str, graph: Graph) -> Maker:
    """The network that a library has under that name, with the classes and channels of the graph,
    as the library draws it. Errors when made: `not-found`, `no-backend`."""

    def make(how: How) -> Subject:
        origin = origins.get(source)
        timing = timing_of(backends.get(origin.backend))
        model = origin.open(name, graph, dtype=how.dtype).model
        return Subject(timing.place(model, how), timing, how, graph.input.type.shape)

    return make


def forget(*timings: Timing) -> None:
    """What nobody holds any more is given back, on the devices too."""
    gc.collect()
    for one in timings:
        one.forget()
