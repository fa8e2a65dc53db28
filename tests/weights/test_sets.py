"""Which tensors are meant of a file that holds more than one set, and of a folder of files."""

from __future__ import annotations

import argparse
import copy
import json
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resspec.weights.files import read
from tests.weights.written import BUDGET, network, same, saved, told

torch = pytest.importorskip("torch")


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


def test_shards_are_put_together(tmp_path: Path, state: dict[str, Any]) -> None:
    names = list(state)
    for number, half in enumerate((names[:3], names[3:])):
        saved(tmp_path, {name: state[name] for name in half}, f"pytorch_model-{number}.bin")
    places = {name: f"pytorch_model-{0 if name in names[:3] else 1}.bin" for name in names}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    assert same(read(tmp_path, budget=BUDGET), state)
    assert same(read(tmp_path / "pytorch_model.bin.index.json", budget=BUDGET), state)


def test_parts_without_an_index_are_put_together_where_all_are_there(
    tmp_path: Path, state: dict[str, Any]
) -> None:
    names = list(state)
    for number, half in enumerate((names[:3], names[3:]), 1):
        part = {name: state[name] for name in half}
        saved(tmp_path, part, f"pytorch_model-{number:05d}-of-00002.bin")
    assert same(read(tmp_path, budget=BUDGET), state)
    (tmp_path / "pytorch_model-00001-of-00002.bin").unlink()
    says = "it holds 1 of 2 files that belong together; the first that is missing is number 1"
    assert says in told(tmp_path)


def test_what_an_index_lists_and_no_file_holds_is_named(
    tmp_path: Path, state: dict[str, Any]
) -> None:
    saved(tmp_path, {name: state[name] for name in state if name != "fc.bias"}, "a.bin")
    listed = json.dumps({"weight_map": dict.fromkeys(state, "a.bin")})
    (tmp_path / "pytorch_model.bin.index.json").write_text(listed)
    for path in (tmp_path, tmp_path / "pytorch_model.bin.index.json"):
        assert "its index lists `fc.bias`, which none of its files holds" in told(path)


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
