"""Checkpoints as training scripts leave them: read without torch, the right set of tensors."""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.diagnostics import SpecError
from resspec.weights.files import Checkpoint, read
from tests.refused import refused
from tests.weights.memory import Peak

torch = pytest.importorskip("torch")

BUDGET = 1 << 20


@pytest.fixture(scope="module")
def state() -> dict[str, Any]:
    torch.manual_seed(1)
    net = torch.nn.Sequential(
        OrderedDict(
            conv1=torch.nn.Conv2d(3, 8, 3, bias=False),
            bn1=torch.nn.BatchNorm2d(8),
            fc=torch.nn.Linear(8, 10),
        )
    )
    return dict(net.state_dict())


def saved(folder: Path, what: Any, name: str = "a.pth", **options: Any) -> Path:
    torch.save(what, folder / name, **options)
    return folder / name


def same(found: Checkpoint, state: dict[str, Any]) -> bool:
    assert list(found.tensors) == list(state)
    for name, tensor in state.items():
        np.testing.assert_array_equal(found.tensors[name], tensor.float().numpy())
        assert found.dtypes[name] == str(tensor.dtype).removeprefix("torch.")
    return True


def told(path: Path, key: str | None = None) -> str:
    found = refused(read, path, key=key, budget=BUDGET)
    assert found.code in ("weights-format", "io-error")
    return str(SpecError(found))


@pytest.mark.parametrize("zipped", [True, False])
def test_a_state_dict(tmp_path: Path, state: dict[str, Any], zipped: bool) -> None:
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    assert same(read(path, budget=BUDGET), state)


def test_case_with_args(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, {"state_dict": state, "args": argparse.Namespace(lr=0.1)})
    found = read(path, budget=BUDGET)
    assert same(found, state)
    assert found.chosen == "state_dict"


def test_case_two_sets(tmp_path: Path, state: dict[str, Any]) -> None:
    half = {name: one * 0.5 if one.is_floating_point() else one for name, one in state.items()}
    path = saved(tmp_path, {"epoch": 1, "state_dict": state, "state_dict_ema": half}, "a.pth.tar")
    text = told(path)
    assert "2 sets of weights: `state_dict` (8 tensors), `state_dict_ema` (8 tensors)" in text
    assert "--key state_dict" in text
    assert same(read(path, key="state_dict", budget=BUDGET), state)
    assert same(read(path, key="state_dict_ema", budget=BUDGET), half)
    assert "there are `state_dict` (8 tensors), `state" in told(path, "model")


def test_case_nested(tmp_path: Path, state: dict[str, Any]) -> None:
    path = saved(tmp_path, {"model": {"state_dict": state}, "epoch": 1})
    found = read(path, budget=BUDGET)
    assert same(found, state)
    assert found.chosen == "model.state_dict"


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


def network() -> Any:
    return torch.nn.Sequential(
        OrderedDict(
            body=torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)),
            fc=torch.nn.Linear(8, 10),
        )
    )


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


