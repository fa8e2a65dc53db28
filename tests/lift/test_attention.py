"""`resspec import` of what attends: products of values, tokens, windows, positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import resspec
from resspec import compile
from resspec.diagnostics import SpecError
from resspec.lift import bring, probe
from resspec.options import LoadOptions

torch = pytest.importorskip("torch")
attending: Any = pytest.importorskip("tests.lift.attending")
modules: Any = pytest.importorskip("tests.lift.modules")


def brought(model: Any, size: int, check: Any = "outputs") -> bring.Imported:
    made = bring.bring(bring.of_model(model, "mine"), (3, size, size), "mine", check=check)
    assert made.checks
    assert made.summary.params == sum(value.numel() for value in model.parameters())
    return made


def test_products_written_out_are_the_library_s_transformer(tmp_path: Path) -> None:
    made = brought(attending.Attends(), 16, check=True)
    assert {"outputs", "gradients"} <= {check.quantity for check in made.checks}
    assert made.spec.model["block"] == "transformer"
    assert made.spec.model["stages"] == [{"depth": 2, "heads": 3}]
    assert "concat_columns" in str(made.spec.model["stem"])
    assert made.second is None  # its table of positions has one size
    path = made.save(tmp_path / "mine")
    larger = compile.load(str(path), LoadOptions().having("input=[3, 32, 32]")).graph
    with pytest.raises(SpecError, match="weight"):  # a network with a larger table
        resspec.build(larger, weights=path.parent / "weights.safetensors")


@pytest.mark.needs("timm")
def test_a_vision_transformer_of_timm_reads_in_twenty_lines() -> None:
    from timm.models.vision_transformer import VisionTransformer

    model = VisionTransformer(img_size=16, patch_size=4, embed_dim=12, depth=2, num_heads=3)
    made = brought(model, 16)
    assert made.lines <= 20
    assert not made.spec.blocks


@pytest.mark.needs("torchvision")
def test_shifted_windows_with_their_mask_and_table_of_ways() -> None:
    from torchvision.models.swin_transformer import SwinTransformer

    made = brought(SwinTransformer([4, 4], 16, [2], [2], [4, 4], num_classes=5), 32)
    text = str(made.files)
    assert "swin_block" in text or ("relative_bias" in text and "add_coordinates" in text)
    assert "join_windows" in text or "swin_block" in text


@pytest.mark.needs("timm")
@pytest.mark.parametrize("kind", ["bottleneck", "halo", "lambda", "pool"])
def test_queries_that_know_where_keys_stand(kind: str) -> None:
    from timm.layers.attention_pool2d import AttentionPool2d
    from timm.layers.bottleneck_attn import BottleneckAttn
    from timm.layers.halo_attn import HaloAttn
    from timm.layers.lambda_layer import LambdaLayer

    layer, said = {
        "bottleneck": (BottleneckAttn(16, feat_size=(8, 8), num_heads=2), "relative_logits"),
        "halo": (HaloAttn(16, num_heads=2, block_size=4, halo_size=1), "keys: 6"),
        "pool": (AttentionPool2d(16, feat_size=8, num_heads=2), "learned"),
        "lambda": (LambdaLayer(16, num_heads=2, dim_head=4, r=3), "dilation: [8, 1]"),
    }[kind]
    made = brought(torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2, 1), layer), 16)
    assert said in str(made.files).replace("\\n", "\n")


def test_a_mask_of_other_than_shifted_windows_comes_with_the_weights() -> None:
    made = brought(attending.Attends(masked=True), 16)
    assert "trained: false" in str(made.files)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("kind", ["group", "layer", "instance", "batch"])
def test_norms_with_a_scale_or_a_shift_alone(kind: str, scaled: bool) -> None:
    made = resspec.import_model(modules.HalfNorm(kind, scaled), torch.zeros(1, 3, 12, 12))
    assert {check.quantity for check in made.checks} >= {"outputs", "gradients"}


@pytest.mark.parametrize(("stride", "windows"), [(1, 1), (2, 1), (1, 2)])
def test_biases_by_distance_are_windows_of_a_mirrored_table(stride: int, windows: int) -> None:
    model = attending.Distances(4, stride, windows).eval()
    x = torch.randn(1, 3, 16 * windows, 16 * windows)
    before = model(x)
    made = resspec.import_model(model, x)
    assert {"outputs", "gradients"} <= {check.quantity for check in made.checks}
    text = str(made.files)
    assert "learned: {size: 4, std: 0.0}" in text
    assert "mode: reflect" in text
    assert torch.equal(model(x), before)  # nothing of the trace is left in it


class Stored(torch.nn.Module):
    """Numbers that nothing trains: added, multiplied by, and read by layers as XCiT reads waves."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv, self.last = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.Conv2d(6, 8, 1)
        self.fc = torch.nn.Linear(8, 8)
        waves = torch.sin(torch.arange(384.0))
        self.register_buffer("waves", waves.view(1, 6, 8, 8))

        self.register_buffer("square", waves[:64].view(8, 8))
        self.register_buffer("where", torch.linspace(-1, 1, 8).view(1, 1, 8, 1).repeat(1, 1, 1, 8))

    def forward(self, x: Any) -> Any:
        x = self.conv(x)
        if self.kind == "waves":
            x = (x.flatten(2) + self.last(self.waves).flatten(2)).view(x.shape)
        elif self.kind == "added":
            x = x - self.waves[0, :1] + torch.arange(8, dtype=x.dtype).cos() * self.square
        elif self.kind == "multiplied":
            x = x * self.square / (2 + self.square)
        elif self.kind == "linear":
            x = torch.nn.functional.linear(x.permute(0, 2, 3, 1), self.square, self.fc.bias)
            x = (x @ self.square).permute(0, 3, 1, 2)
        elif self.kind == "joined":
            places = self.where.expand(x.shape[0], -1, -1, -1)
            x = torch.cat([x, places, places.transpose(2, 3)], 1)
        return x.flatten(1)


@pytest.mark.parametrize("kind", ["waves", "added", "multiplied", "linear", "joined"])
def test_numbers_that_nothing_trains_come_with_the_weights(kind: str, tmp_path: Path) -> None:
    model = Stored(kind).eval()
    made = resspec.import_model(model, torch.zeros(1, 3, 32, 32))
    assert {"outputs", "gradients"} <= {check.quantity for check in made.checks}
    assert "trained: false" in str(made.files)
    assert any("come with its weights alone" in note for note in made.notes)
    path = made.save(tmp_path / "mine")
    built = resspec.build(str(path), weights=path.parent / "weights.safetensors").eval()
    x = torch.randn(2, 3, 32, 32)
    assert torch.allclose(built(x), model(x), atol=1e-5)


def test_numbers_that_no_spec_can_hold_are_told() -> None:
    class Masked(Stored):
        def forward(self, x: Any) -> Any:
            x = self.conv(x)
            return torch.sort(x + self.waves[0, :1].log()).values

    with pytest.raises(SpecError) as caught:
        probe.recorded(bring.of_model(Masked(""), "mine"), (3, 32, 32))
    said = [one.message for one in caught.value.diagnostics]
    assert said[0].endswith("numbers that are not finite, or not the same for each example")
    assert [one for one in said[1:] if "sort" not in one] == []  # and nothing that follows from it
