"""A PyTorch module as atoms: it is run once without computing anything, and every operation that
the dispatcher sees is noted. So functional uses of parameters are seen as well as layers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from resspec.port.dataflow import (
    ACTIVATIONS,
    INPUT,
    Flow,
    Part,
    Tensor,
    Trace,
    combined,
    flow_of,
    joined,
    matrix,
    multiplied,
    plain,
    subtracted,
)

SMALL = 1e-2  # constants below this that are added may be an eps
CHANNELWISE = frozenset({
    "add", "rsub", "div", "maximum", "minimum", "clamp", "clamp_min", "pow", "neg",
    "_adaptive_avg_pool2d", "constant_pad_nd", "clone",
    "upsample_bilinear2d", "upsample_nearest2d", "dropout", "native_dropout", "feature_dropout",
    "detach", "alias", "_to_copy", "contiguous", "copy", "reflection_pad2d",
})  # fmt: skip
UNFUSED = partial(sdpa_kernel, SDPBackend.MATH)  # attention as the products that it is made of
POOLS = {"max_pool2d_with_indices": "maxpool", "avg_pool2d": "avgpool"}


@dataclass(frozen=True, slots=True)
class Derived:
    """A tensor made of parameters alone. `axes`: how it permutes the one it views; `eps`: of a
    standardisation on the way."""

    names: frozenset[str]
    axes: tuple[int, ...] | None = None
    eps: float | None = None


class Recorder(TorchDispatchMode):
    """Notes which tensors come from the input and which from parameters alone."""

    def __init__(self, trace: Trace, parameters: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.trace = trace
        self.parameters = parameters
        self.data: dict[int, Flow] = {}
        self.derived: dict[int, Derived] = {
            id(value): Derived(frozenset({name}), tuple(range(value.dim())))
            for name, value in parameters.items()
        }
        self.alive: list[Any] = []  # so that no address is used twice
        # what each operation read and gave, as it was then, where that is wanted
        self.results: dict[int, tuple[torch.Tensor, torch.Tensor]] | None = None
        self.path = ""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.split("::")[-1]
        inputs = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
        outputs = [one for one in tree_leaves(result) if isinstance(one, torch.Tensor)]
        self.alive += [inputs, outputs]
        flows = [self.data[id(one)] for one in inputs if id(one) in self.data]
        used = [self.derived[id(one)] for one in inputs if id(one) in self.derived]
        if not flows:
            if used:
                made = self._derive(name.rstrip("_"), args, used)
                for one in outputs:
                    self.derived.setdefault(id(one), made)
            return result
        if not outputs:
            return result
        if used:
            read = next(one for one in inputs if id(one) in self.data)
            kept = None if self.results is None else (read.clone(), outputs[0].clone())
            found = [self._layer(name, args, outputs[0])] * len(outputs)
            if self.results is not None and kept is not None:
                self.results[self.trace.operations - 1] = kept
        else:
            found = self._stateless(name.rstrip("_"), args, kwargs or {}, flows, outputs)
        for one, flow in zip(outputs, found, strict=True):
            self.data[id(one)] = flow
        return result

    # -- values made of parameters alone ---------------------------------------------------

    def _derive(self, name: str, args: tuple[Any, ...], used: Sequence[Derived]) -> Derived:
        names = frozenset().union(*(one.names for one in used))
        eps = next((one.eps for one in used if one.eps is not None), None)
        axes = used[0].axes if len(used) == 1 else None
        if name in (
            "index",
            "view",
            "reshape",
            "unsqueeze",
            "squeeze",
            "expand",
            "select",
            "slice",
        ):
            axes = None  # it is no permutation of the parameter any more
        if axes is not None and name in ("t", "transpose", "permute", "numpy_T"):
            axes = _permuted(axes, name, args)
        if name == "native_batch_norm" or name == "native_layer_norm":
            eps = args[-1]
        elif name == "add" and len(args) > 1 and _small(args[1]):
            eps = float(args[1])
        return Derived(names, axes, eps)

    # -- operations with parameters --------------------------------------------------------

    def _layer(self, name: str, args: tuple[Any, ...], output: torch.Tensor) -> Flow:
        flow = combined([self.data[id(one)] for one in tree_leaves(args) if id(one) in self.data])
        parts: list[Part] = []
        known: dict[str, Any] = {}
        kind = name
        for at, given in enumerate(args):
            for one in given if isinstance(given, list | tuple) else (given,):  # `cat` takes a list
                if isinstance(one, torch.Tensor) and id(one) in self.derived:
                    parts += self._parts(name, args, at, one, known)
        if name in ("convolution", "_convolution"):
            stride, dilation, groups = args[3], args[5], args[8]
            kind = "conv_transpose2d" if args[6] else f"conv{args[0].dim() - 2}d"
            if args[0].dim() == 4:
                known |= {"stride": tuple(stride), "dilation": tuple(dilation), "groups": groups}
        elif name in ("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm"):
            kind, known["eps"], known["momentum"] = "batch_norm", args[7], args[6]
        elif name == "_native_batch_norm_legit_no_training":
            kind, known["eps"], known["momentum"] = "batch_norm", args[6], args[5]
        elif name in ("native_layer_norm", "native_group_norm", "_fused_rms_norm"):
            kind = {"_fused_rms_norm": "rms_norm"}.get(name, name.removeprefix("native_"))
            if args[-1] is not None:
                known["eps"] = args[-1]
        elif name in ("addmm", "mm", "bmm", "linear"):
            kind = "linear"
        elif len(flow.added) == 1 and parts[0].role == "scale":
            (known["eps"],) = flow.added
        channels = output.shape[1] if output.dim() > 1 else 1
        return self.trace.operation(Flow(flow.segments), parts, channels, self.path, kind, **known)

    def _parts(
        self, name: str, args: tuple[Any, ...], at: int, used: torch.Tensor, known: dict[str, Any]
    ) -> list[Part]:
        """Roles of the parameters behind one argument."""
        derived = self.derived[id(used)]
        role = _role(name, args, at)
        main, *others = sorted(
            derived.names,
            key=lambda one: (self.parameters[one].numel() != used.numel(), one),
        )
        if derived.eps is not None:
            known["weight_eps"] = derived.eps
        extra = [self._channelwise("gain", one) for one in others]
        if role not in ("conv", "conv_transpose", "matrix"):
            return [self._channelwise(role, main), *extra]
        value = self.parameters[main]
        shape = tuple(value.shape)
        if role == "matrix":
            # (in, out) is what is multiplied; canonical is (out, in)
            axes = derived.axes
            if axes is None or len(axes) != 2:
                axes = (1, 0) if shape[::-1] == tuple(used.shape) else (0, 1)
            order = (axes[0], axes[1]) if name == "linear" else (axes[1], axes[0])
            tensor = Tensor(main, shape, () if order == (0, 1) else order)
            extents = matrix((shape[order[0]], shape[order[1]]))
            return [Part("conv", tensor, extents), *extra]
        return [Part(role, Tensor(main, shape), matrix(tuple(used.shape))), *extra]

    def _channelwise(self, role: str, name: str) -> Part:
        value = self.parameters[name]
        return Part(role, Tensor(name, tuple(value.shape)), (value.numel(),))

    # -- operations without ----------------------------------------------------------------

    def _stateless(
        self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], flows: list[Flow],
        outputs: list[torch.Tensor],
    ) -> list[Flow]:  # fmt: skip
        first = outputs[0]
        channels = first.shape[1] if first.dim() > 1 else 1
        if name == "cat" and (args[1] if len(args) > 1 else 0) in (1, 1 - first.dim()):
            empty = [Flow(((one.shape[1], frozenset()),)) for one in args[0]]
            return [joined([self.data.get(id(one), none)
                            for one, none in zip(args[0], empty, strict=True)])]  # fmt: skip
        if name in ("split", "split_with_sizes") and len(args) > 2 and args[2] == 1:
            start, parts = 0, []
            for one in outputs:
                parts.append(flows[0].cut(start, start + one.shape[1]))
                start += one.shape[1]
            return parts
        if name == "slice" and len(args) > 1 and args[1] == 1:
            start = max(args[2] or 0, 0) if len(args) > 2 else 0
            return [flows[0].cut(start, start + channels)]
        act = plain(name.lstrip("_").removesuffix("_forward"))
        if act in ACTIVATIONS:
            return [flows[0].activated(act)]
        if name in POOLS:
            return [flows[0].activated(POOLS[name])] * len(outputs)
        if name == "mul":
            return [multiplied(flows)]
        if name == "sub" and len(flows) == 2:
            return [subtracted(flows)]
        if name in CHANNELWISE or name in ("slice", "sub"):
            flow = combined(flows)
            if name == "add" and len(args) > 1 and _small(args[1]):
                flow = Flow(flow.segments, flow.added | {float(args[1])})
            return [flow] * len(outputs)
        return [combined([flow.mixed(channels) for flow in flows])] * len(outputs)


def _small(value: Any) -> bool:
    return isinstance(value, int | float) and 0 < value < SMALL


def _permuted(axes: tuple[int, ...], name: str, args: tuple[Any, ...]) -> tuple[int, ...]:
    if name == "permute":
        return tuple(axes[at] for at in args[1])
    order = list(axes)
    a, b = (args[1], args[2]) if name == "transpose" else (0, -1)
    if len(order) > 1:
        order[a], order[b] = order[b], order[a]
    return tuple(order)


def _role(name: str, args: tuple[Any, ...], at: int) -> str:
    """What an argument of an operation does to the data."""
    base = name.rstrip("_")
    if base in ("convolution", "_convolution"):
        return "shift" if at == 2 else "conv_transpose" if args[6] else "conv"
    if base == "addmm":
        return "shift" if at == 0 else "matrix"
    if base in ("mm", "bmm", "matmul"):
        return "matrix"
    if base == "linear":
        return "matrix" if at == 1 else "shift"
    if "batch_norm" in base:
        return ("data", "scale", "shift", "mean", "var")[at]
    if base == "native_group_norm":
        return ("data", "scale", "shift")[at]
    if base == "native_layer_norm":
        return ("data", "", "scale", "shift")[at]
    if base == "addcmul":
        return "shift" if at == 0 else "scale"
    words = {"add": "shift", "sub": "shift", "mul": "scale", "div": "divisor",
             "_prelu_kernel": "slope", "_fused_rms_norm": "scale"}  # fmt: skip
    return words.get(base, base)


def trace(model: torch.nn.Module, shape: tuple[int, ...], name: str = "") -> Trace:
    """The atoms of a module, for inputs of this shape (N, C, H, W); the mode of the module is put
    back. The module may be on the meta device. Nothing is computed."""
    found = Trace(name or type(model).__name__)
    parameters = dict(model.named_parameters(remove_duplicate=True))
    buffers = {key: value for key, value in model.named_buffers() if _is_running(model, key)}
    everything = parameters | buffers
    recorder = Recorder(found, everything)
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad(), UNFUSED(), _paths(model, recorder), _faked(model, shape) as x:
            recorder.data[id(x)] = flow_of(INPUT, shape[1])
            with recorder:
                result = model(x)
    finally:
        for module, training in modes:
            module.training = training
    for one in tree_leaves(result):
        if isinstance(one, torch.Tensor) and id(one) in recorder.data:
            found.outputs.append(recorder.data[id(one)])
    read = {atom.part.tensor.name for atom in found.atoms}
    found.unread = [key for key in everything if key not in read]
    return found


def results(
    model: torch.nn.Module, x: torch.Tensor
) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """What each operation with parameters, as `trace` numbers them, reads of the data and gives, in
    evaluation mode."""
    parameters = dict(model.named_parameters(remove_duplicate=True))
    buffers = {key: value for key, value in model.named_buffers() if _is_running(model, key)}
    recorder = Recorder(Trace(""), parameters | buffers)
    recorder.results = {}
    with torch.no_grad(), UNFUSED():
        recorder.data[id(x)] = flow_of(INPUT, x.shape[1])
        with recorder:
            model(x)
    return recorder.results


def _is_running(model: torch.nn.Module, key: str) -> bool:
    """Whether a buffer is a running statistic: of a layer that normalises with it."""
    path, _, local = key.rpartition(".")
    return local in ("running_mean", "running_var") and hasattr(model.get_submodule(path), "eps")


@contextlib.contextmanager
def _faked(model: torch.nn.Module, shape: tuple[int, ...]) -> Iterator[torch.Tensor]:
    first = next(iter(model.parameters()))
    if first.is_meta:
        yield torch.empty(shape, device="meta", dtype=first.dtype)
        return
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        yield torch.empty(shape, device=first.device, dtype=first.dtype)


@contextlib.contextmanager
def _paths(model: torch.nn.Module, recorder: Recorder) -> Iterator[None]:
    """While inside, the recorder knows which module runs."""
    handles = []
    for path, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            continue
        before, after = _hooks(recorder, path)
        handles.append(module.register_forward_pre_hook(before))
        handles.append(module.register_forward_hook(after))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hooks(recorder: Recorder, path: str) -> tuple[Callable[..., None], Callable[..., None]]:
    outer: list[str] = []

    def before(module: Any, args: Any) -> None:
        outer.append(recorder.path)
        recorder.path = path

    def after(module: Any, args: Any, result: Any) -> None:
        recorder.path = outer.pop()

    return before, after
