"""What was trained on one side serves on the other: trained there, saved as training loops save it,
built here, the same outputs."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import resspec  # noqa: E402
from resspec.weights import example  # noqa: E402
from tests import specs  # noqa: E402
from tests.commands import command, python  # noqa: E402
from tests.export.running import TINY  # noqa: E402

X = example((3, 3, 16, 12)).astype("float32")
NHWC = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
CLOSE = {"rtol": 1e-4, "atol": 1e-5}
# Keras itself, while it saves under NumPy 2
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit"),  # by torch.compile, as it is imported
]


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> str:
    return specs.write(tmp_path_factory.mktemp("spec"), TINY, "tiny.yaml")


def learn(model: Any, parameters: Any, steps: int = 3) -> None:
    """A plain training loop."""
    optimizer = torch.optim.SGD(parameters, lr=0.05, momentum=0.9)
    model.train()
    for step in range(steps):
        optimizer.zero_grad()
        x = torch.from_numpy(example((4, 3, 16, 12), step).astype("float32"))
        torch.nn.functional.cross_entropy(model(x), torch.arange(4)).backward()
        optimizer.step()
    model.eval()


@pytest.fixture(scope="module")
def trained(spec: str) -> Any:
    torch.manual_seed(0)
    model = resspec.build(spec, seed=1)
    learn(model, model.parameters())
    return model


@pytest.fixture(scope="module")
def expected(trained: Any) -> Any:
    with torch.no_grad():
        return trained(torch.from_numpy(X)).numpy()


def plain(model: Any) -> Any:
    return model.state_dict()


def beside(model: Any) -> Any:
    """As most loops write it: the optimiser beside the weights."""
    optimizer = torch.optim.Adam(model.parameters())
    return {"epoch": 3, "model_state_dict": model.state_dict(), "optimizer": optimizer.state_dict()}


def compiled(model: Any) -> Any:
    return torch.compile(model).state_dict()


def distributed(model: Any) -> Any:
    """DistributedDataParallel, of one process."""
    store = torch.distributed.HashStore()
    torch.distributed.init_process_group("gloo", store=store, rank=0, world_size=1)
    try:
        wrapped = torch.nn.parallel.DistributedDataParallel(model)
        return {"state_dict": torch.compile(wrapped).state_dict()}
    finally:
        torch.distributed.destroy_process_group()


def lightning(model: Any) -> Any:
    """The layout of a Lightning checkpoint: the module's attribute before every name."""
    state = {f"net.{name}": value for name, value in model.state_dict().items()}
    state["criterion.weight"] = torch.ones(5)
    return {
        "epoch": 1,
        "global_step": 3,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": state,
        "loops": {"fit_loop": {"state_dict": {}}},
        "callbacks": {},
        "optimizer_states": [torch.optim.Adam(model.parameters()).state_dict()],
        "lr_schedulers": [],
        "hyper_parameters": {"lr": 0.1},
    }


def averaged(model: Any) -> Any:
    return torch.optim.swa_utils.AveragedModel(model).state_dict()


def whole(model: Any) -> Any:
    """The module itself, pickled."""
    return copy.deepcopy(model)


