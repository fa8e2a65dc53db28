"""Weight files: exact round trips, and what does not fit a network; broken ones: `attacks`."""

from __future__ import annotations

import math
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from resspec import api
from resspec.diagnostics import SpecError
from resspec.ir import Graph
from resspec.weights import check, draw, encode, fit, load, randomise, read, save
from tests import specs
from tests.refused import refused
from tests.weights import crafted
from tests.weights.memory import Peak


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    found: Graph = specs.load(tmp_path).graph
    return found


def problem(path: Path, graph: Graph) -> Any:
    return refused(load, path, graph)


def test_round_trip_is_exact_and_in_the_graphs_order(tmp_path: Path, graph: Graph) -> None:
    weights = randomise(graph, 5)
    save(tmp_path / "w.safetensors", weights, "tiny")
    back = load(tmp_path / "w.safetensors", graph)
    assert list(back) == list(graph.parameters())
    for name, array in weights.items():
        assert array.tobytes() == back[name].tobytes()
        assert back[name].dtype == np.float32


def test_the_library_itself_reads_it(tmp_path: Path, graph: Graph) -> None:
    save(tmp_path / "w.safetensors", draw(graph), "tiny")
    plain = safetensors.numpy.load_file(tmp_path / "w.safetensors")
    assert set(plain) == set(graph.parameters())
    with safetensors.safe_open(tmp_path / "w.safetensors", "numpy") as file:
        assert file.metadata() == {"spec": "tiny"}


def test_same_weights_same_bytes(graph: Graph) -> None:
    assert encode(draw(graph), "tiny") == encode(draw(graph), "tiny")


def test_float64_is_kept_where_asked_for(tmp_path: Path, graph: Graph) -> None:
    weights = {name: array.astype(np.float64) + 1e-12 for name, array in draw(graph).items()}
    save(tmp_path / "w", weights, "tiny", dtype="float64")
    back = load(tmp_path / "w", graph)
    assert all((back[name] == array).all() for name, array in weights.items())


def test_float16_is_widened(tmp_path: Path, graph: Graph) -> None:
    save(tmp_path / "w", draw(graph), "tiny", dtype="float16")
    assert {array.dtype for array in load(tmp_path / "w", graph).values()} == {np.dtype("float32")}


def test_nothing_is_overwritten_unasked(tmp_path: Path, graph: Graph) -> None:
    path = tmp_path / "w"
    path.write_bytes(b"mine")
    with pytest.raises(SpecError, match="exists"):
        save(path, draw(graph), "tiny")
    assert path.read_bytes() == b"mine"
    save(path, draw(graph), "tiny", force=True)
    load(path, graph)


def test_every_difference_is_listed_with_both_sides(tmp_path: Path, graph: Graph) -> None:
    weights: dict[str, Any] = dict(draw(graph))
    weights["head.extra.weight"] = np.zeros((2, 2))
    weights["stem.conv1.weight"] = np.zeros((4, 3, 5, 5))
    del weights["stem.norm1.bias"]
    save(tmp_path / "w", weights, "other")
    found = problem(tmp_path / "w", graph)
    assert found.code == "weights-mismatch"
    assert "saved for other, does not fit tiny: 3 of" in found.message
    assert [note.message for note in found.notes] == [
        "stem.conv1.weight: the network has 4×3×3×3, the file has 4×3×5×5",
        "stem.norm1.bias: the network has 4, the file has none",
        "head.extra.weight: the network has none, the file has 2×2",
    ]


def test_a_long_list_of_differences_is_cut(tmp_path: Path, graph: Graph) -> None:
    save(tmp_path / "w", {f"x{i}": np.zeros(1) for i in range(50)}, "tiny")
    notes = problem(tmp_path / "w", graph).notes
    assert len(notes) == 21
    assert notes[-1].message == f"and {50 + len(graph.parameters()) - 20} more"


def test_one_shard_of_several_says_what_to_give(tmp_path: Path, graph: Graph) -> None:
    weights = dict(list(draw(graph).items())[:3])
    path = tmp_path / "model-00001-of-00002.safetensors"
    save(path, weights, "tiny")
    assert "give their folder" in str(problem(path, graph).help)


