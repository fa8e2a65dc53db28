"""The PyTorch backend: rules and other words as data, what needs torch behind loaders."""

from __future__ import annotations

from functools import partial

from resspec.backend import Backend, module
from resspec.emit.classes import emit
from resspec_torch.dialect import DIALECT
from resspec_torch.export import FORMATS
from resspec_torch.rules import RULES

_module = partial(module, needs="PyTorch", install="pip install 'resspec[torch]'")

BACKEND = Backend(
    name="torch",
    rules=RULES,
    emitter=partial(emit, dialect=DIALECT),
    runtime=_module("resspec_torch.runtime"),
    training=_module("resspec_torch.training"),
    timing=_module("resspec_torch.timing"),
    live=_module("resspec_torch.runtime"),
    models="torch.nn.modules.module",
    exporter=_module("resspec_torch.export"),
    reader=_module("resspec_torch.files"),
    coarsening=_module("resspec_torch.coarse"),
    rounding=_module("resspec_torch.rounding"),
    formats=FORMATS,
    importer=_module("resspec_torch.lift.network"),
    imports=("timm:*", "torchvision:*", "*.pt2", "*.onnx", "*:*"),
)
