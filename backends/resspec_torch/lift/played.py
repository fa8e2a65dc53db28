"""A network of a file as what is imported: its program is traced, and run beside the spec that is
made of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from resspec.diagnostics import error
from resspec.lift.proof import Network
from resspec.lift.record import Recorder
from resspec.weights import cotangent
from resspec_torch import origins
from resspec_torch.lift import export
from resspec_torch.lift.program import Program, Unfit, computed, traced
from resspec_torch.lift.reader import frames_of

Array = NDArray[Any]


class PlayedNetwork(Network):
    """A program with its tensors, in evaluation mode: that of training is in no file."""

    backend = "torch"
    trains = False

    def __init__(self, program: Program, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.program, self.name, self.tensors = program, name, tensors

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """An input that it takes (C, H, W), where it says one."""
        _, *rest = self.program.shape
        known = [size for size in rest if size is not None]
        return (known[0], known[1], known[2]) if len(known) == len(rest) == 3 else None

    @property
    def batch(self) -> int | None:
        """How many examples it takes, where not any number."""
        return self.program.shape[0]

    def at(self, shape: tuple[int, ...]) -> Program:
        """The program for an input (N, C, H, W). Raises Unfit."""
        return self.program

    def record(self, shape: tuple[int, ...], outline: bool = False) -> Recorder:
        try:
            found = traced(self.at(shape), shape)
        except Unfit as problem:
            size = "×".join(map(str, shape[1:]))
            raise error(
                "not-liftable", f"{self.name} takes no input of {size}: {problem}",
                help="give the size that it takes: --input",
            ) from problem  # fmt: skip
        model: Any = _Parts(found, found.state_dict)
        return export.read(found, model, outline)

    def takes(self, shape: tuple[int, ...]) -> bool:
        try:
            traced(self.at(shape), shape)
        except Unfit:
            return False
        return True

    def arrays(self) -> dict[str, Array]:
        return {name: origins.to_numpy(value) for name, value in self.tensors.items()}

    def copy(self, arrays: Mapping[str, Array]) -> PlayedNetwork:
        tensors = {
            name: torch.tensor(arrays[name]) if name in arrays
            else value.double() if value.is_floating_point() else value
            for name, value in self.tensors.items()
        }  # fmt: skip
        return PlayedNetwork(self.program, self.name, tensors)

    def forward(self, x: Array, training: bool) -> dict[str, Array]:
        with torch.no_grad(), origins.Lifted():
            found = self._run(self.tensors, x)
        return {name: origins.to_numpy(value).copy() for name, value in found.items()}

    def _run(self, tensors: Mapping[str, Tensor], x: Array) -> dict[str, Tensor]:
        try:
            return computed(self.at(x.shape), tensors, torch.from_numpy(x))
        except Unfit as problem:
            raise ValueError(str(problem)) from problem

    def gradients(self, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        trained = {
            name: self.tensors[name].detach().clone().requires_grad_()
            for name in dict.fromkeys(self.program.of("parameters").values())
        }
        with torch.enable_grad(), origins.Lifted():
            loss = torch.zeros((), dtype=torch.float64)
            for name, y in self._run({**self.tensors, **trained}, x).items():
                loss = loss + (y * torch.from_numpy(cotangent(name, tuple(y.shape))).to(y)).mean()
            found = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
        pairs = zip(trained.items(), found, strict=True)
        return {
            name: origins.to_numpy(torch.zeros_like(value) if one is None else one)
            for (name, value), one in pairs
        }, {}

    def random(self, x: Array) -> bool:
        return False


class _Parts:
    """Modules of a traced program, for what is one op in whole."""

    def __init__(self, found: Any, tensors: Mapping[str, Tensor]) -> None:
        self.found, self.tensors = found, tensors
        signature = found.graph_signature
        self.leaves = {**signature.inputs_to_parameters, **signature.inputs_to_buffers}
        self.trained = set(signature.inputs_to_parameters.values())

    def named_parameters(self, **_: Any) -> Iterator[tuple[str, Tensor]]:
        yield from ((name, self.tensors[name]) for name in self.trained)

    def named_buffers(self, **_: Any) -> Iterator[tuple[str, Tensor]]:
        yield from ()

    def get_submodule(self, path: str) -> nn.Module:
        """The first call of a module, as one."""
        key, kind = "", ""
        nodes: list[fx.Node] = []
        for node in self.found.graph.nodes:
            for frame in frames_of(node):
                if frame.path == path and frame.key == (key or frame.key):
                    key, kind = frame.key, frame.kind
                    nodes.append(node)
        own = {
            name.removeprefix(f"{path}."): self.tensors[name]
            for name in sorted(self.trained)
            if name.startswith(f"{path}.")
        }
        names = {str(value): name.removeprefix(f"{path}.") for value, name in self.leaves.items()}
        return _Call(kind, nodes, own, names)


class _Call(nn.Module):
    """One call of a module of a program. names: of placeholders, their parameters."""

    def __init__(
        self, kind: str, nodes: list[fx.Node], own: Mapping[str, Tensor], names: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.kind, self.places = kind, {name: f"p{at}" for at, name in enumerate(own)}
        for name, value in own.items():
            self.register_parameter(self.places[name], nn.Parameter(value.clone()))

        def run(module: _Call, x: Tensor) -> Any:  # a function: copies share it
            env: dict[fx.Node, Any] = {}

            def of(node: fx.Node) -> Any:
                if node in env:
                    return env[node]
                name = names.get(node.name, "")
                if node.op == "placeholder" and name in module.places:
                    return getattr(module, module.places[name])
                return x

            for node in nodes:
                args, kwargs = fx.node.map_arg((node.args, dict(node.kwargs)), of)
                env[node] = node.target(*args, **kwargs)
            return env[nodes[-1]]

        self.run = run

    def named_parameters(self, *args: Any, **more: Any) -> Iterator[tuple[str, Any]]:
        names = {place: name for name, place in self.places.items()}
        for place, value in super().named_parameters(*args, **more):
            yield names[place], value

    def extra_repr(self) -> str:
        return self.kind

    def forward(self, x: Tensor) -> Any:
        return self.run(self, x)
