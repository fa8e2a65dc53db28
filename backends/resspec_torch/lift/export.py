"""A live module as ops: exported in evaluation mode, with what is random while training marked."""

from __future__ import annotations

import contextlib
import io
import logging
import traceback
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional

from resspec.diagnostics import error
from resspec.lift.record import Recorder
from resspec.lift.tidy import started, tidy
from resspec_torch.lift.aten import TABLE
from resspec_torch.lift.reader import Reader
from resspec_torch.lift.trials import Trials, rough

# classes that zero whole examples while training, and where they keep the rate
DROPS: Mapping[str, str] = {"DropPath": "drop_prob", "StochasticDepth": "p"}


def export(model: nn.Module, shape: tuple[int, ...]) -> ExportedProgram:
    """The module's operations for inputs of this shape (N, C, H, W). Errors: `not-liftable`."""
    if any(map(torch.nn.parameter.is_lazy, model.parameters())):
        raise error(
            "not-liftable",
            f"{type(model).__name__} has layers without weights (lazy ones)",
            help="call it once, which makes them",
        )
    first = next(iter([*model.parameters(), *model.buffers()]), torch.zeros(0))
    x = torch.zeros(shape, dtype=first.dtype)
    with evaluated(model), marked(model), silenced():
        try:
            return torch.export.export(model, (x,), strict=False)
        except Exception as problem:  # whatever the model's own code raises
            raise error(
                "not-liftable",
                f"torch.export cannot follow {type(model).__name__}: {said(problem)}",
                help="give it an input that it takes (--input), or write what depends on numbers "
                "in tensors in another way",
            ) from problem


def said(problem: BaseException) -> str:
    """What an exception of a stranger's code says, in one line; where it came from, if nothing."""
    lines = str(problem).strip().splitlines()
    if lines:
        return lines[0][:300]
    place = traceback.extract_tb(problem.__traceback__)[-1]
    where = f"{Path(place.filename).name}, line {place.lineno}"
    return f"{type(problem).__name__} at {where}: {(place.line or '').strip()[:200]}"


def record(model: nn.Module, shape: tuple[int, ...], outline: bool = False) -> Recorder:
    """The module as ops; what has none is in `problems`."""
    return read(export(model, shape), model, outline)


def read(program: ExportedProgram, model: nn.Module | None, outline: bool = False) -> Recorder:
    """An exported program as ops. model: what modules are tried on that are one op in whole;
    outline: what no op says is a step `todo`."""
    tensors = {**program.state_dict}
    if model is not None:
        tensors |= dict(model.named_parameters(remove_duplicate=False))
        tensors |= dict(model.named_buffers(remove_duplicate=False))
    for name, value in program.constants.items():
        if isinstance(value, Tensor):
            tensors.setdefault(name, value)
    tensors = {name: value.detach() for name, value in tensors.items()}
    trials = Trials(program, model)
    while True:
        reader = Reader(program, tensors, TABLE, trials.found, frozenset(DROPS))
        recorder = reader.read()
        if not recorder.problems or model is None or not trials.more(reader):
            break
    if recorder.problems and outline:
        problems, todos = recorder.problems, trials.found
        while more := rough(reader, program):
            todos = {**todos, **more}
            reader = Reader(program, tensors, TABLE, todos, frozenset(DROPS))
            reader.read()
        recorder = Reader(program, tensors, TABLE, todos, frozenset(DROPS), outline=True).read()
        recorder.problems = problems
    if outline or not recorder.problems:
        tidy(recorder)
        held = {**tensors, **recorder.stored}
        for step in recorder.steps:
            step.op = started(step.op, {own: held[one.name] for own, one in step.taken.items()})
    return recorder


@contextlib.contextmanager
def silenced() -> Iterator[None]:
    """Without torch's own warnings and logs, which print graphs: what fails is told in one line."""
    log = logging.getLogger("torch")
    level = log.level
    try:
        log.setLevel(logging.CRITICAL)
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def evaluated(model: nn.Module) -> Iterator[None]:
    """In evaluation mode; afterwards modules hold what they did, also where their code keeps what
    it computed for later."""
    held = [
        (module, {name: _kept(one) for name, one in vars(module).items()})
        for module in model.modules()
    ]
    model.train()  # which forgets what was kept
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, before in held:
            for name in [one for one in vars(module) if one not in before]:
                del vars(module)[name]
            for name, (value, inside) in before.items():
                vars(module)[name] = value
                if inside is not None:
                    value.clear()
                    value.update(inside)


def _kept(value: Any) -> tuple[Any, dict[Any, Any] | None]:
    return value, dict(value) if isinstance(value, dict) else None


@contextlib.contextmanager
def marked(model: nn.Module) -> Iterator[None]:
    """Modules that drop whole examples while training leave a mark where they do nothing."""
    changed: list[nn.Module] = []
    for module in model.modules():
        rate = getattr(module, DROPS.get(type(module).__name__, ""), None)
        if isinstance(rate, int | float) and getattr(module, "mode", "row") == "row":
            module.forward = _mark(float(rate))
            changed.append(module)
    attends = functional.multi_head_attention_forward

    def attention(*args: Any, **more: Any) -> Any:
        """Weights that are dropped while training: the rate stays, where nothing is dropped."""
        return attends(*args, **{**more, "training": True})

    functional.multi_head_attention_forward = attention
    try:
        yield
    finally:
        functional.multi_head_attention_forward = attends
        for module in changed:
            del module.forward


def _mark(rate: float) -> Any:
    def forward(x: Tensor) -> Tensor:
        return torch.ops.aten.dropout(x, rate, False)

    return forward
