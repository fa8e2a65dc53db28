"""What classes of Flax NNX modules are written with."""

from __future__ import annotations

from resspec.emit.dialect import Dialect

from .snippets import HELPERS

# Attributes of nnx.Module that a layer's name must not hide, and those that it sets or calls
# wherever a module has them (`train`, `nnx.view`); no attribute of ours begins with an underscore.
MODULE = frozenset(
    """decode deterministic eval iter_children iter_modules perturb set_attributes set_view sow
    train use_running_average""".split()
)
# Attributes of nnx.Dict, which a member's name must not hide.
MEMBER = MODULE | frozenset("clear get items keys pop popitem setdefault update values".split())


IMPORTS = (
    (("math", "import math"), ("Sequence", "from collections.abc import Sequence")),
    (
        ("", "import jax"),
        ("jnp", "import jax.numpy as jnp"),
        ("np", "import numpy as np"),
        ("", "from flax import nnx"),
    ),
)


def _refuse(model: str) -> list[str]:
    """The method that keeps a network for inference from being trained."""
    return [
        "    def train(self, **attributes: object) -> None:",
        '        raise RuntimeError("for inference only: train what it was made from")',
    ]


DIALECT = Dialect(
    module="nnx.Module",
    tensor="jax.Array",
    call="__call__",
    sequence="nnx.Sequential",
    row="nnx.List",
    table="nnx.Dict",
    element="layers.{}",
    random=("rngs", "nnx.Rngs"),
    title="{}: Flax NNX modules, channels last.",
    height=1,
    ready="self.eval()",
    refuse=_refuse,
    taken=MODULE,
    members=MEMBER,
    globals=("jax", "jnp", "nnx", "np", "math", "Sequence", "annotations", "rngs", "cls"),
    helpers=HELPERS,
    imports=IMPORTS,
    lenient=lambda op: True,  # XLA slides no window over too few positions, and gives none
)
