"""Which networks the tests run beside their originals: some always, the small ones in turn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.zoo.cases import Case

SMALL = 9_000_000  # parameters
# Larger ones, with an op or a block that no small one has.
MODERATE = {
    *("tresnet_m", "bat_resnext26ts", "botnet26t_256", "lambda_resnet26t", "efficientnet_cc_b0_4e"),
    *("resnet50_clip", "coatnet_0_rw_224", "swin_t"),
}
# Compared in the order in which layers run (test_attention): its tables are no layers, but looked
# up for a product, which the matching of `port` takes for another shape.
IN_ORDER = ("lambda_resnet26rpt_256",)


@cache
def always() -> tuple[str, ...]:
    """Keys of small networks that together have every op that originals of moderate size have, as
    far as those that take turns have not."""
    return tuple((Path(__file__).parent / "sample.txt").read_text("utf-8").splitlines())


def in_turn(case: Case) -> bool:
    """Whether a network is one of those that take turns."""
    small = case.params < SMALL or case.name in MODERATE
    return small and case.source != "paper" and case.name not in IN_ORDER
