"""Every shipped network against its original: parameters, buffers, MACs, shapes and eps.

architectures.csv was computed from timm 1.0.31, torchvision 0.28, keras.applications 3.15 and, for
the source `paper`, implementations that round to the published counts.
"""

from __future__ import annotations

import pytest

from resspec import api, counted, zoo
from resspec.summary import summarize
from tests.conformance import sample
from tests.measured import today
from tests.zoo.cases import Row, cases

VAST = {"adaptive_avg_pool"}  # in VGG alone, which has 130 M parameters
# timm multiplies the map by matrices of its full size, which are zero outside of a band
BANDED = {"bat_resnext26ts": 3_932_160}
SHIPPED = {entry.name for entry in zoo.models()}

CASES = [(case.spec, case.row) for case in cases()[0] if case.row]
WITHOUT_ROW = sorted(SHIPPED - {spec for spec, _ in CASES})


@pytest.mark.parametrize(("spec", "row"), CASES, ids=[f"{r['source']}-{s}" for s, r in CASES])
def test_is_its_original(spec: str, row: Row) -> None:
    graph = api.load(spec).graph
    shape = tuple(int(row[f"input_{axis}"]) for axis in "chw")
    assert graph.input.type.shape == shape
    cost = summarize(graph)
    found = {"params": cost.params, "buffers": cost.buffers, "macs": cost.macs}
    assert found == {key: int(row[key]) for key in found}
    if row["other_macs"]:
        assert cost.other_macs == BANDED.get(spec, int(row["other_macs"]))
    assert (1, *cost.output_shape) == tuple(map(int, row["output_shape"].split("x")))
    # a wrong eps moves outputs by 2e-7 only, so that nothing but this would show it
    known = counted.table()[spec]  # what `list` and `show` say without loading it
    assert (known.params, known.buffers, known.macs) == (cost.params, cost.buffers, cost.macs)
    assert (known.input, known.output) == (shape, cost.output_shape)
    assert row["source"] == "paper" or f"{row['source']}/{row['name']}" in known.equal_to
    norms = [node.op for node in graph.nodes if node.op.NAME == "batch_norm"]
    eps = {float(row["bn_eps"])} if row["bn_eps"] else set()
    assert {norm.eps for norm in norms} == eps
    if norms:
        stated = float(row["bn_momentum"])
        momentum = 1 - stated if row["source"] == "keras" else stated  # Keras: of the old value
        assert [norm.momentum for norm in norms] == pytest.approx([momentum] * len(norms))


@pytest.mark.parametrize("spec", WITHOUT_ROW)
def test_others_are_sound(spec: str) -> None:
    """What no row describes still lowers, and every shipped model says what it is."""
    cost = summarize(api.load(spec).graph)
    known = counted.table()[spec]
    assert (known.params, known.buffers, known.macs) == (cost.params, cost.buffers, cost.macs)


def test_the_sample_of_originals_has_every_op_that_a_network_has() -> None:
    """Of those that the tests hold against their originals, always or in turn."""
    found, _ = cases()
    keys = {*sample.always(), *(case.key for case in found if sample.in_turn(case))}
    specs = {case.spec for case in found if case.key in keys} | {*sample.IN_ORDER}
    ops = {spec: {*row["ops"].split()} for spec, row in today().items()}
    assert {*sample.always()} <= {case.key for case in found}
    assert {*ops["vgg11"]} >= VAST
    assert set().union(*ops.values()) - VAST == set().union(*(ops[spec] for spec in specs))


def test_the_table_of_counts_has_every_network() -> None:
    """`make docs` writes it."""
    assert set(counted.table()) == SHIPPED


def test_everything_says_what_it_is() -> None:
    bare = [entry.name for entry in (*zoo.models(), *zoo.blocks()) if len(entry.doc.split()) < 3]
    assert not bare
