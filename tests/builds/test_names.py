"""No name in a spec hits a name of Python's or of a framework's, wherever the name goes."""

from __future__ import annotations

import builtins
import copy
import importlib
import io
import keyword
import pickle
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec_tensorflow.functions import GLOBALS, OWN  # noqa: E402
from resspec_tensorflow.snippets import HELPERS as KERAS_HELPERS  # noqa: E402
from resspec_torch.dialect import DIALECT, MEMBER, MODULE  # noqa: E402
from resspec_torch.snippets import HELPERS as TORCH_HELPERS  # noqa: E402
from torch import nn  # noqa: E402

from resspec import api  # noqa: E402
from resspec import backend as backends  # noqa: E402
from resspec.diagnostics import SpecError  # noqa: E402
from resspec.emit.attributes import is_attribute  # noqa: E402
from resspec.language.checker import RESERVED, is_identifier  # noqa: E402
from tests.builds.twins import agree, graph  # noqa: E402

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 2, 2)
HEAD = "model: net\ninput: [3, 2, 2]\n"
LOCALS = (
    "_ _1 _x x h y z u v w i j k turn step self cls super Net Stem blocks layer1 inputs".split()
)
LANGUAGE = set(
    "index residual repeat reuse from as when then else layers add concat mul split norm act conv".split()
)


class Plain(nn.Module):
    """What every emitted class begins as."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def usable(names: Iterable[str]) -> list[str]:
    """Those that a spec may use at all, in order."""
    return sorted(name for name in {*names} if is_identifier(name) and name not in RESERVED)


def of_files() -> list[str]:
    """Names that an emitted file of classes has, and Python's."""
    return usable({*DIALECT.globals, *TORCH_HELPERS, *of_python(), *LOCALS})


@cache
def of_torch() -> list[str]:
    """Those, and names of live modules: plain, in a dictionary, scripted, traced and compiled."""
    plain = Plain()
    live = (
        plain,
        nn.ModuleDict(),
        nn.ModuleList(),
        nn.Sequential(),
        torch.jit.script(plain),
        torch.fx.symbolic_trace(plain),
        torch.compile(plain),
    )
    found = {name for one in live for name in (*dir(one), *vars(one))}
    return usable({*found, *of_files()})


def of_python() -> list[str]:
    return usable({*dir(builtins), *keyword.softkwlist})


@cache
def of_keras() -> list[str]:
    """Names that an emitted file of functions has, and those of Keras' models."""
    import keras

    x = keras.Input((1,))
    found = {name for name in dir(keras.Model(x, x)) if not name.startswith("__")}
    few = [name for name in sorted(found) if name.startswith("_") or len(name) < 6]
    return usable({*few, *GLOBALS, *OWN, *KERAS_HELPERS, *LOCALS, "print", "float", "range"})


@cache
def of_jax() -> list[str]:
    """Names that an emitted file of modules has, and those of live modules: plain, in a dictionary, a
    list and a row, and what `train` and `eval` set."""
    nnx = pytest.importorskip("flax.nnx")
    dialect = importlib.import_module("resspec_jax.dialect").DIALECT
    live = (nnx.Module, nnx.Dict(), nnx.List(), nnx.Sequential(), nnx.BatchNorm, nnx.Dropout)
    found = {name for one in live for name in (*dir(one), *vars(one)) if name[:2] != "__"}
    set_ = "set_view tag deterministic use_running_average decode rngs graphdef state params batch_stats".split()
    own = {*dialect.globals, *dialect.helpers, *dialect.taken, *dialect.members}
    return usable({*found, *set_, *own, *LOCALS, "jax", "flax", "print", "float", "range", "match"})


def labels(names: Iterable[str]) -> str:
    return f"{HEAD}stem:\n" + "".join(f"  - {{gain: {{value: 1.01}}, as: {n}}}\n" for n in names)


def values(names: Iterable[str]) -> str:
    lines = (f"  - as: {n}\n  - sigmoid\n  - add: [{n}, []]\n" for n in names)
    return f"{HEAD}stem:\n" + "".join(lines)