def trained() -> tuple[Any, Any]:
    net = network()
    optimizer = torch.optim.AdamW(net.parameters())
    net[0](torch.zeros(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    return net, optimizer


def loops() -> dict[str, tuple[str, Any, dict[str, Any]]]:
    """What training loops of the field save: the key, the file, and the set that is meant."""
    net, optimizer = trained()
    state = net.state_dict()
    wrapped = {f"module.{name}": one for name, one in state.items()}
    groups = optimizer.state_dict()
    rng = torch.get_rng_state()
    return {
        "plain loop": ("model", {"model": state, "optimizer": groups, "loss": torch.tensor(1.0)}, state),
        "optimiser first": ("net", {"optim": groups, "rng": rng, "net": state}, state),
        "torchvision references": (
            "model",
            {"model": state, "optimizer": groups, "lr_scheduler": {"_last_lr": [0.1]}, "epoch": 3,
             "args": argparse.Namespace(lr=0.1), "scaler": {"scale": torch.tensor(2.0)}},
            state,
        ),
        "ddp": ("state_dict", {"epoch": 1, "arch": "resnet50", "state_dict": wrapped,
                               "best_acc1": torch.tensor(70.0), "optimizer": groups}, wrapped),
        "lightning": (
            "state_dict",
            {"epoch": 1, "pytorch-lightning_version": "2", "state_dict": state,
             "optimizer_states": [groups], "lr_schedulers": [{"last_epoch": 3}],
             "callbacks": {"ModelCheckpoint": {"best_model_score": torch.tensor(0.5)}},
             "loops": {"fit_loop": {"state_dict": {}}}, "hyper_parameters": {"lr": 0.1}},
            state,
        ),
        "deepspeed": (
            "module",
            {"module": state, "optimizer": {"state": {0: {"exp_avg": torch.ones(3, 4)}},
                                            "param_groups": []},
             "param_shapes": [OrderedDict((name, one.shape) for name, one in state.items())],
             "ds_version": "0.14", "csr_tensor_module_names": set()},
            state,
        ),
        "mmengine": ("state_dict", {"meta": {"time": "now", "cfg": {"a": np.float32(3)}},
                                    "state_dict": state, "optimizer": groups,
                                    "message_hub": {"log_scalars": {"lr": np.ones(3)}}}, state),
        "vissl": (
            "classy_state_dict.base_model.model.trunk",
            {"classy_state_dict": {"base_model": {"model": {
                "trunk": {**state, **{f"b.{name}": one for name, one in state.items()}},
                "heads": {"0.weight": torch.ones(3, 4)}}}}},
            {**state, **{f"b.{name}": one for name, one in state.items()}},
        ),
        "the same set twice": ("model", {"model": state, "net": state}, state),
        "the same tensors twice": ("model", {"model": state, "best": dict(state)}, state),
        "a swapped average": ("", {**wrapped, "n_averaged": torch.tensor(3)},
                              {**wrapped, "n_averaged": torch.tensor(3)}),
        "a criterion": ("model", {"model": state, "criterion": {"weight": torch.ones(10)}}, state),
        "parameters": ("", {"p": torch.nn.Parameter(torch.ones(2, 3))}, {"p": torch.ones(2, 3)}),
    }  # fmt: skip


@pytest.mark.parametrize("loop", list(loops()))
def test_the_one_model_beside_whatever_else_is_taken_and_said(tmp_path: Path, loop: str) -> None:
    key, what, meant = loops()[loop]
    found = read(saved(tmp_path, what), budget=BUDGET)
    assert found.chosen == key
    assert same(found, meant)
    assert (f"took `{key}`" in found.described()) == bool(key)


@pytest.mark.parametrize(
    "names",
    [
        ("generator", "discriminator"),
        ("student", "teacher"),
        ("model", "ema"),
        ("model", "model_ema"),
        ("state_dict", "ema_state_dict"),
    ],
)
def test_of_several_models_one_must_be_named(tmp_path: Path, names: tuple[str, str]) -> None:
    first, second = ({"w": torch.full((2, 3), float(i)), "b": torch.ones(2)} for i in range(2))
    path = saved(tmp_path, {names[0]: first, names[1]: second, "optimizer": {}})
    text = told(path)
    assert f"`{names[0]}` (2 tensors), `{names[1]}` (2 tensors)" in text
    assert f"--key {names[0]}" in text
    assert same(read(path, key=names[1], budget=BUDGET), second)


def test_an_average_inside_of_the_set_that_it_is_of(tmp_path: Path) -> None:
    state = {"w": torch.ones(2, 3), "b": torch.ones(2)}
    average = {name: one * 0.5 for name, one in state.items()}
    path = saved(tmp_path, {**state, "average": average})
    assert "`''` (2 tensors), `average` (2 tensors)" in told(path)
    assert same(read(path, key="", budget=BUDGET), state)
    assert same(read(path, key="average", budget=BUDGET), average)


def test_a_few_tensors_beside_a_model_are_said(tmp_path: Path, state: dict[str, Any]) -> None:
    found = read(saved(tmp_path, {"model": state, "mean": torch.ones(3)}), budget=BUDGET)
    assert found.described() == "took `model` (8 tensors); also there, with --key: `''` (1)"


def test_a_key_may_be_the_start_of_the_names(tmp_path: Path) -> None:
    state = {f"{net}.{name}": torch.full((2, 2), float(i)) for i, net in enumerate(["net", "ema"])
             for name in ("a.weight", "b.weight")}  # fmt: skip
    path = saved(tmp_path, {"state_dict": state})
    for key in ("state_dict.ema", "ema"):
        found = read(path, key=key, budget=BUDGET)
        assert list(found.tensors) == ["a.weight", "b.weight"]
        assert found.tensors["a.weight"][0, 0] == 1
        assert found.chosen == "state_dict.ema"
    assert "did you mean `--key state_dict`?" in told(path, "state_dikt")


def test_a_key_may_be_the_end_of_a_place(tmp_path: Path) -> None:
    one, two = {"w": torch.ones(2, 2)}, {"w": torch.zeros(2, 2)}
    path = saved(tmp_path, {"a": {"net": one}, "b": {"net": two, "ema": two | {"v": one["w"]}}})
    assert read(path, key="ema", budget=BUDGET).chosen == "b.ema"
    assert "there are `a.net` (1 tensor)" in told(path, "net")
    path = saved(tmp_path, {"a.b": one, "a": {"b": two}})
    assert "it holds 2 sets that are called `a.b`" in told(path, "a.b")


def test_a_set_in_a_list_is_named_by_its_place(tmp_path: Path) -> None:
    nets = [{"w": torch.full((2, 2), float(i)), "v": torch.ones(2)} for i in range(3)]
    path = saved(tmp_path, {"models": nets})
    assert "`models.0` (2 tensors), `models.1` (2 tensors)" in told(path)
    assert same(read(path, key="models.2", budget=BUDGET), nets[2])


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


def test_a_trainers_folder(tmp_path: Path, state: dict[str, Any]) -> None:
    saved(tmp_path, state, "pytorch_model.bin")
    saved(tmp_path, {"state": {}, "param_groups": []}, "optimizer.pt")
    saved(tmp_path, argparse.Namespace(lr=1), "training_args.bin")
    (tmp_path / "config.json").write_text("{}")
    assert same(read(tmp_path, budget=BUDGET), state)


def test_a_folder_that_holds_the_weights_twice_says_so_or_asks(
    tmp_path: Path, state: dict[str, Any]
) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(state, tmp_path / "model.safetensors")
    saved(tmp_path, {**state, "tied.weight": state["fc.weight"]}, "pytorch_model.bin")
    saved(tmp_path, {"w": torch.ones(2)}, "adapter.pt")
    found = read(tmp_path, budget=BUDGET)
    np.testing.assert_array_equal(found.tensors["fc.weight"], state["fc.weight"].numpy())
    assert found.described() == (
        "took the weights of `model.safetensors`, as `pytorch_model.bin` has them, not of "
        "`adapter.pt`"
    )
    both = "it holds `model.safetensors` and `pytorch_model.bin`, which are not the same: "
    last = "fc.bias"  # whatever was compared before it is the same
    for other, why in (
        (state | {last: state[last] + 1}, f"`{last}` has other numbers"),
        (state | {last: torch.ones(3)}, f"`{last}` is another, or not there"),
        ({name: one for name, one in state.items() if name != last}, f"`{last}` is another"),
        (argparse.Namespace(lr=1), "it holds a `argparse.Namespace`"),
    ):
        saved(tmp_path, other, "pytorch_model.bin")
        assert both + why in told(tmp_path)


def test_of_two_lists_of_shards_none_is_guessed(tmp_path: Path, state: dict[str, Any]) -> None:
    for kind, factor in (("", 1), (".half", 2)):
        name = f"pytorch_model{kind}-1.bin"
        saved(tmp_path, {key: one * factor for key, one in state.items()}, name)
        listed = json.dumps({"weight_map": dict.fromkeys(state, name)})
        (tmp_path / f"pytorch_model{kind}.bin.index.json").write_text(listed)
    assert "which are not the same" in told(tmp_path)
    assert same(read(tmp_path / "pytorch_model.bin.index.json", budget=BUDGET), state)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (argparse.Namespace(), "a `argparse.Namespace`, whose code is never run"),
        (argparse.Namespace(lr=1), "a `argparse.Namespace`, whose code is never run"),
        (np.float64(1), "a `numpy"),
        ("fc.npy", "a text, no tensor"),
        (0.5, "a number, no tensor"),
        ([0.5, 1.5], "a list, no tensor"),
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
    "place",
    ["unet/diffusion_pytorch_model.safetensors", "data/model.pth", "logs/version_0/last.ckpt",
     "global_step9/mp_rank_00_model_states.pt"],
)  # fmt: skip
def test_a_folder_of_folders_says_where_weights_may_be(
    tmp_path: Path, state: dict[str, Any], place: str
) -> None:
    (tmp_path / place).parent.mkdir(parents=True)
    saved(tmp_path, state, place)
    saved((tmp_path / place).parent, {}, "optimizer.pt")
    (tmp_path / "config.json").write_text("{}")
    assert f"weights may be in `{place}`" in told(tmp_path)


def test_a_number_of_many_bytes_beside_the_weights(tmp_path: Path, state: dict[str, Any]) -> None:
    for protocol in (2, 4):
        what = {"state_dict": state, "seed": 1 << 100_000, "n": -(1 << 70)}
        assert same(read(saved(tmp_path, what, pickle_protocol=protocol), budget=BUDGET), state)


def test_a_zip_around_a_file_is_to_be_unpacked(tmp_path: Path, state: dict[str, Any]) -> None:
    inner = saved(tmp_path, state)
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.write(inner, "a.pth")
    assert refused(read, tmp_path / "b.zip", budget=BUDGET).help == "unpack it first"


def test_shards_are_put_together(tmp_path: Path, state: dict[str, Any]) -> None:
    names = list(state)
    for number, half in enumerate((names[:3], names[3:])):
        saved(tmp_path, {name: state[name] for name in half}, f"pytorch_model-{number}.bin")
    places = {name: f"pytorch_model-{0 if name in names[:3] else 1}.bin" for name in names}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    assert same(read(tmp_path, budget=BUDGET), state)
    assert same(read(tmp_path / "pytorch_model.bin.index.json", budget=BUDGET), state)


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


@pytest.mark.parametrize("of_jax", [False, True])
def test_a_tree_of_modules_that_was_pickled_is_one_set(tmp_path: Path, of_jax: bool) -> None:
    """As users of JAX keep parameters; beside an optimiser's copy of the tree, and Linen's two."""
    make = pytest.importorskip("jax.numpy").asarray if of_jax else np.asarray
    kernel, bias = make(np.ones((3, 4), "f")), make(np.ones(4, "f"))
    tree = {"stem": {"kernel": kernel}, "head": {"kernel": kernel, "bias": bias}}
    statistics = {"stem": {"mean": bias}}
    names = ["head.bias", "head.kernel", "stem.kernel"]
    for what, key, expected in (
        (tree, None, names),
        ({"params": tree, "opt_state": {"mu": tree}, "step": 3}, None, names),
        ({"params": tree, "batch_stats": statistics}, None, [*names, "stem.mean"]),
        ({"raw": tree, "ema": copy.deepcopy(tree)}, "ema", names),
    ):
        (tmp_path / "a.pkl").write_bytes(pickle.dumps(what))
        found = read(tmp_path / "a.pkl", key=key, budget=BUDGET)
        assert sorted(found.tensors) == expected
        assert found.tensors["head.kernel"].shape == (3, 4)


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
