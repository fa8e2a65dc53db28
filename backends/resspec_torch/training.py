"""Gradients and training of live PyTorch models: `resspec.backend.Training`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resspec import optim
from resspec.backend import Variables
from resspec.weights import outputs
from resspec_torch.runtime import mode, run, to_numpy, to_torch


def gradients(
    model: nn.Module, variables: Variables, x: NDArray[Any], training: bool, key: int = 0
) -> dict[str, NDArray[Any]]:
    with torch.enable_grad(), mode(model, training, key):
        loss = torch.stack([(y * c).mean() for y, c in _weighed(model, x)]).sum()
    parameters = {name: value for name, value in model.named_parameters() if value.requires_grad}
    wanted = {
        name: parameters[variable.name]
        for name, variable in variables.items()
        if variable.name in parameters
    }
    if not loss.requires_grad:  # no parameter reaches an output
        return {name: to_numpy(torch.zeros_like(value)) for name, value in wanted.items()}
    found = torch.autograd.grad(loss, list(wanted.values()), materialize_grads=True)
    return {name: to_numpy(value) for name, value in zip(wanted, found, strict=True)}


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


def step(
    model: nn.Module, optimizer: torch.optim.Optimizer, x: NDArray[Any], key: int = 0
) -> tuple[float, nn.Module, torch.optim.Optimizer]:
    with torch.enable_grad(), mode(model, True, key):
        loss = torch.stack([((y - c) ** 2).mean() / 2 for y, c in _weighed(model, x)]).sum()
        optimizer.zero_grad()
        if loss.requires_grad:
            loss.backward()
        for parameter in model.parameters():
            if parameter.requires_grad and parameter.grad is None:  # reaches no output
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
        optimizer.zero_grad()
    return loss.item(), model, optimizer


def _weighed(model: nn.Module, x: NDArray[Any]) -> Iterator[tuple[Tensor, Tensor]]:
    """Each output, or level of a pyramid, with its cotangent."""
    for _, y, c in outputs.weighed(run(model, x)):
        yield y, to_torch(c).to(y)


def settings(model: nn.Module, variables: Variables) -> dict[str, dict[str, float]]:
    """eps and momentum of the modules that hold a canonical parameter."""
    modules = dict(model.named_modules())

    def shown(name: str) -> dict[str, Any]:
        module = modules[name.rpartition(".")[0]]
        return {key: getattr(module, key, None) for key in ("eps", "momentum")}

    return outputs.settings(variables, shown)
