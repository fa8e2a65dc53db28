"""Live PyTorch models: the only file here that imports torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from resspec import live, optim
from resspec.diagnostics import error
from resspec.weights import cotangent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from resspec.backend import Source
    from resspec.ir import Graph

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
# Output names of a model's class, each with the number of its levels.
_OUTPUTS: WeakKeyDictionary[type, dict[str, int]] = WeakKeyDictionary()


def find_device(name: str) -> torch.device:
    """The device of that name. Raises SpecError(no-device)."""
    try:
        device = torch.device(name)
    except RuntimeError:
        raise error("no-device", f"`{name}` is not a device", help=_present()) from None
    if device.type == "cpu":
        return device
    if device.type == "cuda":
        if (device.index or 0) < torch.cuda.device_count():
            return device
    elif device.type == "mps" and torch.backends.mps.is_available():
        return device
    raise error("no-device", f"this machine has no device `{name}` for torch", help=_present())


def _present() -> str:
    count = torch.cuda.device_count()
    return f"present: {', '.join(['cpu', *(f'cuda:{i}' for i in range(count))])}"


def instantiate(graph: Graph, source: Source, device: str, dtype: str) -> nn.Module:
    """The model of the source, in training mode as torch makes it, its weights still torch's."""
    if dtype not in DTYPES:
        raise error("bad-value", f"no dtype `{dtype}`; torch has {', '.join(DTYPES)} here")
    place = find_device(device)
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they are
        model: nn.Module = getattr(live.load(source.text), source.entry)()
    _OUTPUTS[type(model)] = {name: len(values) for name, values in graph.outputs}
    return model.to(device=place, dtype=DTYPES[dtype])


def load_weights(model: nn.Module, source: Source, weights: Mapping[str, NDArray[Any]]) -> None:
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, variable in source.variables.items():
            state[variable.name].copy_(_tensor(weights[name]))


def read_weights(model: nn.Module, source: Source) -> dict[str, NDArray[Any]]:
    """Arrays by canonical name; bfloat16, which NumPy lacks, as float32."""
    state = model.state_dict(keep_vars=True)
    return {
        name: _array(state[variable.name]).copy() for name, variable in source.variables.items()
    }


def state(model: nn.Module) -> dict[str, NDArray[Any]]:
    """Every tensor of the state dict; bfloat16, which NumPy lacks, as float32."""
    return {name: _array(value).copy() for name, value in model.state_dict().items()}


def forward(
    model: nn.Module, x: NDArray[Any], training: bool = False
) -> dict[str, list[NDArray[Any]]]:
    with torch.no_grad(), _mode(model, training):
        found = _run(model, x)
    return {name: [_array(value).copy() for value in values] for name, values in found.items()}


def gradients(
    model: nn.Module, source: Source, x: NDArray[Any], training: bool
) -> dict[str, NDArray[Any]]:
    with torch.enable_grad(), _mode(model, training):
        terms = [
            (y * _cotangent(key, y)).mean()
            for name, values in _run(model, x).items()
            for key, y in zip(_keys(name, values), values, strict=True)
        ]
        loss = torch.stack(terms).sum()
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    wanted = {
        name: parameters[variable.name]
        for name, variable in source.variables.items()
        if variable.name in parameters
    }
    if not loss.requires_grad:  # no parameter reaches an output
        return {name: _array(torch.zeros_like(value)) for name, value in wanted.items()}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return {name: _array(value) for name, value in zip(wanted, found, strict=True)}


class Optimizer(torch.optim.Optimizer):
    """Steps as `resspec.optim` defines them; a parameter group may have settings of its own.

    The group's `lr` is the rate before the schedule's factor, so torch's schedulers and this one's
    own multiply.
    """

    def __init__(self, params: Any, rule: optim.Optimizer) -> None:
        self.rule = rule
        settings = {name: getattr(rule, name) for name in rule.numbers}
        # torch refuses a list of no parameters, not a group of none
        super().__init__(list(params) or [{"params": []}], settings)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "rule": self.rule}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; with a closure, its result."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            rule = replace(self.rule, **{name: group[name] for name in self.rule.numbers})
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(rule, parameter)
        return loss

    def _move(self, rule: optim.Optimizer, parameter: Tensor) -> None:
        state = self.state[parameter]
        assert parameter.grad is not None
        step = state.setdefault("step", 0)
        slots = {slot: state.get(slot, torch.zeros_like(parameter)) for slot in rule.slots}
        moved, slots = rule.update(parameter, parameter.grad, slots, rule.scalars(rule.lr, step))
        parameter.copy_(moved)
        state.update(slots, step=step + 1)


def optimizer(model: nn.Module, rule: optim.Optimizer) -> Optimizer:
    return Optimizer(model.parameters(), rule)


def train(
    model: nn.Module, optimizer: torch.optim.Optimizer, batches: Sequence[NDArray[Any]]
) -> list[float]:
    losses = []
    with torch.enable_grad(), _mode(model, training=True):
        for x in batches:
            terms = [
                ((y - _cotangent(key, y)) ** 2).mean() / 2
                for name, values in _run(model, x).items()
                for key, y in zip(_keys(name, values), values, strict=True)
            ]
            loss = torch.stack(terms).sum()
            optimizer.zero_grad()
            if loss.requires_grad:
                loss.backward()
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.grad is None:  # reaches no output
                    parameter.grad = torch.zeros_like(parameter)
            optimizer.step()
            losses.append(loss.item())
    optimizer.zero_grad()
    return losses


def settings(model: nn.Module, source: Source) -> dict[str, dict[str, float]]:
    """eps and momentum of the modules that hold a canonical parameter."""
    found: dict[str, dict[str, float]] = {}
    modules = dict(model.named_modules())
    for name, variable in source.variables.items():
        module = modules[variable.name.rpartition(".")[0]]
        shown = {
            key: float(getattr(module, key))
            for key in ("eps", "momentum")
            if isinstance(getattr(module, key, None), float)
        }
        if shown:
            found.setdefault(name.rpartition(".")[0], {}).update(shown)
    return found


def counts(model: nn.Module) -> tuple[int, int]:
    """Trainable parameters, and buffers without the batches that batch norm counts."""
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    buffers = sum(
        value.numel()
        for name, value in model.named_buffers()
        if name.rpartition(".")[2] != "num_batches_tracked"
    )
    return trainable, buffers


@contextmanager
def _mode(model: nn.Module, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)


def _run(model: nn.Module, x: NDArray[Any]) -> dict[str, list[Tensor]]:
    """Outputs by name, the levels of a pyramid together."""
    like = next((value for value in model.state_dict().values() if value.is_floating_point()), None)
    found = model(_tensor(x) if like is None else _tensor(x).to(like))
    named: dict[str, Tensor] = {"out": found} if isinstance(found, Tensor) else found
    levels = _OUTPUTS.get(type(model), dict.fromkeys(named, 1))
    return {
        name: [named[name]] if count == 1 else [named[f"{name}.{i}"] for i in range(count)]
        for name, count in levels.items()
    }


def _keys(name: str, values: Sequence[Tensor]) -> list[str]:
    """What the cotangents of an output's levels are drawn by."""
    return [name] if len(values) == 1 else [f"{name}.{level}" for level in range(len(values))]


def _cotangent(key: str, y: Tensor) -> Tensor:
    return _tensor(cotangent(key, tuple(y.shape))).to(y)


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


def _array(tensor: Tensor) -> NDArray[Any]:
    """The tensor's numbers; it shares its memory where NumPy has its dtype."""
    tensor = tensor.detach().cpu()
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array