def params(names: Iterable[str], op: str = "gain") -> str:
    """Each is an argument, since its number differs between two calls."""
    names = [*names]
    declared = ", ".join(f"{n}: 1.0" for n in names)
    given = ", ".join(f"{n}: {1 + k * 1e-5:.6}" for k, n in enumerate(names, 1))
    layers = "".join(f"      - {{{op}: {{value: {n}}}}}\n" for n in names)
    return (
        f"{HEAD}blocks:\n  b:\n    params: {{{declared}}}\n    layers:\n{layers}"
        f"stem:\n  - {{b: {{{given}}}}}\n  - b\n"
    )


def kept(names: Iterable[str]) -> str:
    """Each is an argument that `forward` reads."""
    return params((n for n in names if n != "scale"), "scale")


def blocks(names: Iterable[str]) -> str:
    from resspec.ops import OPS
    from resspec.zoo import shipped

    names = [n for n in names if n not in OPS and n not in LANGUAGE and not shipped(n, "block")]
    made = "".join(f"  {n}: {{layers: [{{gain: {{value: 1.01}}}}, tanh, gelu]}}\n" for n in names)
    return f"{HEAD}blocks:\n{made}stem:\n" + "".join(f"  - {n}\n" for n in names)


def outputs(names: Iterable[str]) -> str:
    return f"{HEAD}stem: [relu]\noutputs:\n" + "".join(f"  {n}: [sigmoid]\n" for n in names)


MAKERS = (labels, values, params, kept, blocks, outputs)


def run(graph: Any, backend: str) -> dict[str, list[np.ndarray[Any, Any]]]:
    return backends.get(backend).runtime().forward(api.build(graph, backend), X)[0]


def scripted(model: Any) -> dict[str, Any]:
    """What the model gives after TorchScript has written and read it."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    file.seek(0)
    found = torch.jit.load(file)(torch.from_numpy(X))
    return found if isinstance(found, dict) else {"out": found}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_a_name_of_torch_or_python_is_as_good_as_any(
    make: Callable[[Iterable[str]], str], tmp_path: Path
) -> None:
    names = of_files() if make in (params, blocks) else of_torch()
    net = graph(make(names), tmp_path)
    model = api.build(net).eval()
    wanted = backends.get("torch").runtime().forward(model, X)[0]
    for name, value in scripted(model).items():
        np.testing.assert_allclose(value.detach().numpy(), wanted[name][0], rtol=1e-5, atol=1e-6)
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    assert twin.state_dict().keys() == model.state_dict().keys()
    source = api.compile_for(net, "torch").source
    assert list(source.variables) == list(net.parameters())  # canonical names are the spec's
    read = backends.get("torch").runtime().read_weights(model, source.variables)
    assert all(read[name].shape == param.shape for name, param in net.parameters().items())


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
@pytest.mark.parametrize(("backend", "names"), [("tensorflow", of_keras), ("jax", of_jax)])
def test_a_name_of_keras_or_nnx_is_as_good_as_any(
    backend: str, names: Callable[[], list[str]], make: Callable[[Iterable[str]], str],
    tmp_path: Path,
) -> None:  # fmt: skip
    net = graph(make(names()), tmp_path)
    found, wanted = run(net, backend), run(net, "torch")
    assert found.keys() == wanted.keys()
    for name, (value,) in found.items():
        np.testing.assert_allclose(value, wanted[name][0], rtol=2e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_no_attribute_of_a_module_can_be_hidden() -> None:
    own = {*dir(Plain()), *vars(Plain())}
    assert not [name for name in own if is_attribute(name, MODULE)]
    assert {name for name in own if name[0] != "_"} <= MODULE
    assert {name for name in dir(nn.ModuleDict()) if name[0] != "_"} <= MEMBER


def test_a_label_that_is_a_private_attribute_of_a_module(tmp_path: Path) -> None:
    text = """\
model: m
input: [3, 8, 8]
stem:
  - conv: {out_channels: 3, kernel_size: 1}
    as: _modules
