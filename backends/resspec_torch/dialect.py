"""What classes of PyTorch modules are written with, and which layers may write over what they read,
as torchvision's do: activations by `inplace=True`; a sum over its first value: a map less to
allocate in each block."""

from __future__ import annotations

from collections import Counter

from resspec.emit import Definition, Item, Layer
from resspec.emit.dialect import Dialect
from resspec.ops.base import Op
from resspec.ops.conv import Conv2d, ConvTranspose2d, ScaledStdConv2d, StdConv2d
from resspec.ops.linear import Linear
from resspec.ops.merge import Add, CheckedAdd
from resspec.ops.norm import BatchNorm, GroupNorm
from resspec.ops.shape import Subsample
from resspec.ops.tokens import Crop

from .snippets import HELPERS

# Attributes of nn.Module that a layer's name must not hide. Those that begin with an underscore
# are not listed: no attribute of ours does. `Ellipsis` is a word of TorchScript's.
MODULE = frozenset(
    """Ellipsis
    T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda
    double dump_patches eval extra_repr float forward get_buffer get_extra_state get_parameter
    get_submodule half ipu load_state_dict modules mtia named_buffers named_children
    named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook
    register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
    set_submodule share_memory state_dict to to_empty train training type xpu zero_grad""".split()
)
# Attributes of nn.ModuleDict, which a member's name must not hide.
MEMBER = MODULE | {"clear", "items", "keys", "pop", "update", "values"}


IMPORTS = (
    (("math", "import math"),),
    (
        ("torch", "import torch"),
        ("F", "import torch.nn.functional as F"),
        ("", "from torch import Tensor, nn"),
    ),
)


def _refuse(model: str) -> list[str]:
    """The method that keeps a network for inference from being trained."""
    return [
        f"    def train(self, mode: bool = True) -> {model}:",
        "        if mode:",
        '            raise RuntimeError("for inference only: train what it was made from")',
        "        super().train(False)",
        "        return self",
    ]


def _lenient(op: Op) -> bool:
    """Whether torch gives a map of no positions where nothing is left; windows refuse it."""
    cut = isinstance(op, Crop) and not (op.height and op.width)
    return cut or isinstance(op, ConvTranspose2d) or (isinstance(op, Subsample) and op.offset > 0)


# What gives a tensor of its own that no gradient is computed from.
FRESH: frozenset[type[Op]] = frozenset({
    Conv2d, StdConv2d, ScaledStdConv2d, ConvTranspose2d, Linear, BatchNorm, GroupNorm, Add,
    CheckedAdd,
})  # fmt: skip
# What a sum may be written over: under autocast these give the dtype of what they are added to.
SUMMED: frozenset[type[Op]] = frozenset({Conv2d, BatchNorm})


def overwriting(definition: Definition) -> frozenset[str]:
    """Names of the layers of which nothing else reads the first input: it is made inside, by an op
    that does not keep it, and read once. A name that is applied again must be free to each time."""
    reads = Counter(value for item in definition.items for value in item.inputs)
    reads.update(definition.outputs)
    fresh = {
        value: item.op
        for item in definition.items
        if isinstance(item, Layer) and item.op in FRESH
        for value in item.outputs
        if reads[value] == 1
    }

    def free(item: Item) -> bool:
        made = fresh.get(item.inputs[0]) if isinstance(item, Layer) and item.inputs else None
        return made is not None and (len(item.inputs) == 1 or made in SUMMED)

    bound = {item.name for item in definition.items if not free(item)}
    return frozenset(item.name for item in definition.items) - bound


DIALECT = Dialect(
    module="nn.Module",
    tensor="Tensor",
    call="forward",
    sequence="nn.Sequential",
    row="nn.ModuleList",
    table="nn.ModuleDict",
    begin=("super().__init__()",),
    ready="self.requires_grad_(False).eval()",
    refuse=_refuse,
    taken=MODULE,
    members=MEMBER,
    globals=("torch", "nn", "F", "Tensor", "annotations", "math", "Module", "Sequential"),
    helpers=HELPERS,
    imports=IMPORTS,
    overwriting=overwriting,
    lenient=_lenient,
)
