"""`resspec import`: networks that are there already come in as specs, and are the same."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import resspec
from resspec.diagnostics import SpecError
from resspec.lift import bring, same
from tests.refused import refused

torch = pytest.importorskip("torch")
modules: Any = pytest.importorskip("tests.lift.modules")


def imported(model: Any, size: int = 32) -> bring.Imported:
    made = resspec.import_model(model, torch.zeros(1, 3, size, size))
    assert all(check.ok for check in made.checks)
    return made


@pytest.mark.parametrize("kind", [one.__name__ for one in modules.LIFTED])
def test_what_users_write_is_lifted_and_the_same(kind: str) -> None:
    model = getattr(modules, kind)()
    made = imported(model)
    assert made.summary.params == sum(value.numel() for value in model.parameters())
    assert {check.quantity for check in made.checks} >= {"outputs", "gradients"}


def test_the_spec_on_disk_is_the_network_with_its_weights(tmp_path: Path) -> None:
    model = modules.Residual().eval()
    path = imported(model).save(tmp_path / "mine")
    built = resspec.build(str(path), weights=tmp_path / "mine" / "weights.safetensors").eval()
    x = torch.randn(2, 3, 40, 56)
    assert torch.equal(built(x), model(x))


def test_modules_become_blocks_and_rows_of_them_stages() -> None:
    model = modules.Residual()
    for block in model.blocks:
        block.conv2 = torch.nn.Sequential(block.conv2, torch.nn.Tanh())
    made = imported(model)
    assert list(made.spec.blocks) == ["block"]
    assert made.spec.model["stages"] == [
        {"depth": 2, "width": 8},
        {"depth": 2, "width": 16, "stride": 2},
    ]
    assert "stride != 1 or in_channels != width" in str(made.spec.blocks)


def test_a_block_of_the_library_stands_where_it_is_the_same_graph() -> None:
    made = imported(modules.Residual())
    assert not made.spec.blocks
    assert made.spec.model["block"] == {"basic": {"init": "one"}}
    assert made.spec.model["stages"] == [
        {"depth": 2, "width": 8},
        {"depth": 2, "width": 16, "stride": 2},
    ]


def test_params_are_called_as_the_constructor_calls_them() -> None:
    network = bring.opened("tests.lift.modules:Bottlenecks")
    made = bring.bring(network, (3, 32, 32), "bottlenecks")
    (block,) = made.spec.blocks.values()
    assert list(block["params"]) == ["planes", "stride", "gated"]
    assert made.spec.model["block"] == {"narrow": {"gated": True}} or "gated: true" in str(
        made.files
    )


def test_what_is_applied_again_is_reused_and_sizes_follow_other_values() -> None:
    assert str(imported(modules.Repeated()).files).count("- reuse: c") == 2
    made = imported(modules.Measured())
    assert "like: fine" in str(made.files)
    assert made.second is not None


def test_initial_values_that_show_are_kept() -> None:
    model = modules.Residual()
    for block in model.blocks:
        torch.nn.init.zeros_(block.bn2.weight)
    assert imported(model).spec.model["block"] == "basic"  # its last norm starts at zero
    model.blocks[0].bn2 = torch.nn.BatchNorm2d(8)
    assert "init: [one" in str(imported(model).files) or "init: one" in str(imported(model).files)
    assert "value: 1.0e-06" not in str(imported(modules.Gated()).files)  # the op's own default


@pytest.mark.needs("timm")
def test_a_kernel_that_nothing_trains_is_a_blur_or_refused() -> None:
    from timm.layers import BlurPool2d

    class Edges(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kernel", torch.randn(8, 1, 3, 3))

        def forward(self, x: Any) -> Any:
            return torch.nn.functional.conv2d(x, self.kernel, padding=1, groups=8)

    conv = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert "blur_pool" in str(imported(torch.nn.Sequential(conv, BlurPool2d(8))).files)
    with pytest.raises(
        SpecError, match="its weight is a constant, and no op holds numbers that"
    ) as caught:
        imported(torch.nn.Sequential(conv, Edges()))
    assert [one.code for one in caught.value.diagnostics] == ["not-liftable"]


def test_a_convolution_with_its_norm_and_activation_is_one_line() -> None:
    def row(before: int, width: int) -> Any:
        conv = torch.nn.Conv2d(before, width, 3, padding=1, bias=False)
        return [conv, torch.nn.BatchNorm2d(width), torch.nn.ReLU()]

    made = imported(
        torch.nn.Sequential(*row(3, 8), torch.nn.MaxPool2d(2), *row(8, 16), *row(16, 8))
    )
    assert made.files["sequential.yaml"].count("conv_norm_act: {out_channels:") == 3
    assert made.lines == 7


def test_what_a_function_made_twice_is_a_block() -> None:
    def twice(before: int, width: int) -> Any:
        first = torch.nn.Conv2d(before, width, 3, padding=1)
        second = torch.nn.Conv2d(width, width, 1)
        return torch.nn.Sequential(first, torch.nn.Tanh(), second, torch.nn.Sigmoid())

    made = imported(
        torch.nn.Sequential(twice(3, 8), torch.nn.MaxPool2d(2), *map(twice, (8, 4), (4, 4)))
    )
    assert list(made.spec.blocks) == ["block"]
    assert "original" not in made.files["blocks/block.yaml"]  # it has no class to tell


def test_padding_of_an_odd_size_is_told_at_an_even_one() -> None:
    class Same(torch.nn.Conv2d):
        def forward(self, x: Any) -> Any:
            rows, columns = (max((-(-n // 2) - 1) * 2 + 3 - n, 0) for n in x.shape[2:])
            sides = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
            return super().forward(torch.nn.functional.pad(x, sides))

    widths = ((3, 4), (4, 8), (8, 8))
    made = imported(torch.nn.Sequential(*(Same(a, b, 3, 2) for a, b in widths)), 36)  # 36, 18, 9
    assert str(made.files).count("padding: same") == 3
    assert not made.notes


def test_frozen_parameters_are_compared_and_told() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 1))
    model[0].requires_grad_(False)
    made = imported(model)
    assert made.notes == ["112 of its parameters are frozen; a spec's are trained"]
    assert not any(one.requires_grad for one in model[0].parameters())


@pytest.mark.parametrize("pool", ["avg", "max"])
def test_a_window_that_the_code_makes_as_large_as_the_map_is_a_global_pool(pool: str) -> None:
    class Pooled(torch.nn.Conv2d):
        def __init__(self, size: int = 0) -> None:
            super().__init__(3, 4, 3)
            self.size = size

        def forward(self, x: Any) -> Any:
            x = super().forward(x)
            function = getattr(torch.nn.functional, f"{pool}_pool2d")
            return function(x, self.size or (x.size(2), x.size(3))).flatten(1)

    made = imported(Pooled())
    assert f"global_{pool}_pool" in str(made.files)
    assert made.second
    assert not made.notes
    assert f"- {pool}_pool" in str(imported(Pooled(30)).files)  # of 30 rows and columns, ever


def test_a_mean_over_one_side_and_then_the_other_is_one_of_the_map() -> None:
    files = str(imported(modules.Selective()).files)
    assert "global_avg_pool" in files
    assert "adaptive" not in files


def test_a_number_for_each_example_comes_in_as_a_vector_of_one() -> None:
    layers = (torch.nn.Conv2d(3, 4, 4, 4), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 1, 8))
    made = imported(torch.nn.Sequential(*layers, torch.nn.Flatten(0)))
    assert [one.type.shape for _, (one,) in made.graph.outputs] == [(1,)]
    assert made.notes == [
        "it gives N numbers, its spec N×1",
        "at 64×96 the original makes parts of an example examples of their own",
    ]
    with pytest.raises(SpecError, match="neither"):
        imported(torch.nn.Sequential(*layers, torch.nn.Flatten(0)), 64)


def test_a_view_that_mixes_examples_at_another_size_is_told() -> None:
    class View(torch.nn.Conv2d):
        def forward(self, x: Any) -> Any:
            return super().forward(x).view(-1, 4 * 4 * 4)

    (note,) = imported(View(3, 4, 8, 8)).notes
    assert note == "at 64×96 the original makes parts of an example examples of their own"


def test_slopes_that_torch_has_in_single_precision_are_compared_in_double() -> None:
    assert imported(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Hardsigmoid())).checks


def test_what_layers_share_in_part_is_refused() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1))
    model[1].weight = model[0].weight
    with pytest.raises(SpecError, match="its weight is another layer's, too"):
        imported(model)
    model[1].bias = model[0].bias
    assert imported(model).summary.params == 12


def test_nothing_but_the_message_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    class Decides(torch.nn.Conv2d):
        def forward(self, x: Any) -> Any:
            return super().forward(x) if x.sum() > 0 else x

    with pytest.raises(SpecError, match=r"torch\.export cannot follow Decides"):
        imported(Decides(3, 3, 1))
    with pytest.raises(SpecError, match="has layers without weights"):
        imported(torch.nn.LazyConv2d(4, 1))
    assert capfd.readouterr() == ("", "")


def test_a_model_without_parameters_is_a_network() -> None:
    assert imported(torch.nn.Sequential(torch.nn.Identity(), torch.nn.ReLU())).summary.params == 0


@pytest.mark.needs("torchvision")
def test_resnet50_reads_in_fifteen_lines() -> None:
    network = bring.opened("torchvision:resnet50")
    made = bring.bring(network, (3, 224, 224), "resnet50", check=False)
    assert (made.summary.params, made.summary.macs) == (25_557_032, 4_089_184_256)
    assert made.steps == 175
    assert made.lines <= 15
    assert not made.spec.blocks


def test_half_precision_comes_in_as_float32_and_that_is_said() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()).half()
    made = resspec.import_model(model, torch.zeros(1, 3, 16, 16))
    assert made.notes == ["its tensors are float16; they come in as float32"]
    assert {array.dtype.name for array in made.weights.values()} == {"float32"}


@pytest.mark.slow
@pytest.mark.turns(3)
@pytest.mark.needs("torchvision")
@pytest.mark.parametrize(("name", "lines", "blocks"), [
    ("resnet50", 15, 0), ("resnext50_32x4d", 15, 0), ("wide_resnet50_2", 15, 0),
    ("densenet121", 15, 0), ("regnet_y_400mf", 10, 0), ("convnext_tiny", 27, 1),
    ("vgg16_bn", 46, 0), ("efficientnet_b0", 48, 1), ("mobilenet_v2", 29, 1),
    ("mobilenet_v3_small", 71, 4), ("googlenet", 49, 1), ("squeezenet1_1", 31, 1),
])  # fmt: skip
def test_twelve_networks_read_well(name: str, lines: int, blocks: int) -> None:
    made = bring.bring(bring.opened(f"torchvision:{name}"), (3, 224, 224), name, check=False)
    assert made.lines <= lines
    assert len(made.spec.blocks) <= blocks


def test_what_counts_with_its_size_is_compared_where_it_is_the_same_network() -> None:
    made = imported(modules.Counting(), 96)
    assert (made.size, made.second) == ((96, 96), None)
    (note,) = made.notes
    assert note.startswith("the spec is the original at 96×96; at 128×160 the original is another")


def test_layers_joined_one_after_the_other_are_blocks_in_a_row() -> None:
    made = imported(modules.Dense())
    assert (made.spec.model["block"], made.spec.model["stages"]) == ("layer", [{"depth": 3}])


def test_branches_that_not_all_blocks_have_are_left_out_by_the_others() -> None:
    made = imported(modules.Branched())
    (block,) = made.spec.blocks.values()
    (*_, last) = block["layers"][0]["add"]
    assert last == [
        {"when": "in_channels == width", "then": ["norm"], "else": [{"from": []}]},
    ]


def test_names_of_sources_are_told() -> None:
    for source in ("nothing", "no.such.module:Net", "timm:"):
        assert refused(bring.opened, source).code == "not-found"


IDENTITY = (
    "resnet18", "resnet50", "resnet50d", "seresnet50", "convnext_atto", "mobilenet_v2",
    "densenet121", "shufflenet_v2_x0_5", "nf_resnet26", "ecaresnetlight",
)  # fmt: skip


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", IDENTITY)
def test_what_was_emitted_comes_back_as_the_same_graph(name: str) -> None:
    spec = resspec.load(name, overrides=["input=[3,64,64]"])
    network = bring.of_model(resspec.build(spec), name)
    made = bring.bring(network, (3, 64, 64), name, check=False)
    assert same.alike(made.graph, spec.graph)
    assert made.summary.params == resspec.summarize(spec).params


def test_code_of_the_folder_that_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\ndef made(): return nn.Conv2d(3, 4, 1)\n"
    text += "def asks(width): return made()\ndef ends(): raise RuntimeError('no data')\n"
    (tmp_path / "of_ones_own.py").write_text(text)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [one for one in sys.path if one])
    assert bring.opened("of_ones_own:made").name == "of_ones_own:made"
    for source, said in (
        ("of_ones_own:asks", "TypeError"),
        ("of_ones_own:ends", "RuntimeError: no data"),
        ("broken:made", "ZeroDivisionError"),
    ):
        with pytest.raises(SpecError, match=said) as caught:
            bring.opened(source)
        assert caught.value.diagnostics[0].code == "not-liftable"


def test_macs_are_counted_where_a_parameter_is_handed_on_as_it_is() -> None:
    """As PiT hands on its class token: torch's counter asks who made what asks for a gradient."""
    from tests.lift.table import _macs

    class Handing(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = torch.nn.Parameter(torch.zeros(1, 1, 4))
            self.last = torch.nn.Sequential(torch.nn.Identity())
            self.fc = torch.nn.Linear(4, 2)

        def forward(self, x: Any) -> Any:
            x, token = self.last((x, self.token.expand(len(x), -1, -1)))
            return self.fc(x.flatten(2).mean(-1) + token[:, 0])

    model = Handing()
    assert _macs(model, (4, 8, 8)) == 8
    assert all(one.requires_grad for one in model.parameters())
