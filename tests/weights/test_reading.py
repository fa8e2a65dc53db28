"""Checkpoints as training scripts leave them, read without torch: every number as it was stored."""

from __future__ import annotations

import argparse
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.weights.files import read
from tests.refused import refused
from tests.weights.memory import Peak
from tests.weights.written import BUDGET, network, same, saved, told

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict(tmp_path: Path, state: dict[str, Any], zipped: bool) -> None:
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    assert same(read(path, budget=BUDGET), state)


def test_case_plain_npz(tmp_path: Path, state: dict[str, Any]) -> None:
    np.savez(tmp_path / "plain.npz", **{name: one.numpy() for name, one in state.items()})
    assert same(read(tmp_path / "plain.npz", budget=BUDGET), state)


def test_case_expanded(tmp_path: Path) -> None:
    path = saved(tmp_path, {"w": torch.zeros(1, dtype=torch.float16).expand(40_000, 50_000)})
    assert path.stat().st_size < 2000
    peak = Peak()
    assert "its tensors claim 7.5 GB, `w` alone 7.5 GB" in told(path)
    assert peak.above() < 256


def test_case_keys(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, dict(enumerate(state.values())))
    assert "the tensors in it have no names: a key is a number, `0`" in told(path)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "complex64", "int64", "bool"])
def test_case_odd_dtypes(tmp_path: Path, dtype: str) -> None:
    path = saved(tmp_path, {"conv1.weight": torch.ones(4, 3, 3, 3).to(getattr(torch, dtype))})
    text = told(path)
    assert f"`conv1.weight` is stored as {dtype}; weights are read as float16" in text
    assert "`.float()`" in text


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["", "model"])
def test_a_model_that_was_pickled_as_a_whole(tmp_path: Path, zipped: bool, where: str) -> None:
    net = network()
    what = {"model": net, "epoch": 3} if where else net
    found = read(saved(tmp_path, what, _use_new_zipfile_serialization=zipped), budget=BUDGET)
    assert same(found, net.state_dict())
    assert found.chosen == where


def test_a_whole_model_keeps_what_its_code_would_not_save_out(tmp_path: Path) -> None:
    net = network()
    net.register_buffer("mask", torch.ones(3), persistent=False)
    net.register_buffer("offset", torch.ones(3))
    assert same(read(saved(tmp_path, net), budget=BUDGET), net.state_dict())


def views() -> dict[str, Any]:
    base = torch.arange(240, dtype=torch.float32).reshape(2, 3, 8, 5)
    return {
        "channels last": base.to(memory_format=torch.channels_last),
        "transposed": base[0, 0].t(),
        "a slice": base[1, :, 2:7, ::2],
        "a row of many": base.flatten()[200:],
        "expanded": torch.ones(3, 1).expand(3, 7),
        "a number": torch.tensor(3.5),
        "nothing": torch.zeros(0, 3),
        "one of each": torch.ones(1, 1, 1),
        "half": base.half(),
        "bfloat16": base.bfloat16(),
        "half, transposed": base[0, 0].half().t(),
        "bfloat16, transposed": base[0, 0].bfloat16().t(),
        "large bfloat16": torch.linspace(-1, 1, 700_001).bfloat16(),
        "double": base.double() + 1e-12,
        "counter": torch.tensor(7),
        "index table": torch.arange(12).reshape(3, 4),
        "mask": torch.tensor([True, False]),
        "small": torch.tensor([1, 2], dtype=torch.uint8),
    }


