"""Convolutions in the one form that they have at every stride and padding."""

from __future__ import annotations

import functools

import keras

from .layers import std_conv2d
from .stock import GroupedConv2D, padded

conv2d = functools.partial(padded, keras.layers.Conv2D)

depthwise_conv2d = functools.partial(padded, keras.layers.DepthwiseConv2D)

grouped_conv2d = functools.partial(padded, GroupedConv2D)

padded_std_conv2d = functools.partial(padded, std_conv2d)
