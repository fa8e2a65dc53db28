"""Other ways to write what the torch backend emits, so that a run tells which is faster where."""

from __future__ import annotations

import re
from collections.abc import Callable

POINTWISE = '''
class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution as a linear layer on the channels."""

    def forward(self, x: Tensor) -> Tensor:
        y = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias)
        return y.permute(0, 3, 1, 2)

'''
HEAD = "from torch import Tensor, nn\n"


def linear(text: str) -> str:
    """1x1 convolutions with a bias as linear layers."""
    made = re.sub(r"nn\.Conv2d\((\w+), (\w+), 1\)", r"PointwiseConv2d(\1, \2, 1)", text)
    return text if made == text else made.replace(HEAD, HEAD + POINTWISE, 1)


def inplace(text: str) -> str:
    """The sum at the end of a residual into the body's result, which nothing else reads."""
    text = re.sub(r"( +)return (self\.\w+)\(h \+ (\w+)\)\n", r"\1h += \3\n\1return \2(h)\n", text)
    return re.sub(r"( +)return h \+ (\w+)\n", r"\1h += \2\n\1return h\n", text)


def mean(text: str) -> str:
    """Global average pooling as a mean over both axes."""
    text = re.sub(r" +self\.\w*pool\w* = nn\.AdaptiveAvgPool2d\(1\)\n", "", text)
    return re.sub(r"self\.global_avg_pool\d\((\w+)\)", r"\1.mean((2, 3), keepdim=True)", text)


VARIANTS: dict[str, Callable[[str], str]] = {"linear": linear, "inplace": inplace, "mean": mean}


def rewritten(text: str, names: str) -> str:
    """The source with these variants, `linear+inplace`. Raises ValueError for one that changes
    nothing."""
    for name in filter(None, names.split("+")):
        made = VARIANTS[name](text)
        if made == text:
            raise ValueError(f"nothing to write otherwise: {name}")
        text = made
    return text