@pytest.mark.parametrize("protocol", [2, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_every_view_gives_its_numbers(tmp_path: Path, zipped: bool, protocol: int) -> None:
    path = saved(tmp_path, views(), _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    found = read(path, budget=BUDGET)
    for name, tensor in views().items():
        expected = tensor.float() if tensor.dtype in (torch.half, torch.bfloat16) else tensor
        np.testing.assert_array_equal(found.tensors[name], expected.numpy(), name)
        assert found.tensors[name].dtype == expected.numpy().dtype
        assert found.dtypes[name] == str(tensor.dtype).removeprefix("torch.")


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_that_were_pickled(tmp_path: Path, protocol: int) -> None:
    arrays = {"small": np.arange(6.0).reshape(2, 3), "large": np.arange(9000, dtype=np.float32),
              "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
              "half": np.arange(4, dtype=np.float16), "big": np.arange(4, dtype=">f4")}  # fmt: skip
    with (tmp_path / "a.pkl").open("wb") as file:
        pickle.dump(
            {"model": arrays, "__author__": "us", "matching_heuristics": True}, file, protocol
        )
    found = read(tmp_path / "a.pkl", budget=BUDGET)
    assert found.chosen == "model"
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.tensors[name], array.astype(found.tensors[name].dtype))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_a_state_dict_pickled_without_torch_save(tmp_path: Path, protocol: int) -> None:
    state = network().state_dict()
    with (tmp_path / "a.pkl").open("wb") as file:
        pickle.dump(state, file, protocol)
    assert same(read(tmp_path / "a.pkl", budget=BUDGET), state)


def test_a_file_of_a_big_endian_machine(tmp_path: Path, state: dict[str, Any]) -> None:
    turned = {name: one.numpy().byteswap() for name, one in state.items()}
    path = saved(tmp_path, {name: torch.from_numpy(one) for name, one in turned.items()})
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "b.pth", "w") as new:
        for name in old.namelist():
            new.writestr(name, b"big" if name.endswith("byteorder") else old.read(name))
    assert same(read(tmp_path / "b.pth", budget=BUDGET), state)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_safetensors(tmp_path: Path, dtype: str) -> None:
    st = pytest.importorskip("safetensors.torch")
    state = {"b": torch.ones(3, 4).to(getattr(torch, dtype)), "a": torch.ones(3).double(),
             "empty": torch.zeros(0), "n.num_batches_tracked": torch.tensor(3)}  # fmt: skip
    st.save_file(state, tmp_path / "a.bin", {"spec": "tiny"})
    found = read(tmp_path / "a.bin", budget=BUDGET)
    assert found.metadata == {"spec": "tiny"}
    assert {name: found.dtypes[name] for name in ("a", "b")} == {"a": "float64", "b": dtype}
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.float().numpy())


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_of_bit(tmp_path: Path, save: Any) -> None:
    """The names and the layout of BiT's files, which a reader must know to turn."""
    arrays = {
        "resnet/root_block/standardized_conv2d/kernel": np.random.rand(7, 7, 3, 64),
        "resnet/block1/unit01/a/group_norm/gamma": np.random.rand(64),
        "resnet/head/conv2d/kernel": np.random.rand(1, 1, 64, 10).astype("f2"),
    }
    save(tmp_path / "BiT.npz", **arrays)
    found = read(tmp_path / "BiT.npz", budget=BUDGET)
    assert found.layout == "HWIO"
    assert list(found.tensors) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.tensors[name], array)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (argparse.Namespace(), "a `argparse.Namespace`, whose code is never run"),
        (argparse.Namespace(lr=1), "a `argparse.Namespace`, whose code is never run"),
        (np.float64(1), "a `numpy"),
        ("fc.npy", "a text, no tensor"),
        (0.5, "a number, no tensor"),
        ([0.5, 1.5], "a list, no tensor"),
        ([[0.5], [1.5]], "a list, no tensor"),
        ({"of": torch.ones(2)}, "a dict, no tensor"),
        (argparse.Namespace(data=torch.ones(2)), "a `argparse.Namespace`, whose code is never run"),
    ],
)
def test_what_stands_in_a_tensors_place_is_named(
    tmp_path: Path, state: dict[str, Any], what: Any, says: str
) -> None:
    path = saved(tmp_path, {**state, "fc.weight": what})
    assert f": `fc.weight` is {says}" in told(path)
    whole = {"state_dict": state, "fc.weight": what, "epoch": 3}  # where there are no tensors
    assert same(read(saved(tmp_path, whole), budget=BUDGET), state)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\r\n  <!doctype html><html>", "it is a web page"),
        (b"\xef\xbb\xbf<HTML>", "it is a web page"),
        (b"<?xml version='1.0'?><Error>", "it is a web page"),
        (b'{"error":"Repository not found"}', "a server's answer that there is none"),
        (bytes(5000), "it begins with zeros alone"),
        (b"\x08\x08\x12\x07pytorch", "`resspec import` takes ONNX files"),
    ],
)
def test_what_a_download_left_is_named(tmp_path: Path, data: bytes, says: str) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    assert says in told(tmp_path / "model.onnx")


