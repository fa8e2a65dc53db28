"""Weight files with a few bytes changed: read, or refused with one message, and never slow."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import numpy as np
import pytest

from resspec.diagnostics import SpecError
from resspec.weights.files import read
from tests.weights.crafted import (
    call,
    entry,
    map_,
    name,
    older,
    safetensors,
    tensor,
    torch_file,
    tuple_,
    value,
)

TRIED = 200  # a kind
OPCODES = (
    b"(.0125FIJKMLNPQRSTUVXabcde}ghijlo]pqrst)u\x80\x81\x82\x85\x86\x87\x88\x8a\x8c\x8e\x93\x94\x95"
)
STATE = map_({"conv.weight": tensor((2, 2), (2, 1)), "conv.bias": tensor()})
ROOT = map_({
    "epoch": value(3), "state_dict": STATE, "args": call("argparse.Namespace") + value({"lr": 0.1}) + b"b",
    "optimizer": map_({"state": STATE, "param_groups": value([{"lr": 0.1, "params": [0, 1]}])}),
    "model": name("torch.nn.Linear") + tuple_() + b"\x81" + map_({
        "_parameters": STATE, "_modules": b"}", "_buffers": b"}"}) + b"b",
})  # fmt: skip


def arrays(folder: Path) -> Path:
    np.savez_compressed(folder / "a.npz", a=np.ones((3, 4), "f4"), b=np.ones(3))
    return folder / "a.npz"


KINDS = {
    "zip": lambda folder: torch_file(folder, ROOT),
    "pickles": lambda folder: older(folder, ROOT),
    "npz": arrays,
    "safetensors": lambda folder: safetensors(
        folder, {"a": entry(shape=[2], end=8), "b": entry(shape=[2], begin=8)}
    ),
}


def changed(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 4])):
        place = chance.randrange(len(found))
        match chance.randrange(6):
            case 0:
                found[place] = chance.randrange(256)
            case 1:
                found[place] = chance.choice(OPCODES)
            case 2:
                found[place : place + 4] = chance.choice([b"\xff" * 4, bytes(4), b"\0\0\0\x80"])
            case 3:
                del found[place : place + chance.randrange(1, 40)]
            case 4:
                start = chance.randrange(len(found))
                found[place:place] = found[start : start + chance.randrange(1, 80)]
            case _:
                found[place] ^= 1 << chance.randrange(8)
        found = found or bytearray(b"\0")
    return bytes(found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_few_bytes_changed(tmp_path: Path, kind: str) -> None:
    path, chance = KINDS[kind](tmp_path), random.Random(0)
    data = path.read_bytes()
    said = []
    for _ in range(TRIED):
        path.write_bytes(changed(data, chance))
        try:
            read(path, budget=1000)
        except SpecError as problem:
            said.append(problem.diagnostics)
    assert said
    assert {len(one) for one in said} == {1}


def test_a_few_bytes_of_a_pickle_changed_in_an_archive_that_is_whole(tmp_path: Path) -> None:
    path, chance = torch_file(tmp_path, ROOT), random.Random(1)
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    seen = set()
    for _ in range(2 * TRIED):
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in members.items():
                new = changed(data, chance) if member.endswith(".pkl") else data
                archive.writestr(member, new)
        try:
            read(path, budget=1000)
            seen.add("read")
        except SpecError as problem:
            (found,) = problem.diagnostics
            seen.add(found.message.partition("`: ")[2][:30])
    assert len(seen) > 5  # it is not one check that refuses them all
