"""Settings → costs: in this process, on every core, or on a cluster."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from itertools import chain, islice
from typing import Any

from resspec import compile as driver
from resspec.diagnostics import SpecError, error
from resspec.options import LoadOptions
from resspec.summary import summarize
from resspec.sweep.parcel import Parcel, pack
from resspec.sweep.space import Setting

CHUNK = 64  # settings that a worker is given at once


@dataclass(frozen=True, slots=True)
class Costs:
    """What one example costs, as in `resspec.summary`; bytes are of float32."""

    params: int
    buffers: int
    macs: int
    flops: int
    activations: int
    weight_bytes: int
    peak_bytes: int


COSTS = tuple(field.name for field in fields(Costs))


@dataclass(frozen=True, slots=True)
class Found:
    """A setting and what its network costs, or why it is none."""

    setting: Setting
    costs: Costs | None
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; the setting as `{key: value}`, values in YAML."""
        named = dict(one.split("=", 1) for one in self.setting)
        return {"set": named, **(asdict(self.costs) if self.costs else {"error": self.problem})}


def costs(
    spec: str, options: LoadOptions, settings: Iterable[Setting], jobs: int = 1, ray: str = ""
) -> Iterator[Found]:
    """What each costs, in their order, as soon as it is known.

    jobs: processes. ray: a cluster's address, or `local`; the files beside the spec go there, too.
    Errors: `no-backend` where ray is not installed or not reached.
    """
    count = partial(_counted, spec, options)
    source = iter(settings)
    chunks = iter(lambda: tuple(islice(source, CHUNK)), ())
    if ray:
        return chain.from_iterable(_on_cluster(ray, spec, options, chunks))
    if jobs == 1:
        return (count(one) for one in chain.from_iterable(chunks))
    return chain.from_iterable(_on_cores(jobs, count, chunks))


def _counted(spec: str, options: LoadOptions, setting: Setting) -> Found:
    try:
        found = summarize(driver.load(spec, options.having(*setting)).graph)
    except SpecError as problem:
        first = problem.diagnostics[0]
        return Found(setting, None, f"{first.code}: {first.message}")
    return Found(setting, Costs(*(getattr(found, name) for name in COSTS)))


def _each(count: Callable[[Setting], Found], chunk: Sequence[Setting]) -> list[Found]:
    return [count(one) for one in chunk]


def _on_cores(
    jobs: int, count: Callable[[Setting], Found], chunks: Iterable[Sequence[Setting]]
) -> Iterator[list[Found]]:
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # The parent alone hears Ctrl-C; `spawn` inherits no thread and no lock.
    pool = ProcessPoolExecutor(jobs, get_context("spawn"), _deaf)
    try:
        yield from pool.map(partial(_each, count), chunks)
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_cluster(
    address: str, spec: str, options: LoadOptions, chunks: Iterable[Sequence[Setting]]
) -> Iterator[list[Found]]:
    try:
        import ray
    except ImportError:
        help = "pip install 'resspec[ray]', or leave --ray out to use the cores of this machine"
        raise error("no-backend", "ray is not installed", help=help) from None
    parcel = pack(spec, options)
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, ValueError, RuntimeError) as problem:
        line = (str(problem).strip().splitlines() or ["no message"])[0]
        raise error("no-backend", f"there is no ray at {address}: {line[:200]}") from None
    try:
        remote = ray.remote(_from_parcel)
        held = ray.put(parcel)
        waiting = [remote.remote(held, chunk) for chunk in chunks]
        for one in waiting:
            yield ray.get(one)
    finally:
        ray.shutdown()


def _from_parcel(parcel: Parcel, chunk: Sequence[Setting]) -> list[Found]:
    with parcel.opened() as (spec, options):
        return _each(partial(_counted, spec, options), chunk)


def cores() -> int:
    """How many processes can work side by side here."""
    with suppress(AttributeError):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
