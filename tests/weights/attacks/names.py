"""How an attack is noted, and what many of them need."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.weights.crafted import map_, plain, tensor, torch_file

Make = Callable[[Path], Path]
ATTACKS: dict[str, tuple[Make, str]] = {}
DAMAGED = "its pickle is damaged or cut off"
UNKNOWN = "it is no file of weights: neither PyTorch's"
TOO_MUCH = "it holds too much beside its tensors"
ZIP = "its zip archive is damaged or cut off"
DAMAGED_SHAPE = "a tensor's shape is damaged"
CANARY = "CANARY"
TOUCH = f"touch {CANARY}"
GOOD = map_({"fc.bias": tensor()})
GB = 1 << 30
SYSTEM = b"cposix\nsystem\n(S'" + TOUCH.encode() + b"'\ntR"


def attack(says: str = "") -> Callable[[Make], Make]:
    def note(make: Make) -> Make:
        ATTACKS[make.__name__] = (make, says)
        return make

    return note


def simple(label: str, says: str, make: Make) -> None:
    ATTACKS[label] = (make, says)


def code(label: str, says: str, raw: bytes) -> None:
    """A pickle alone; that it is one shows where its protocol stands at its start."""
    if says == DAMAGED and not raw.startswith(b"\x80"):
        raw = b"\x80\x02" + raw
    simple(label, says, lambda folder: plain(folder, raw))


def root(label: str, says: str, piece: bytes) -> None:
    simple(label, says, lambda folder: torch_file(folder, piece))