@pytest.mark.parametrize("code", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"])  # fmt: skip
def test_every_kind_of_number_that_numpy_saves_is_read(tmp_path: Path, code: str) -> None:
    array = np.arange(6).reshape(2, 3).astype(code)
    np.savez(tmp_path / "a.npz", **{"fc.weight": np.ones((2, 3), "f4"), "table": array})
    found = read(tmp_path / "a.npz", budget=BUDGET).tensors["table"]
    np.testing.assert_array_equal(found, array)


def test_a_number_of_many_bytes_beside_the_weights(tmp_path: Path, state: dict[str, Any]) -> None:
    for protocol in (2, 4):
        what = {"state_dict": state, "seed": 1 << 100_000, "n": -(1 << 70)}
        assert same(read(saved(tmp_path, what, pickle_protocol=protocol), budget=BUDGET), state)


def test_a_zip_around_a_file_is_to_be_unpacked(tmp_path: Path, state: dict[str, Any]) -> None:
    inner = saved(tmp_path, state)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(inner, "a.pth")
    assert refused(read, tmp_path / "b.zip", budget=BUDGET).help == "unpack it first"


@pytest.mark.parametrize(
    ("files", "name", "says"),
    [
        (("ck-1.index", "ck-1.data-00000-of-00001"), "ck-1", "TensorFlow"),
        (("ck-1.index", "ck-1.data-00000-of-00001"), "ck-1.data-00000-of-00001", "TensorFlow"),
        (("ck-1.index", "checkpoint"), "", "TensorFlow"),
        (("_CHECKPOINT_METADATA",), "", "Orbax"),
        (("100/_CHECKPOINT_METADATA",), "", "Orbax"),
        (("state.msgpack",), "state.msgpack", "msgpack_restore"),
    ],
)
def test_what_only_its_framework_reads_says_the_way(
    tmp_path: Path, files: tuple[str, ...], name: str, says: str
) -> None:
    for one in files:
        (tmp_path / one).parent.mkdir(exist_ok=True)
        (tmp_path / one).write_bytes(b"\x00\x01")
    assert says in told(tmp_path / name)


def test_what_a_file_is_called_does_not_matter(tmp_path: Path, state: dict[str, Any]) -> None:
    for name in ("a.safetensors", "a.npz", "a.ckpt", "a", "a.h5"):
        assert same(read(saved(tmp_path, state, name), budget=BUDGET), state)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda: torch.ones(4, 4).to_sparse(), "sparse"),
        (lambda: torch.ones(4, 4).to_sparse_csr(), "sparse"),
        (lambda: torch.quantize_per_tensor(torch.ones(4), 0.1, 0, torch.qint8), "quantised"),
        (lambda: torch.ones(4, 4, device="meta"), "on the meta device"),
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "a nested tensor"),
        (lambda: torch.ones(4, dtype=torch.complex64).conj(), "conjugated or negated"),
        (lambda: torch.ones(4).to(torch.float8_e5m2), "stored as float8_e5m2"),
        (lambda: torch.ones(4, dtype=torch.int8), "stored as int8"),
    ],
)
def test_what_is_no_plain_tensor_is_named(tmp_path: Path, make: Any, kind: str) -> None:
    text = told(saved(tmp_path, {"conv1.weight": make(), "epoch": 3}))
    assert "`conv1.weight`" in text
    assert kind in text


@pytest.mark.filterwarnings("ignore")
def test_archives_that_hold_code_are_refused(tmp_path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "a.pt")
    assert "it is a TorchScript archive" in told(tmp_path / "a.pt")
    torch.export.save(
        torch.export.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),)), tmp_path / "a.pt2"
    )
    assert "it is an exported program" in told(tmp_path / "a.pt2")


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({}, "it holds no tensors: it is empty"),
        ({"epoch": 3, "lr": 0.1}, "it holds no tensors: it has `epoch`, `lr`"),
        ([1, 2], "it holds no state dict: it is a list"),
        (torch.ones(3), "it holds one tensor without a name"),
        ([torch.ones(3)], "have no names"),
        ({b"a": torch.ones(3)}, "a key is bytes"),
        ({None: torch.ones(3)}, "a key is None"),
        ({(1, 2): torch.ones(3)}, "a key is a tuple"),
        ({"a": torch.ones(3), 1: torch.ones(3)}, "a key is a number"),
    ],
)
def test_what_is_no_state_dict(tmp_path: Path, what: Any, says: str) -> None:
    assert says in told(saved(tmp_path, what))