def test_arrays_given_directly_are_checked_too(graph: Graph) -> None:
    weights: dict[str, Any] = dict(draw(graph))
    assert check(weights, graph) is weights
    weights.pop("stem.conv1.weight")
    with pytest.raises(SpecError, match=r"stem\.conv1\.weight") as caught:
        check(weights, graph)
    assert caught.value.diagnostics[0].code == "weights-mismatch"


class Lying:
    """What says that it is a tensor."""

    shape, dtype = (8,), "float32"

    def numpy(self) -> str:
        return "none"


@pytest.mark.parametrize("made", ["lying", "masked", "endless"])
def test_what_is_given_and_holds_no_plain_numbers_is_one_message(graph: Graph, made: str) -> None:
    weights: dict[str, Any] = dict(draw(graph))
    if made == "lying":
        weights["stem.conv1.weight"] = Lying()
    elif made == "masked":
        weights["stem.conv1.weight"] = np.ma.masked_less(weights["stem.conv1.weight"], 0)
    else:
        weights["again"] = weights
    with pytest.raises(SpecError, match="given weights") as caught:
        fit(weights, graph)
    assert caught.value.diagnostics[0].code == "weights-format"


def test_arrays_of_other_machines_are_taken_and_what_would_be_infinite_is_not(graph: Graph) -> None:
    torch = pytest.importorskip("torch")
    weights = draw(graph)
    for kind in (">f4", "<f4", ">f8", np.longdouble):
        given = {name: array.astype(kind) for name, array in weights.items()}
        built = api.build(graph, weights=given).state_dict()["stem.conv1.weight"]
        assert torch.equal(built, torch.from_numpy(weights["stem.conv1.weight"]))
    large = weights | {"stem.conv1.weight": weights["stem.conv1.weight"] * np.float64(1e300)}
    for dtype, one in (("float32", large), ("float16", fit(
        {name: array * 1e10 for name, array in weights.items()}, graph).weights)):  # fmt: skip
        with pytest.raises(SpecError, match=f"holds a number that is too large for {dtype}"):
            api.build(graph, weights=one, dtype=dtype)
    assert api.build(graph, weights=large, dtype="float64") is not None


def test_a_truncated_file(tmp_path: Path, graph: Graph) -> None:
    raw = encode(draw(graph), "tiny")
    for size in (7, 100, len(raw) // 2, len(raw) - 1):
        (tmp_path / "w").write_bytes(raw[:size])
        assert problem(tmp_path / "w", graph).code == "weights-format"


@pytest.mark.parametrize(("magic", "kind"), [(b"PK\x03\x04", "zip"), (b"\x80\x02}", "pickle")])
def test_other_formats_are_named(tmp_path: Path, graph: Graph, magic: bytes, kind: str) -> None:
    (tmp_path / "w").write_bytes(magic + bytes(100))
    assert kind in problem(tmp_path / "w", graph).message


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_must_be_finite(tmp_path: Path, graph: Graph, bad: float) -> None:
    weights = draw(graph)
    weights["stem.conv1.weight"][0, 0, 0, 0] = bad
    save(tmp_path / "w", weights, "tiny")
    found = problem(tmp_path / "w", graph)
    assert found.code == "weights-format"
    assert "stem.conv1.weight holds nan or infinity" in found.message


def test_variances_are_not_below_zero(tmp_path: Path, graph: Graph) -> None:
    weights = draw(graph)
    name = next(name for name, one in graph.parameters().items() if one.role == "var")
    weights[name][1] = -0.5
    save(tmp_path / "w", weights, "tiny")
    found = problem(tmp_path / "w", graph)
    assert (found.code, f"{name} holds variances below zero" in found.message) == (
        "weights-format", True)  # fmt: skip


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("stem.c\u043env1.weight", "\\u043env1.weight: the network has none"),
        ("stem.conv1.weight\u200b", "weight\\u200b: the network has none"),
        ("stem.conv1.parametrizations.weight.original0", "remove_parametrizations"),
        ("stem.conv1.weight_mask", "prune.remove"),
        ("stem.conv1.weight_v\0stem.conv1.weight_g", "remove_weight_norm"),
        ("stem.conv1.weight_bar\0stem.conv1.weight_u", "remove_spectral_norm"),
    ],
)
def test_names_that_look_alike_and_weights_that_are_made_anew_are_told(
    tmp_path: Path, graph: Graph, new: str, says: str
) -> None:
    weights = draw(graph)
    array = weights.pop("stem.conv1.weight")
    save(tmp_path / "w", weights | dict.fromkeys(new.split("\0"), array), "tiny")
    found = problem(tmp_path / "w", graph)
    assert found.code == "weights-mismatch"
    told = [found.help or "", *(note.message for note in found.notes)]
    assert any(says in line for line in told)


