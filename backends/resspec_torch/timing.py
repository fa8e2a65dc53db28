"""PyTorch models at work, to be timed: `resspec.backend.Timing`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from resspec.timing import How, Work, processor, resident
from resspec_torch.runtime import DTYPES, find_device


def place(model: nn.Module, how: How) -> nn.Module:
    model = model.to(device=find_device(how.device), dtype=DTYPES[how.dtype])
    return model.to(memory_format=torch.channels_last) if how.channels_last else model


def forward(model: nn.Module, shape: tuple[int, ...], how: How, *, each: bool = False) -> Work:
    x, run = _input(shape, how), _compiled(model.eval(), how)

    def once() -> None:
        with _memory(), torch.no_grad():
            run(x)

    return Work(once, _wait(how), each)


def step(model: nn.Module, shape: tuple[int, ...], how: How) -> Work:
    x, run = _input(shape, how), _compiled(model.train(), how)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def once() -> None:
        with _memory(), torch.enable_grad():
            optimizer.zero_grad(set_to_none=True)
            torch.stack([_loss(y) for y in tree_leaves(run(x)) if y is not None]).sum().backward()
            optimizer.step()

    return Work(once, _wait(how))


def peak(model: nn.Module, work: Work, how: How) -> int | None:
    tensors = (*model.parameters(), *model.buffers())
    held: int = sum(one.numel() * one.element_size() for one in tensors)
    place = find_device(how.device)
    if place.type != "cuda":
        grown = resident(work.seconds) if place.type == "cpu" else None
        return None if grown is None else held + grown
    torch.cuda.synchronize(place)
    before: int = torch.cuda.memory_allocated(place)
    torch.cuda.reset_peak_memory_stats(place)
    work.seconds()
    most: int = torch.cuda.max_memory_allocated(place)
    return held + most - before


def product(how: How) -> tuple[Work, int]:
    place = find_device(how.device)
    size = 1024 if place.type == "cpu" else 2048 if how.dtype == "float64" else 8192
    a, b = (torch.randn(size, size, device=place).to(DTYPES[how.dtype]) for _ in "ab")
    return Work(partial(torch.matmul, a, b), _wait(how)), 2 * size**3


def machine(how: How) -> str:
    place = find_device(how.device)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else processor()


def forget() -> None:
    torch.compiler.reset()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _input(shape: tuple[int, ...], how: How) -> Tensor:
    place = find_device(how.device)
    with _memory():
        x = torch.randn(shape, device=place).to(DTYPES[how.dtype])
        return x.contiguous(memory_format=torch.channels_last) if how.channels_last else x


def _compiled(model: nn.Module, how: How) -> Callable[[Tensor], Any]:
    run: Callable[[Tensor], Any] = model
    if how.compile:
        run = torch.compile(model, dynamic=False, mode="reduce-overhead" if how.graphs else None)
    return run


def _loss(y: Tensor) -> Tensor:
    """Of an output: cross entropy of logits, mean square of maps."""
    if y.ndim == 2:
        labels = torch.arange(len(y), device=y.device) % y.shape[1]
        return nn.functional.cross_entropy(y.float(), labels)
    return y.float().square().mean()


def _wait(how: How) -> Callable[[], None]:
    place = find_device(how.device)
    if place.type == "cuda":
        return partial(torch.cuda.synchronize, place)
    return torch.mps.synchronize if place.type == "mps" else lambda: None


@contextmanager
def _memory() -> Iterator[None]:
    """Where memory does not suffice: MemoryError, whatever torch calls it."""
    try:
        yield
    except torch.OutOfMemoryError as problem:
        raise MemoryError(str(problem).partition(". ")[0]) from None
    except RuntimeError as problem:
        if "DefaultCPUAllocator" not in str(problem):
            raise
        raise MemoryError(str(problem).rpartition("DefaultCPUAllocator: ")[2]) from None
