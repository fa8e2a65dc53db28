"""Networks of torchvision and timm, for `resspec port`."""

from __future__ import annotations

import contextlib
import inspect
import io
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resspec.diagnostics import error, listed
from resspec.ir import Graph
from resspec.port import origins
from resspec.weights import files
from resspec.weights.fitting import differences, way_out
from resspec_torch.trace import results, trace

STEPS = "num_batches_tracked"
WRAPPERS = ("module.", "_orig_mod.", "model.")  # what training loops put before every name
SHOWN = 20


class Lifted(TorchDispatchMode):
    """Casts to float32 keep float64: what a module computes in single precision whatever it is
    given is computed in double. So is the slope of `hardsigmoid`, which torch has as float32's
    1/6."""

    def __init__(self) -> None:
        super().__init__()
        self.casts = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        narrowed = func is torch.ops.aten._to_copy.default and args[0].dtype == torch.float64
        if narrowed and kwargs.get("dtype") == torch.float32:
            kwargs = {**kwargs, "dtype": torch.float64}
            self.casts += 1
        if func is torch.ops.aten.hardsigmoid_backward.default and args[0].dtype == torch.float64:
            return args[0] * (args[1].abs() < 3) / 6
        return func(*args, **kwargs)


class TorchOriginal:
    """A module whose state dict is read and written."""

    formats = (".pth", ".pt", ".safetensors")
    rounds = taken = ""

    def __init__(self, model: nn.Module, graph: Graph, name: str) -> None:
        self.model = model.eval()
        self.trace = trace(model, (1, *graph.input.type.shape), name)

    def read(
        self, path: Path, key: str | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
        own = {key: tuple(value.shape) for key, value in self.model.state_dict().items()}
        budget = sum(4 * math.prod(shape) for shape in own.values())
        checkpoint = files.read(path, key=key, budget=budget)
        self.taken = checkpoint.described()
        found, dtypes = plain_names(checkpoint)
        given = {key: tuple(value.shape) for key, value in found.items()}
        # counters of training steps are in some checkpoints and not in others
        expected = {key: own[key] for key in own if not key.endswith(STEPS) or key in given}
        lines = differences(given, expected)
        if lines:
            raise error(
                "weights-mismatch",
                f"`{path}` is no checkpoint of {self.trace.name}: {len(lines)} tensors differ",
                notes=listed(lines, SHOWN),
                help=way_out(lines),
            )
        return found, dtypes

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {key: to_numpy(value) for key, value in self.model.state_dict().items()}

    def load(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        state = self.model.state_dict()
        with torch.no_grad():
            for key, array in arrays.items():
                # np.ascontiguousarray would make a vector of a single number
                state[key].copy_(torch.from_numpy(np.array(array, order="C")))

    def encode(
        self, arrays: Mapping[str, NDArray[Any]], dtypes: Mapping[str, str], ending: str
    ) -> bytes:
        given = {
            key: torch.from_numpy(np.array(array)).to(getattr(torch, dtypes.get(key, "float32")))
            for key, array in arrays.items()
        }
        state = {
            key: given.get(key, value).contiguous()
            for key, value in self.model.state_dict().items()
        }
        if ending == ".safetensors":
            return safetensors.torch.save(state)
        stream = io.BytesIO()
        torch.save(state, stream)
        return stream.getvalue()

    def forward(self, x: NDArray[Any]) -> list[NDArray[Any]]:
        dtype = next(self.model.parameters()).dtype
        lifted = Lifted() if dtype == torch.float64 else None
        with torch.no_grad(), lifted or contextlib.nullcontext():
            result = self.model(torch.from_numpy(np.ascontiguousarray(x)).to(dtype))
        self.rounds = "lifted" if lifted and lifted.casts else ""
        return [to_numpy(one) for one in tree_leaves(result)]

    def results(self, x: NDArray[Any]) -> dict[int, tuple[NDArray[Any], NDArray[Any] | None]]:
        dtype = next(self.model.parameters()).dtype
        seen = results(self.model, torch.from_numpy(np.ascontiguousarray(x)).to(dtype))
        return {at: (to_numpy(read), to_numpy(gave)) for at, (read, gave) in seen.items()}


class Library:
    """A library that makes networks by name."""

    backend = "torch"

    def __init__(
        self,
        name: str,
        make: Callable[[str, int, int, int], nn.Module],
        known: Callable[[], list[str]],
    ) -> None:
        self.name, self._make, self._known = name, make, known

    def open(
        self, name: str, graph: Graph, *, dtype: str = "float32", empty: bool = False
    ) -> TorchOriginal:
        name = self._spelt(name, "--model ", "name it with --model")
        channels = graph.input.type.channels
        (_, values), *_ = graph.outputs
        classes = values[0].type.channels
        try:
            model = self._build((name, classes, channels, len(graph.outputs)), empty)
        except (TypeError, ValueError, RuntimeError) as problem:
            raise error(
                "not-found", f"{self.name} cannot make `{name}`: {_line(problem)}"
            ) from problem
        return TorchOriginal(
            model if empty else model.to(getattr(torch, dtype)), graph, f"{self.name}'s {name}"
        )

    def made(self, name: str) -> nn.Module:
        """The network as the library makes it, its tensors drawn. Errors: `not-found`."""
        name = self._spelt(name, "", f"as {self.name} lists them")
        try:
            return self._make(name, 1000, 3, 1)
        except (TypeError, ValueError, RuntimeError) as problem:
            raise error(
                "not-found", f"{self.name} cannot make `{name}`: {_line(problem)}"
            ) from problem

    def _spelt(self, name: str, option: str, help: str) -> str:
        """The name as the library has it. Errors: `not-found`."""
        return origins.spelt(name, self._known(), self.name, option, help)

    def described(self, path: Path, budget: int) -> None:
        """A state dict says nothing of its network."""

    def _build(self, options: tuple[str, int, int, int], empty: bool) -> nn.Module:
        if empty:
            # a constructor that reads numbers out of its tensors cannot run without any
            with contextlib.suppress(NotImplementedError, RuntimeError), torch.device("meta"):
                return self._make(*options)
        return self._make(*options)


def _line(problem: BaseException) -> str:
    first = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
    return first.split(". ")[0][:300]


def _torchvision() -> Any:
    """torchvision, also beside a torch that its compiled operators were not built for: none of the
    networks here needs them, but importing it asks for these two."""
    try:
        import torchvision
    except RuntimeError as problem:
        if "nms" not in str(problem):
            raise
        for module in [key for key in sys.modules if key.split(".")[0] == "torchvision"]:
            del sys.modules[module]
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _KEPT.append(library)
        import torchvision
    return torchvision


_KEPT: list[torch.library.Library] = []  # an operator lives as long as its library


def _make_torchvision(name: str, classes: int, channels: int, outputs: int) -> nn.Module:
    if channels != 3:
        raise ValueError(f"its networks read 3 channels, the spec {channels}")
    models = _torchvision().models
    builder = models.get_model_builder(name)
    taken = {**inspect.signature(builder).parameters}
    if any(one.kind is one.VAR_KEYWORD for one in taken.values()):
        # what a builder hands on to its class as it stands
        made_by = inspect.signature(builder, eval_str=True).return_annotation
        taken |= inspect.signature(made_by).parameters
    # weights are loaded later; drawing those of the inception networks takes half a minute
    options = {
        "weights_backbone": None,
        "init_weights": False,
        "aux_loss": outputs > 1,
        "aux_logits": outputs > 1,
    }
    made: nn.Module = models.get_model(
        name, num_classes=classes, **{key: one for key, one in options.items() if key in taken}
    )
    return made


def _make_timm(name: str, classes: int, channels: int, outputs: int) -> nn.Module:
    _torchvision()
    import timm

    given = {"pretrained": False, "in_chans": channels}
    if getattr(timm.models.get_pretrained_cfg(name), "num_classes", None) == 0:
        plain: nn.Module = timm.create_model(name, **given)  # it gives features, as it is listed
        if getattr(plain, "num_features", None) == classes:
            return plain
    made: nn.Module = timm.create_model(name, num_classes=classes, **given)
    return made


def _timm_names() -> list[str]:
    _torchvision()
    import timm

    return list(timm.list_models())


def _torchvision_names() -> list[str]:
    return list(_torchvision().models.list_models())


def to_numpy(tensor: torch.Tensor) -> NDArray[Any]:
    """A tensor's numbers; half precision as float32, which holds them exactly."""
    if tensor.dtype in (torch.bfloat16, torch.float16):
        tensor = tensor.float()
    found: NDArray[Any] = tensor.detach().cpu().numpy()
    return found


def plain_names(found: files.Checkpoint) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    """Tensors, and what they are stored as, without what training loops put before every name."""
    names = {key: key for key in found.tensors}
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in names.values()):
            names = {key: name.removeprefix(prefix) for key, name in names.items()}
    return (
        {name: found.tensors[key] for key, name in names.items()},
        {name: found.dtypes[key] for key, name in names.items()},
    )


TORCHVISION = Library("torchvision", _make_torchvision, _torchvision_names)
TIMM = Library("timm", _make_timm, _timm_names)