def test_axes_of_another_order_and_missing_statistics_are_told(graph: Graph) -> None:
    drawn: dict[str, Any] = dict(draw(graph))
    turned = {**drawn, "head.linear1.weight": drawn["head.linear1.weight"].T}
    assert "axes of these are in another order" in (refused(fit, turned, graph).help or "")
    learned = {name: drawn[name] for name, one in graph.parameters().items() if one.trainable}
    assert "save `model.state_dict()`, not" in (refused(fit, learned, graph).help or "")


def test_what_a_partial_load_left_out_and_is_no_tensor_is_named(
    tmp_path: Path, graph: Graph
) -> None:
    torch = pytest.importorskip("torch")
    state = {name: torch.from_numpy(one) for name, one in draw(graph).items()}
    state["head.linear1.weight"] = types.SimpleNamespace()
    torch.save(state, tmp_path / "w.pth")
    (line,) = read(tmp_path / "w.pth", graph, draw(graph)).left_out
    assert str(line) == (
        "head.linear1.weight: the network has 5×8, in the file it is a `types.SimpleNamespace`, "
        "whose code is never run"
    )


def test_types_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    text = "model: one\ninput: [1, 1, 1]\nhead: [{conv: {out_channels: 1, kernel_size: 1}}]\n"
    graph = specs.load(tmp_path, text).graph
    (name,) = graph.parameters()
    path = crafted.safetensors(tmp_path, {name: crafted.entry("I16", [1, 1, 1, 1], 0, 2)}, bytes(2))
    assert "stored as int16" in problem(path, graph).message


def test_files_that_cannot_be_opened(tmp_path: Path, graph: Graph) -> None:
    for path, code in ((tmp_path / "none", "io-error"), (tmp_path, "weights-format")):
        found = problem(path, graph)
        assert found.code == code
        assert str(path) in found.message


@pytest.mark.parametrize("others", [{}, {"head.linear1.weight": (1 << 28, 8)}])
def test_what_fits_is_read_of_a_file_that_is_much_larger(
    others: dict[str, tuple[int, ...]], graph: Graph, tmp_path: Path
) -> None:
    held = {**randomise(graph), "late.0.conv1.weight": np.zeros(0, np.float32)}
    shapes = {name: array.shape for name, array in held.items()}
    shapes |= {"late.0.conv1.weight": (1 << 14, 1 << 14), **others}
    header, parts, at = {}, b"", 0
    for name, shape in sorted(shapes.items(), key=lambda one: math.prod(one[1])):  # large ones last
        size = 4 * math.prod(shape)
        header[name] = crafted.entry("F32", list(shape), at, at + size)
        parts += np.asarray(held[name], "<f4").tobytes() if size < 1 << 20 else b""
        at += size
    path = crafted.safetensors(tmp_path, header, parts)
    crafted.sparse(path, path.stat().st_size - len(parts) + at, path.read_bytes())
    with pytest.raises(SpecError, match=r"its tensors claim .*(\n.*)*`--partial` what fits"):
        read(path, graph)
    peak = Peak()
    found = read(path, graph, draw(graph, 0))
    assert peak.above() < 64
    assert {line.name for line in found.left_out} == {"late.0.conv1.weight", *others}
    for name, array in found.weights.items():
        if name not in others:
            np.testing.assert_array_equal(array, held[name].astype(np.float32))
