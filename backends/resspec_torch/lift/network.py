"""A live module as what is imported: recorded, and run beside the spec that is made of it."""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from resspec.diagnostics import SpecError, error
from resspec.lift.proof import Network, widened
from resspec.lift.record import Recorder
from resspec.weights import cotangent
from resspec_torch import origins
from resspec_torch.lift import archive, export, given
from resspec_torch.lift.program import as_vectors
from resspec_torch.lift.values import copied, output_names

Array = NDArray[Any]
DROPOUTS = (
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "alpha_dropout",
    "feature_alpha_dropout",
)
ATTENTION = "scaled_dot_product_attention"


class TorchNetwork(Network):
    """A module, which stays as it is: what runs is a copy."""

    backend = "torch"

    def __init__(
        self, model: nn.Module, name: str, seen: Mapping[int, given.Given] | None = None
    ) -> None:
        self.model, self.name = model, name
        self.given = given.given(model, seen or {})
        self.notes = widened(
            str(one.dtype).rpartition(".")[2] for one in model.state_dict().values()
        )
        frozen = sum(p.numel() for p in model.parameters() if not p.requires_grad)
        if frozen:
            self.notes.append(f"{frozen:,} of its parameters are frozen; a spec's are trained")

    def record(self, shape: tuple[int, ...], outline: bool = False) -> Recorder:
        recorder = export.record(self.model, shape, outline)
        recorder.given = self.given
        return recorder

    def arrays(self) -> dict[str, Array]:
        found = {
            **dict(self.model.named_parameters(remove_duplicate=False)),
            **dict(self.model.named_buffers(remove_duplicate=False)),
        }
        return {name: origins.to_numpy(value) for name, value in found.items()}

    def copy(self, arrays: Mapping[str, Array]) -> TorchNetwork:
        model = copied(self.model).double().requires_grad_()
        named = {
            **dict(model.named_parameters(remove_duplicate=False)),
            **dict(model.named_buffers(remove_duplicate=False)),
        }
        with torch.no_grad():
            for name, array in arrays.items():
                named[name].copy_(torch.from_numpy(np.array(array, order="C")))
        model.train()  # which forgets what was computed of other weights
        for module in model.modules():
            if type(module).__name__ in export.DROPS:
                module.forward = _nothing
        return TorchNetwork(model, self.name)

    def forward(self, x: Array, training: bool) -> dict[str, Array]:
        with torch.no_grad(), self._mode(training):
            found = named_outputs(self.model(torch.from_numpy(x)))
        return {name: origins.to_numpy(value).copy() for name, value in found.items()}

    def gradients(self, x: Array) -> tuple[dict[str, Array], dict[str, Array]]:
        before = {name: value.clone() for name, value in self.model.named_buffers()}
        with torch.enable_grad(), self._mode(True):
            try:
                outputs = named_outputs(self.model(torch.from_numpy(x)))
            except RuntimeError as problem:  # of views that are written into
                raise self._without_gradients(problem) from problem
            loss = torch.zeros((), dtype=torch.float64)
            for name, y in outputs.items():
                loss = loss + (y * torch.from_numpy(cotangent(name, tuple(y.shape))).to(y)).mean()
            parameters = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
            wanted = list(parameters.values())
            try:
                found = torch.autograd.grad(loss, wanted, allow_unused=True) if wanted else ()
            except RuntimeError as problem:  # of operations that torch differentiates wrongly
                raise self._without_gradients(problem) from problem
        after = {name: origins.to_numpy(value).copy() for name, value in self.model.named_buffers()}
        with torch.no_grad():
            for name, value in self.model.named_buffers():
                value.copy_(before[name])
        gradients = {
            name: origins.to_numpy(torch.zeros_like(parameters[name]) if one is None else one)
            for name, one in zip(parameters, found, strict=True)
        }
        shared = self.model.named_parameters(remove_duplicate=False)
        first = {id(value): name for name, value in parameters.items()}
        return {
            name: gradients[first[id(value)]] for name, value in shared if id(value) in first
        }, after

    def _without_gradients(self, problem: Exception) -> SpecError:
        line = (str(problem).splitlines() or [""])[0][:300]
        return error("not-liftable", f"torch cannot compute the gradients of {self.name}: {line}")

    def random(self, x: Array) -> bool:
        state = {name: value.clone() for name, value in self.model.named_buffers()}
        torch_state = torch.random.get_rng_state()
        found = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            found.append(self.forward(x, True))
            with torch.no_grad():
                for name, value in self.model.named_buffers():
                    value.copy_(state[name])
        torch.random.set_rng_state(torch_state)
        return any(not np.array_equal(one, found[1][name]) for name, one in found[0].items())

    @contextlib.contextmanager
    def _mode(self, training: bool) -> Iterator[None]:
        self.model.train(training)
        with _without_dropout(), _with_gradients(), origins.Lifted():
            yield


