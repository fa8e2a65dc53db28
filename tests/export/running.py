"""Specs to export, and files loaded where resspec is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests import specs
from tests.commands import python

TINY = specs.TINY.replace("[3, 8, 8]", "[3, 16, 12]")

# Layers without a stock counterpart in Keras, and several outputs, one of them a pyramid.
ODD = """\
model: odd
doc: Standardised and grouped kernels, attention, a pyramid.
input: [3, 16, 12]
num_classes: 5
defaults:
  conv: {scaled_std_conv2d: {bias: true}}
  norm: {group_norm: {groups: 2}}
  act: silu
stem:
  - conv: {out_channels: 4, kernel_size: 3}
  - conv2d: {out_channels: 8, kernel_size: 3, groups: 2}
  - norm
  - act
  - evonorm_s0: {groups: 2}
  - dropout: {rate: 0.2}
block: {basic: {attention: {se: {ratio: 0.5}}}}
stages:
  - {name: fine, depth: 1, width: 8}
  - {name: coarse, depth: 2, width: 16, stride: 2}
head: classifier
outputs:
  out: head
  levels: {from: [fine, coarse]}
"""
SPECS = {"tiny": TINY, "odd": ODD}

REFUSE = """\
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("resspec"):
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Refuse())
"""


def needs(*names: str) -> None:
    """Skip where one of these is not installed. It is looked for, not imported: OpenVINO's import
    sends an event from a fork, which JAX warns of in whatever test runs at that moment."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")


def elsewhere(script: str, *words: str | Path, ok: bool = True) -> str:
    """Run Python code in a fresh process that cannot import resspec; what it printed."""
    done = python("-c", REFUSE + script, *words, ok=ok, env={"TF_CPP_MIN_LOG_LEVEL": "2"})
    return done.out if ok else done.err
