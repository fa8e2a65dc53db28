"""`resspec import` of single operations as strangers write them: each comes in as the ops that say
it, at two sizes where it can, or is refused in one line that is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring

torch: Any = pytest.importorskip("torch")
F: Any = torch.nn.functional


class Small(torch.nn.Module):  # type: ignore[misc]
    """A convolution, and whatever a function makes of what it gives."""

    def __init__(self, then: Callable[[Any, Any], Any]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.c, self.d = torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.Conv2d(8, 8, 1)
        self.p, self.table = (torch.nn.Parameter(torch.randn(n)) for n in (8, (1, 8, 4, 4)))
        self.register_buffer("mask", torch.tensor([1.0, 0.0] * 4).view(1, -1, 1, 1))
        self.then = then

    def forward(self, x: Any) -> Any:
        return self.then(self, self.c(x))


def imported(then: Callable[[Any, Any], Any]) -> bring.Imported:
    return resspec.import_model(Small(then).eval(), torch.zeros(1, 3, 16, 16))


def matrix(s: Any) -> Any:
    return s.d.weight.flatten(1)


def heads(s: Any, x: Any) -> Any:
    x = F.avg_pool2d(x, 4).flatten(2).transpose(1, 2) @ matrix(s).t()
    return x.unflatten(2, (2, 4)).transpose(1, 2)


def attended(s: Any, x: Any, **more: Any) -> Any:
    q = heads(s, x)
    return F.scaled_dot_product_attention(q, q, q, **more).transpose(1, 2).flatten(2).mean(1)


def written(x: Any) -> Any:
    y = x.clone()
    y.add_(1)
    z = x.permute(0, 2, 3, 1).contiguous()
    return x + y + z.mul_(2).permute(0, 3, 1, 2)


ABOVE = torch.ones(16, 16).triu(1) > 0
EVERY = torch.linspace(-1, 1, 256).view(16, 16)
OPS: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    # sizes
    "area, half": (lambda s, x: F.interpolate(x, scale_factor=0.5, mode="area"), "avg_pool"),
    "area, twice": (lambda s, x: F.interpolate(x, scale_factor=2, mode="area"), "resize"),
    "area, to 5×7": (lambda s, x: F.interpolate(x, (5, 7), mode="area"), "adaptive_avg_pool"),
    "area, like another": (
        lambda s, x: (lambda y: F.interpolate(x, y.shape[2:], mode="area") + y)(
            F.max_pool2d(s.d(x), 4)
        ),
        "conv2d max_pool avg_pool add",
    ),
    "max, half of a size": (
        lambda s, x: F.adaptive_max_pool2d(x, (x.shape[2] // 2, x.shape[3])), "max_pool"
    ),
    "rows": (lambda s, x: F.adaptive_avg_pool2d(x, (None, 1)) * F.adaptive_max_pool2d(x, (1, None)),
             "einsum channel_avg_pool einsum einsum channel_max_pool einsum mul"),
    "antialias, larger": (
        lambda s, x: F.interpolate(x, scale_factor=2, mode="bilinear", antialias=True), "resize"
    ),
    "a factor that rounds": (
        lambda s, x: F.interpolate(x, scale_factor=1.3, mode="bilinear", align_corners=True),
        "resize",
    ),
    "a table, enlarged": (
        lambda s, x: x + F.interpolate(s.table, x.shape[2:], mode="bilinear"), "learned resize add"
    ),
    "a divisor": (lambda s, x: F.avg_pool2d(x, 2, divisor_override=3), "avg_pool scale"),
    "max along one": (lambda s, x: F.adaptive_max_pool1d(x.flatten(2), 1).flatten(1),
                      "tokens global_max_pool flatten"),
    "blocks": (lambda s, x: x.unflatten(3, (-1, 2)).unflatten(2, (-1, 4)).amax((3, 5)), "max_pool"),
    "over all": (lambda s, x: x.mean((1, 2, 3), keepdim=True),
                 "global_avg_pool channel_avg_pool"),
    "padded with a number": (lambda s, x: F.pad(x, (1, 2, 0, 1), value=2.0), "shift pad shift"),
    # moves
    "unfold": (lambda s, x: F.unfold(x, 3, padding=1, stride=2).mean(2),
               "windows adaptive_avg_pool flatten"),
    "unfold and fold": (
        lambda s, x: F.fold(F.unfold(x, 4, stride=4).relu(), x.shape[2:], 4, stride=4),
        "windows relu join_windows",
    ),
    "roll channels": (lambda s, x: s.d(torch.roll(x, 3, 1)), "split concat conv2d"),
    "flip": (lambda s, x: x.flip(3), "pad crop"),
    "flip channels": (lambda s, x: x[:, :3].flip(1), "slice split concat"),
    "an order": (lambda s, x: x[:, [1, 0, 4, 5]], "slice slice slice concat"),
    "index_select": (lambda s, x: x.index_select(1, torch.tensor([7, 3])), "slice slice concat"),
    "every second": (lambda s, x: x[:, 1::2], "channel_shuffle slice"),
    "every third": (lambda s, x: x[:, ::3], "slice slice slice concat"),
    "movedim": (lambda s, x: x.movedim(1, -1).mT.sum((1, 3)), "global_sum_pool flatten"),
    "repeated": (lambda s, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3), "resize"),
    "repeated channels": (lambda s, x: x.repeat_interleave(2, 1), "concat channel_shuffle"),
    "side by side": (lambda s, x: torch.hstack([x, x.absolute()]), "scale maximum concat"),
    "hsplit": (lambda s, x: torch.subtract(*torch.hsplit(x, 2)), "split sub"),
    "written into copies": (lambda s, x: written(x), "shift scale add"),
    # products and sums
    "einsum of a matrix": (lambda s, x: torch.einsum("bchw,oc->bohw", x, matrix(s)), "conv2d"),
    "ellipsis": (
        lambda s, x: torch.einsum("...c,dc", x.movedim(1, 3), matrix(s)).movedim(3, 1), "conv2d"
    ),
    "three": (lambda s, x: torch.einsum("bchw,bdhw,bd->bc", x, s.d(x), x.mean((2, 3))),
              "conv2d global_avg_pool einsum einsum flatten"),
    "tensordot": (lambda s, x: torch.tensordot(x, matrix(s), ([1], [1])).movedim(3, 1), "conv2d"),
    "an outer product": (lambda s, x: (x.mean((2, 3))[:, :, None] * x.amax((2, 3))[:, None]).sum(2),
                         "global_avg_pool global_max_pool einsum global_sum_pool flatten"),
    "one channel": (lambda s, x: x - x.amax(1, keepdim=True),
                    "channel_max_pool global_avg_pool scale shift mul sub"),
    "one row": (lambda s, x: x + x.mean(2, keepdim=True),
                "einsum channel_avg_pool einsum resize add"),
    "lerp": (lambda s, x: torch.lerp(x, s.d(x), 0.25), "conv2d sub scale add"),
    "length": (lambda s, x: x / torch.linalg.norm(x, dim=1, keepdim=True).clip(1e-6),
               "l2_normalize"),
    "length over a map": (lambda s, x: F.normalize(x, dim=(2, 3)).sum((2, 3)),
                          "tokens einsum l2_normalize einsum flatten"),
    # choices
    "where": (lambda s, x: torch.where(x > 0, x, torch.zeros_like(x)), "relu"),
    "where, leaky": (lambda s, x: torch.where(x < 0, 0.1 * x, x), "leaky_relu"),
    "masked_fill": (lambda s, x: x.masked_fill(x < 0.5, 0.5), "shift relu shift"),
    "threshold": (lambda s, x: F.threshold(x, 0, 0), "relu"),
    "softshrink": (lambda s, x: F.softshrink(x, 0.5), "shift scale relu6 scale shift sub"),
    "where, a mask": (lambda s, x: torch.where(s.mask > 0, x, s.d(x)), "conv2d scale scale add"),
    "a mask": (lambda s, x: x.masked_fill(s.mask == 0, 2.0), "scale shift"),
    "maximum": (lambda s, x: torch.maximum(torch.fmin(x, torch.tensor(3.0)), s.p.view(-1, 1, 1)),
                "scale shift relu shift scale tlu"),
    "softplus": (lambda s, x: F.softplus(x, beta=2), "scale softplus scale"),
    # attention
    **{f"attention, {name}": (
        lambda s, x, more=more: attended(s, x, **more),
        "avg_pool tokens conv2d scale einsum learned add softmax einsum global_avg_pool flatten",
    ) for name, more in {
        "causal": {"is_causal": True}, "allowed": {"attn_mask": ~ABOVE},
        "forbidden": {"attn_mask": torch.zeros(16, 16).masked_fill(ABOVE, -torch.inf)},
        "added": {"attn_mask": EVERY, "scale": 0.25},
    }.items()},
    "no value": (lambda s, x: (x.relu(), None), "relu"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPS)
def test_it_is_the_ops_that_say_it(name: str) -> None:
    then, ops = OPS[name]
    made = imported(then)
    assert " ".join(step.op.NAME for step in made.recorder.steps[1:]) == ops
    assert {one.quantity for one in made.checks} >= {"outputs", "gradients"}
    one_size = name.startswith("attention") or name in ("a factor that rounds", "flip")
    assert (made.second is None) == one_size


REFUSED: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "factor": (lambda s, x: F.interpolate(x, scale_factor=1.3, mode="bilinear"),
               r"for the 2., where the sizes tell 0.\d+; recompute_scale_factor=True"),
    "tie": (lambda s, x: F.interpolate(x, (41, 41), mode="nearest-exact"), "torch has rounded it"),
    "infinity": (lambda s, x: x * float("inf"), "mul: its value: Input should be a finite number"),
    "antialias": (
        lambda s, x: F.interpolate(x, scale_factor=0.5, mode="bilinear", antialias=True),
        "blurred before it shrinks",
    ),
    "bicubic": (lambda s, x: F.interpolate(x, (9, 9), mode="bicubic", antialias=True),
                "bilinear can be said"),
    "circular": (lambda s, x: F.pad(x, (1, 1, 1, 1), mode="circular"),
                 "a padding of circular; zeros, numbers and `reflect` can be said"),
    "fold": (lambda s, x: F.fold(F.unfold(x, 3), x.shape[2:], 3), "windows that overlap"),
    "roll": (lambda s, x: torch.roll(x, 1), "a shift through rows, channels and examples at once"),
    "softmax": (lambda s, x: x.softmax(0), "softmax: over examples"),
    "choice": (lambda s, x: torch.where(x > 0.5, x, s.d(x)), "a choice by values"),
    "comparison": (lambda s, x: x * (x > 0).float(), "a comparison of values"),
    "all blocked": (lambda s, x: attended(s, x, attn_mask=ABOVE), "a row of a mask that blocks"),
    "norm": (lambda s, x: x.norm(dim=1, keepdim=True), "a length; an op divides"),
    "lengths": (lambda s, x: F.normalize(x, dim=(1, 3)), "not beside each other"),
    "order": (lambda s, x: F.normalize(x, p=1, dim=1), "a length of order 1"),
    "random": (lambda s, x: x + torch.randn_like(x), "randn_like: it draws random numbers"),
    "constant": (lambda s, x: x * torch.bernoulli(torch.full((8, 1, 1), 0.5)), "it draws random"),
    "half": (lambda s, x: x.half().float(), r"it rounds to torch\.float16"),
    "part": (lambda s, x: (x[:, :4].mul_(2), x)[1], "mul_: it writes into a part"),
    "filled": (lambda s, x: (x[:, :4].fill_(2), x)[1], "fill_: it writes into a tensor"),
    "deviation": (lambda s, x: x / x.std(1, keepdim=True), "a module of that norm is read"),
    "sum": (lambda s, x: x.mean(2, keepdim=True) + x.mean(3, keepdim=True), "neither of which"),
    "outer sum": (lambda s, x: (x.mean((2, 3))[:, :, None] + x.amax((2, 3))[:, None]).sum(2),
                  "laid out differently are joined"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_no_op_says_is_told_in_a_right_line(name: str) -> None:
    then, said = REFUSED[name]
    with pytest.raises(SpecError, match=said) as caught:
        imported(then)
    assert {one.code for one in caught.value.diagnostics} == {"not-liftable"}


def test_what_cannot_be_measured_is_no_distance() -> None:
    with pytest.raises(SpecError, match="outputs cannot be compared: `out` holds nan or infinity"):
        imported(lambda s, x: (1000 * x).exp())


def test_sizes_that_the_code_counts_with_are_told() -> None:
    made = imported(lambda s, x: F.interpolate(x, scale_factor=0.75, mode="area"))
    (note,) = made.notes
    assert note.startswith("at 48×80 the original gives 8×36×60, its spec 8×12×12")


@pytest.mark.parametrize(
    "then",
    [lambda s, x: x * s.one.exp(), lambda s, x: x - s.one, lambda s, x: x * torch.sigmoid(s.one)],
    ids=["exp", "sub", "sigmoid"],
)
def test_a_parameter_of_no_axes_is_one_number(then: Callable[[Any, Any], Any]) -> None:
    net = Small(then)
    net.one = torch.nn.Parameter(torch.tensor(0.3))
    made = resspec.import_model(net.eval(), torch.zeros(1, 3, 16, 16))
    assert made.summary.params == 8 * 27 + 8 + 1
    assert {one.quantity for one in made.checks} >= {"outputs", "gradients"}