@pytest.mark.parametrize(
    "saved", [plain, beside, compiled, distributed, lightning, averaged, whole]
)
def test_trained_on_torch_served_by_tensorflow(
    saved: Callable[[Any], Any], spec: str, trained: Any, expected: Any, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The three lines of the README: train, build, serve."""
    import tensorflow as tf

    torch.save(saved(trained), tmp_path / "trained.pth")
    words = ("--backend", "tensorflow", "--weights", tmp_path / "trained.pth")
    out = tmp_path / "out"
    assert command("build", str(spec), *map(str, words), "--out", str(out), "--export",
                   "saved_model") == 0, capsys.readouterr().err  # fmt: skip
    served = tf.saved_model.load(out / "saved_model")
    np.testing.assert_allclose(np.asarray(served.serve(tf.constant(NHWC))), expected, **CLOSE)
    assert ("criterion.weight" in capsys.readouterr().err) == (saved is lightning)


@pytest.mark.skipif(not importlib.util.find_spec("lightning"), reason="lightning is not installed")
@pytest.mark.filterwarnings("ignore")
def test_trained_by_lightning_itself(spec: str, tmp_path: Path) -> None:
    from resspec_torch.origins import _torchvision

    _torchvision()  # beside a torch that it was not built for, which lightning imports
    import lightning as pl  # type: ignore[import-not-found, unused-ignore]

    class Task(pl.LightningModule):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            super().__init__()
            self.net = resspec.build(spec, seed=2)
            self.save_hyperparameters({"lr": 0.1})

        def training_step(self, batch: Any, index: int) -> Any:
            x, y = batch
            return torch.nn.functional.cross_entropy(self.net(x), y)

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=1e-2)

    data = [(torch.from_numpy(X), torch.arange(3))] * 2
    task = Task()
    trainer = pl.Trainer(max_epochs=1, logger=False, enable_progress_bar=False, accelerator="cpu",
                         enable_model_summary=False, default_root_dir=tmp_path)  # fmt: skip
    trainer.fit(task, torch.utils.data.DataLoader(data, batch_size=None))
    trainer.save_checkpoint(tmp_path / "trained.ckpt")
    twin = resspec.build(spec, "tensorflow", weights=tmp_path / "trained.ckpt")
    with torch.no_grad():
        y = task.net.eval()(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(np.asarray(twin(NHWC, training=False)), y, **CLOSE)


FIT = """\
import sys
from pathlib import Path
import keras, numpy as np, resspec
spec, folder = map(Path, sys.argv[1:])
x = np.load(folder / "x.npy")
model = resspec.build(spec, "tensorflow", seed=3)
model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse")
model.fit(x, np.eye(3, 5, dtype="float32"), epochs=2, verbose=0)
np.save(folder / "y.npy", np.asarray(model(x, training=False)))
np.savez(folder / "read.npz", **resspec.read_weights(model))
model.save(folder / "trained.keras")
model.save_weights(folder / "trained.weights.h5")
model.save(folder / "trained.h5")
"""


@pytest.fixture(scope="module")
def fitted(spec: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a model trained with `fit` left behind, in a process of its own: oneDNN's gradients of
    convolutions in a `tf.function` crash now and then, more often beside torch."""
    folder = tmp_path_factory.mktemp("fitted")
    np.save(folder / "x.npy", NHWC)
    env = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    python("-W", "ignore", "-c", FIT, spec, folder, env=env)
    return folder


@pytest.mark.parametrize("name", ["trained.keras", "trained.weights.h5", "trained.h5"])
def test_fitted_by_keras_served_by_torch(
    name: str, spec: str, fitted: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert command("build", str(spec), "--weights", str(fitted / name), "--out", str(out),
                   "--export", "pt2") == 0  # fmt: skip
    served = torch.export.load(out / "model.pt2").module()
    with torch.no_grad():
        found = served(torch.from_numpy(X)).numpy()
    np.testing.assert_allclose(found, np.load(fitted / "y.npy"), **CLOSE)
    twin = resspec.build(spec, weights=fitted / name)
    read = np.load(fitted / "read.npz")  # from the live model, after `fit`
    for key, array in resspec.read_weights(twin).items():
        np.testing.assert_array_equal(array, read[key])


# In Python: a live model, in whatever wraps it, there and back bit by bit.


def in_a_module(model: Any) -> Any:
    class Task(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone, self.loss = model, torch.nn.Linear(2, 2)

    return Task()


WRAPPED = {
    "itself": lambda model: model,
    "deepcopy": copy.deepcopy,
    "compile": lambda model: torch.compile(model),
    "DataParallel": torch.nn.DataParallel,
    "average": torch.optim.swa_utils.AveragedModel,
    "a module's": in_a_module,
    "script": lambda model: torch.jit.script(model),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_live_model_there_and_back(how: str, spec: str, trained: Any) -> None:
    model = WRAPPED[how](trained)
    twin = resspec.build(spec, "tensorflow", weights=model)
    back = resspec.build(spec, weights=twin)
    for name, value in trained.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(back.state_dict()[name], value), name
    for array, own in zip(resspec.read_weights(model).values(),
                          resspec.read_weights(twin).values(), strict=True):  # fmt: skip
        np.testing.assert_array_equal(array, own)


def test_a_keras_model_reloaded_and_copied(spec: str, fitted: Path) -> None:
    import keras

    expected = np.load(fitted / "read.npz")
    live = resspec.build(spec, "tensorflow", weights=fitted / "trained.keras")
    again = keras.models.load_model(fitted / "trained.keras", compile=False)
    for model in (live, again, copy.deepcopy(live)):
        for found in (resspec.read_weights(model), resspec.read_weights(model, spec)):
            assert set(found) == set(expected.files)
            assert all(np.array_equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_saved_weights_build_the_same(backend: str, dtype: str, spec: str, tmp_path: Path) -> None:
    model = resspec.build(spec, backend, dtype=dtype, seed=5)
    resspec.save_weights(model, tmp_path / "w.safetensors")
    with pytest.raises(resspec.SpecError, match="exists"):
        resspec.save_weights(model, tmp_path / "w.safetensors")
    with pytest.raises(resspec.SpecError, match="a name of other files"):
        resspec.save_weights(model, tmp_path / "w.pth")
    first = resspec.read_weights(model)
    other = resspec.build(spec, "torch", dtype=dtype, weights=tmp_path / "w.safetensors")
    for name, array in resspec.read_weights(other).items():
        np.testing.assert_array_equal(array, first[name])


def not_ours(kind: str) -> Any:
    import keras

    return {
        "torch": lambda: torch.nn.Linear(2, 2),
        "keras": lambda: keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]),
        "number": lambda: 3,
    }[kind]()


@pytest.mark.parametrize("kind", ["torch", "keras", "number"])
def test_a_model_that_resspec_did_not_build(kind: str, spec: str, tmp_path: Path) -> None:
    model = not_ours(kind)
    calls: list[Callable[[], Any]] = [
        lambda: resspec.read_weights(model),
        lambda: resspec.save_weights(model, tmp_path / "w"),
        lambda: resspec.build(spec, weights=model),
    ]
    for call in calls:
        with pytest.raises(resspec.SpecError) as caught:
            call()
        assert len(caught.value.diagnostics) == 1
    assert not (tmp_path / "w").exists()


@pytest.fixture(autouse=True)
def no_threads() -> Iterator[None]:
    """One thread: the machines that test have two cores, and the networks are tiny."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
