"""Which networks the tests run beside their originals: some always, the small ones in turn."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

SMALL = 9_000_000  # parameters
MODERATE = {"tresnet_m", "bat_resnext26ts"}  # have an op that no small one has
# Compared in the order in which layers run (test_attention): `port` does not match them yet.
IN_ORDER = (
    *("botnet26t_256", "halonet_h1", "haloregnetz_b", "lambda_resnet26t", "lambda_resnet26rpt_256"),
    *("efficientnet_cc_b0_4e", "resnet50_clip"),
)


@cache
def always() -> tuple[str, ...]:
    """Keys of small networks that together have every op that originals of moderate size have, as
    far as those that take turns have not."""
    return tuple((Path(__file__).parent / "sample.txt").read_text("utf-8").splitlines())


def in_turn(row: Mapping[str, str]) -> bool:
    """Whether a row's network is one of those that take turns."""
    small = int(row["params"]) < SMALL or row["name"] in MODERATE
    return small and row["source"] != "paper" and row["name"] not in IN_ORDER
