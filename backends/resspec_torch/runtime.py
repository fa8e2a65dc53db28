"""Live PyTorch models, which change in place: `resspec.backend.Runtime` and `Live`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from resspec import live
from resspec.backend import Source, Variables
from resspec.diagnostics import error
from resspec.ir import Graph
from resspec.weights.outputs import levelled

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
    if device.type in ("cpu", "meta"):
        return device
    if device.type == "cuda":
        if (device.index or 0) < torch.cuda.device_count():
            return device
    elif device.type == "mps" and torch.backends.mps.is_available():
        return device
    raise error("no-device", f"this machine has no device `{name}` for torch", help=_present())


def _allow_tf32(name: str) -> str:
    """Have products computed so, in the whole process; the dtype that holds their results.
    Raises SpecError(no-device)."""
    device = find_device(name)
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < (8, 0):
        help = "name a GPU that has: `torch@cuda:tf32`"
        raise error("no-device", f"the device `{name}` has no TF32", help=help)
    torch.set_float32_matmul_precision("high")  # convolutions are computed so unless told otherwise
    return "float32"


def _present() -> str:
    count = torch.cuda.device_count()
    return f"present: {', '.join(['cpu', *(f'cuda:{i}' for i in range(count))])}"


def instantiate(graph: Graph, source: Source, device: str, dtype: str | None) -> nn.Module:
    """The model of the source, in training mode as torch makes it, its weights not yet set."""
    if dtype == "tf32":
        dtype = _allow_tf32(device)
    if dtype is not None and dtype not in DTYPES:
        raise error("bad-value", f"no dtype `{dtype}`; torch has {', '.join(DTYPES)} here")
    place = find_device(device)
    with _NothingDrawn(), place:
        model: nn.Module = getattr(live.load(source.text), source.entry)()
    _OUTPUTS[type(model)] = {name: len(values) for name, values in graph.outputs}
    return model.to(device=place, dtype=None if dtype is None else DTYPES[dtype])


class _NothingDrawn(TorchDispatchMode):
    """Layers come as they are allocated: what torch would draw for them is thrown away, and the
    caller's random numbers stay as they are."""

    DRAWN = (torch.ops.aten.uniform_.default, torch.ops.aten.normal_.default)

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled in it: torch would import its compiler to leave it out

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return args[0] if func in self.DRAWN else func(*args, **kwargs or {})


def load_weights(
    model: nn.Module, variables: Variables, weights: Mapping[str, NDArray[Any]]
) -> nn.Module:
    state = model.state_dict(keep_vars=True)
    with torch.no_grad():
        for name, variable in variables.items():
            target, given = state[variable.name], to_torch(weights[name])
            if given.data_ptr() != target.data_ptr():  # else it was written there, into its room
                target.copy_(given)
    return model


def room(model: nn.Module, variables: Variables) -> dict[str, NDArray[Any]]:
    """The memory of parameters by canonical name, where NumPy can write float32 into it."""
    state = model.state_dict()
    return {
        name: value.numpy()
        for name, variable in variables.items()
        if (value := state[variable.name]).dtype == torch.float32
        and value.device.type == "cpu"
        and value.is_contiguous()
    }


def read_weights(model: nn.Module, variables: Variables) -> dict[str, NDArray[Any]]:
    """Arrays by canonical name; bfloat16, which NumPy lacks, as float32."""
    state = model.state_dict(keep_vars=True)
    return {name: to_numpy(state[variable.name]).copy() for name, variable in variables.items()}


def parts(model: nn.Module) -> Iterator[nn.Module]:
    yield from model.modules()


def layers(model: nn.Module, x: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """What each layer gives when it is called first, by its path."""
    found: dict[str, NDArray[Any]] = {}

    def keep(path: str) -> Any:
        def hook(module: nn.Module, given: Any, y: Any) -> None:
            if isinstance(y, Tensor):
                found.setdefault(path, to_numpy(y).copy())

        return hook

    hooks = [one.register_forward_hook(keep(path)) for path, one in model.named_modules() if path]
    try:
        forward(model, x)
    finally:
        for one in hooks:
            one.remove()
    return found


def state(model: nn.Module) -> dict[str, NDArray[Any]]:
    """Every tensor of the state dict; bfloat16, which NumPy lacks, as float32."""
    return {name: to_numpy(value).copy() for name, value in model.state_dict().items()}


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def forward(
    model: nn.Module, x: NDArray[Any], training: bool = False, key: int = 0
) -> tuple[dict[str, list[NDArray[Any]]], nn.Module]:
    with torch.no_grad(), mode(model, training, key):
        found = run(model, x)
    outputs = {name: [_result(value) for value in values] for name, values in found.items()}
    return outputs, model


def _result(value: Tensor) -> NDArray[Any]:
    if value.is_meta:  # its shape is all that is known of it
        return np.broadcast_to(np.float32(np.nan), tuple(value.shape))
    return to_numpy(value).copy()


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
def mode(model: nn.Module, training: bool, key: int) -> Iterator[None]:
    """In that mode, what is random drawn by the key, not by the caller's generators."""
    before = model.training
    cards = {value.device for value in model.parameters() if value.is_cuda}
    model.train(training)
    try:
        with torch.random.fork_rng(devices=list(cards), enabled=training):
            if training:
                torch.manual_seed(key)
            yield
    finally:
        model.train(before)


def run(model: nn.Module, x: NDArray[Any]) -> dict[str, list[Tensor]]:
    """Outputs by name, the levels of a pyramid together."""
    like = next((value for value in model.state_dict().values() if value.is_floating_point()), None)
    found = model(to_torch(x) if like is None else to_torch(x).to(like))
    return levelled(found, _OUTPUTS.get(type(model)))


def to_torch(array: NDArray[Any]) -> Tensor:
    whole = np.ascontiguousarray(array)  # another framework's may be read-only
    return torch.from_numpy(whole if whole.flags.writeable else whole.copy())


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """The tensor's numbers; it shares its memory where NumPy has its dtype."""
    if tensor.is_meta:
        message = "this model is on the device `meta`: it has a form, and no numbers"
        raise error("bad-value", message, help='give it memory: model.to_empty(device="cpu")')
    tensor = tensor.detach().cpu()
    found: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return found