def _nothing(x: torch.Tensor) -> torch.Tensor:
    return x


@contextlib.contextmanager
def _without_dropout() -> Iterator[None]:
    """Functions that zero elements at random give what they get."""
    functional: Any = nn.functional
    kept = {name: getattr(functional, name) for name in (*DROPOUTS, ATTENTION)}

    def attention(q: Any, k: Any, v: Any, mask: Any = None, rate: float = 0.0, *rest: Any,
                  **more: Any) -> Any:  # fmt: skip
        more.pop("dropout_p", None)
        mask = more.pop("attn_mask", mask)
        if mask is not None and mask.is_floating_point():
            mask = mask.to(q.dtype)  # of two types torch computes something else
        return kept[ATTENTION](q, k, v, mask, 0.0, *rest, **more)

    try:
        setattr(functional, ATTENTION, attention)
        for name in DROPOUTS:
            setattr(functional, name, lambda input, *rest, **more: input)
        yield
    finally:
        for name, function in kept.items():
            setattr(functional, name, function)


@contextlib.contextmanager
def _with_gradients() -> Iterator[None]:
    """A group norm that shifts and does not scale is one without both, and the shift: torch cannot
    differentiate it otherwise."""
    own = nn.functional.group_norm

    def group_norm(
        input: torch.Tensor, num_groups: int, weight: Any = None, bias: Any = None,
        eps: float = 1e-5,
    ) -> torch.Tensor:  # fmt: skip
        if weight is not None or bias is None:
            return own(input, num_groups, weight, bias, eps)
        plain = own(input, num_groups, None, None, eps)
        return plain + bias.reshape(-1, *(1 for _ in input.shape[2:]))

    nn.functional.group_norm = group_norm
    try:
        yield
    finally:
        nn.functional.group_norm = own


def named_outputs(result: Any) -> dict[str, torch.Tensor]:
    leaves, spec = torch.utils._pytree.tree_flatten(result)
    names = output_names(torch.utils._pytree.tree_unflatten(range(len(leaves)), spec))
    return {
        names[at]: as_vectors(one) for at, one in enumerate(leaves) if isinstance(one, torch.Tensor)
    }


def open_source(source: str) -> Network | None:
    """The network that a source names, or None where it is none of torch's.

    `torchvision:NAME`, `timm:NAME`; `package.module:callable` runs that code; of a file (`*.pt2`,
    `*.onnx`) nothing runs.
    Errors: `not-found`, `no-backend`, `io-error`, `weights-format`, `not-liftable`.
    """
    if source.endswith(".pt2"):
        return archive.opened(Path(source), source)
    if source.endswith(".onnx"):
        return _onnx(Path(source), source)
    library, colon, name = source.partition(":")
    if not colon:
        return None
    if library in ("timm", "torchvision"):
        origin = {"timm": origins.TIMM, "torchvision": origins.TORCHVISION}[library]
        try:
            with given.watched() as seen:
                return TorchNetwork(origin.made(name), source, seen)
        except ModuleNotFoundError as missing:
            raise error(
                "no-backend",
                f"`{library}` needs {missing.name}, which is not installed",
                help=f"pip install {missing.name}",
            ) from missing
    if not all(part.isidentifier() for part in (*library.split("."), *name.split("."))):
        return None
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)  # as `python -m` does; a command that pip made has its own folder
    try:
        found: Any = importlib.import_module(library)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as problem:
        raise error("not-found", f"`{source}` cannot be imported: {problem}") from problem
    except Exception as problem:  # whatever a stranger's module does
        raise _failed(source, "importing it", problem) from problem
    try:
        with given.watched() as seen:
            model = found if isinstance(found, nn.Module) else found()
    except Exception as problem:
        raise _failed(source, "calling it without arguments", problem) from problem
    return TorchNetwork(model, source, seen) if isinstance(model, nn.Module) else None


def _failed(source: str, doing: str, problem: Exception) -> SpecError:
    said = f"{type(problem).__name__}: {problem}"
    return error(
        "not-liftable",
        f"`{source}`: {doing} ended with {said}",
        help="name a class or function that makes the model without arguments",
    )


def _onnx(path: Path, name: str) -> Network:
    try:
        reader = importlib.import_module("resspec_torch.lift.onnx.network")
    except ModuleNotFoundError as missing:
        raise error(
            "no-backend", f"`{name}` needs {missing.name}, which is not installed",
            help="pip install 'resspec[onnx]' onnxruntime",
        ) from missing  # fmt: skip
    found: Network = reader.opened(path, name)
    return found


def of_module(model: Any, name: str) -> TorchNetwork | None:
    """A live module."""
    return TorchNetwork(model, name) if isinstance(model, nn.Module) else None
