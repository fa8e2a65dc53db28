"""A batch norm that would see one number a channel: one diagnostic, and no backend trains it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

from resspec import api
from resspec import backend as backends
from tests.builds.twins import agree, case, graph, report
from tests.refused import refused

BATCH1 = case("batch1")
MESSAGE = "a batch norm of one number a channel cannot be trained"


@pytest.mark.parametrize("mode", ["grad", "train"])
def test_parity_names_the_layer_and_its_line(mode: str, tmp_path: Path) -> None:
    found = refused(report, BATCH1, tmp_path, ("eval", mode), batch=1)
    assert found.code == "norm-of-one"
    assert "`head.norm1`" in found.message
    assert found.span is not None
    assert found.span.line == 10


def test_it_is_told_once_for_a_network_full_of_them(tmp_path: Path) -> None:
    text = BATCH1.replace("[3, 16, 16]", "[3, 1, 1]")
    found = refused(report, text, tmp_path, ("grad",), batch=1)
    assert [note.message for note in found.notes[-1:]] == [
        "and so would 3 more, `stages.0.0.norm1` the next"
    ]


def test_two_numbers_are_trained_and_one_is_evaluated(tmp_path: Path) -> None:
    agree(BATCH1, tmp_path, ("eval",), batch=1)
    agree(BATCH1.replace("  - norm\n  - act\n", "  - norm\n"), tmp_path, ("grad",), batch=16)


def test_statistics_of_one_number_may_be_those_of_one_example(tmp_path: Path) -> None:
    agree(BATCH1.replace("  - norm\n", "  - layer_norm\n"), tmp_path, batch=1)


def test_no_live_model_trains_on_one_number(tmp_path: Path) -> None:
    import tensorflow as tf
    import torch

    net = graph(BATCH1, tmp_path)
    x = np.ones((1, 3, 16, 16), np.float32)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        api.build(net, "torch").train()(torch.from_numpy(x))
    model = api.build(net, "tensorflow")
    one = tf.constant(x.transpose(0, 2, 3, 1))
    with pytest.raises(ValueError, match=MESSAGE):
        model(one, training=True)
    assert np.isfinite(model(one, training=False)).all()
    step = tf.function(
        lambda batch: model(batch, training=True),
        input_signature=[tf.TensorSpec((None, 16, 16, 3))],
    )
    assert step(tf.repeat(one, 2, axis=0)).shape == (2, 4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=MESSAGE):
        step(one)
    assert backends.get("tensorflow").runtime().forward(model, x)[0]["out"][0].shape == (1, 4)