"""
    agree(text, tmp_path)
    assert list(graph(text, tmp_path).parameters()) == ["stem._modules.weight"]


def test_a_value_that_is_called_like_the_function_that_makes_it(tmp_path: Path) -> None:
    steps = "".join(
        f"  - {{as: {name}}}\n  - {op}\n  - add: [{name}, []]\n"
        for name, op in (
            ("quick_gelu", "quick_gelu"),
            ("position_softmax", "{softmax: {over: positions}}"),
            ("gelu_tanh", "{gelu: {approximate: tanh}}"),
            ("l2_normalize", "l2_normalize"),
            ("scale_channels", "{scale: {value: [1.0, 2.0, 3.0]}}"),
        )
    )
    agree(f"{HEAD}stem:\n  - quick_gelu\n{steps}", tmp_path, ("eval", "grad"))


def test_a_value_called_underscore_is_not_thrown_away(tmp_path: Path) -> None:
    steps = "[relu, {as: _}, {split: {sizes: [1, 2]}, as: p}, {from: 'p[1]'}"
    more = "{pad_channels: {after: 1}}, {add: [_, []]}]"
    agree(f"{HEAD}stem: {steps}, {more}\n", tmp_path, ("eval",))


@pytest.mark.parametrize(
    "name",
    """torch keras nn F Tensor tf np self _ _m Module Sequential annotations print name inputs type
    match stem""".split(),
)
def test_a_model_may_be_called_anything(name: str, tmp_path: Path) -> None:
    text = f"model: {name}\ninput: [3, 2, 2]\nstem: [{{gain: {{value: 2.0}}}}, gelu]\n"
    net = graph(text, tmp_path)
    np.testing.assert_allclose(
        run(net, "torch")["out"][0], run(net, "tensorflow")["out"][0], atol=1e-6
    )


def test_a_counter_may_be_called_anything(tmp_path: Path) -> None:
    steps = "".join(
        f"  - repeat: 2\n    index: {name}\n    layers: [{{gain: {{value: {name} + 1.5}}}}, relu]\n"
        for name in ["i", "_", "print", "name", "self", "x", "range", "enumerate", "keras", "nn"]
    )
    agree(f"{HEAD}stem:\n{steps}", tmp_path, ("eval",))


def test_names_that_differ_in_case_or_underscores_are_different_names(tmp_path: Path) -> None:
    names = ["Ab", "ab", "a_b", "aB", "AB", "_ab", "ab_"]
    layers = "[{gain: {value: 1.1}, as: W}, {gain: {value: 1.2}, as: w}]"
    made = "".join(f"  {name}: {{layers: {layers}}}\n" for name in names)
    calls = "".join(f"  - {{{name}: {{}}, as: {name[::-1]}}}\n" for name in names)
    text = (
        f"{HEAD}blocks:\n{made}stem:\n{calls}outputs: {{Out: [relu], out: [tanh], OUT: [gelu]}}\n"
    )
    found = agree(text, tmp_path)
    assert found.params == 2 * len(names)


def test_names_as_long_as_they_may_be_in_blocks_as_deep_as_they_may_be(tmp_path: Path) -> None:
    depth = 12
    text = f"{HEAD}blocks:\n"
    for level in range(depth):
        inner = f"{{{'b' * 62}{level + 1:02d}: {{}}, as: {'n' * 62}{level:02d}}}, "
        inner = inner if level + 1 < depth else ""
        layers = f"[{{gain: {{value: 1.01}}}}, {inner}{{gain: {{value: 1.02}}}}]"
        text += f"  {'b' * 62}{level:02d}: {{layers: {layers}}}\n"
    agree(f"{text}stem: [{'b' * 62}00]\n", tmp_path, ("eval",))


@pytest.mark.parametrize(
    "items",
    [
        "[{gain: {value: 1.0}, as: c}, {b: {}, as: c}]",
        "[{b: {}, as: c}, {gain: {value: 1.0}, as: c}]",
        "[{b: {}, as: c}, {d: {}, as: c}]",
        # the row of a repeat is an item, too, whatever its turns hold
        "[{repeat: 2, as: c, layers: [b]}, {gain: {value: 1.0}, as: c}]",
        "[{gain: {value: 1.0}, as: c}, {repeat: 2, as: c, layers: [b]}]",
        "[{repeat: 2, as: c, layers: [b]}, {repeat: 2, as: c, layers: [d]}]",
        "[{repeat: 2, as: c, layers: [{gain: {value: 1.0}}]}, {d: {}, as: c}]",
    ],
)
def test_two_items_of_one_name_are_told_even_where_their_parameters_do_not_meet(
    items: str, tmp_path: Path
) -> None:
    made = "  b: {layers: [{gain: {value: 1.0}, as: v}]}\n  d: {layers: [{gain: {value: 1.0}}]}\n"
    with pytest.raises(SpecError, match=r"name-collision.*stem\.c"):
        graph(f"{HEAD}blocks:\n{made}stem: {items}\n", tmp_path)
