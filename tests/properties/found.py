"""Specs that random search has found to go wrong, by what they show; each builds and runs now."""

from __future__ import annotations

FOUND = {
    "a block of several branches used twice": """\
model: net
input: [1, 8, 8]
num_classes: 2
head:
  - {as: twice, block1: {}}
  - {reuse: twice}
blocks:
  block1:
    layers:
      - concat: [[], [norm, act, {conv: {out_channels: 1, kernel_size: 3}}]]
      - conv: {out_channels: 1, kernel_size: 1}
""",
    "a role bound to layers that call it": """\
model: net
input: [2, 8, 8]
defaults: {act: [act, tanh], norm: own_norm}
stem:
  - {conv: {out_channels: 3, kernel_size: 3}}
  - norm
  - {defaults: {act: [act, act, gain]}, layers: [act]}
blocks:
  own_norm: {layers: [norm, act]}
""",
    "a shortcut of zeros where the channels get fewer": """\
model: net
input: [8, 9, 9]
block: basic
shortcut: zero
stages: [{depth: 2, width: 4, stride: 2}]
""",
    "an activation that is nearly linear": """\
model: net
input: [2, 8, 8]
stem: [{celu: {alpha: 1.0e+30}}, {conv: {out_channels: 2, kernel_size: 3}}, {celu: {alpha: 1.0e-30}}]
""",
    "values and blocks called as modules are": """\
model: net
input: [2, 4, 4]
stem:
  - {as: math}
  - {repeat: 320, layers: [sys]}
  - {add: [[], math]}
blocks:
  sys:
    params: {functools: 1}
    layers: [relu, {scale: {value: 0.5}}, {conv2d: {out_channels: 2, kernel_size: functools}}]
""",
    "what is used again called as a local or a built-in is": """\
model: net
input: [4, 4, 4]
stem:
  - {add: [[], [tanh]], as: name}
  - {reuse: name}
  - {conv: {out_channels: 4, kernel_size: 1}, as: range}
  - {reuse: range}
  - {conv: {out_channels: 4, kernel_size: 1}, as: keras}
  - {reuse: keras}
  - {repeat: 2, layers: [{conv: {out_channels: "i + 1", kernel_size: 1}}]}
""",
    "tokens of any number, of which two are flattened": """\
model: net
input: [2, 5, 9]
stem: [tokens, {crop: {left: 1, width: 2}}, flatten, {linear: {out_features: 3}}]
""",
    "windows that part columns alone": """\
model: net
input: [3, 12, 14]
stem:
  - {conv: {out_channels: 4, kernel_size: 3, stride: [2, 3]}}
  - {windows: {size: [1, 5]}}
  - {conv2d: {out_channels: 1, kernel_size: 3}}
""",
    "windows that part rows and overlap columns": """\
model: net
input: [2, 11, 12]
stem:
  - {conv: {out_channels: 4, kernel_size: 3, stride: 2}}
  - {windows: {size: 2, stride: [2, 3], padding: 2}}
  - {conv: {out_channels: 4, kernel_size: 3}}
""",
    "windows that part rows alone": """\
model: net
input: [1, 10, 1]
stem: [{windows: {size: [5, 1]}}, {conv: {out_channels: 2, kernel_size: 1}}]
""",
    "rows, then columns, cut out of any size and flattened": """\
model: net
input: [2, 5, 9]
stem: [{crop: {height: 2}}, {crop: {width: 3, top: 1}}, flatten, {linear: {out_features: 3}}]
""",
    "what is cut out of any size is flattened": """\
model: net
input: [2, 5, 9]
stem:
- crop: {height: 1, left: 2, width: 2}
- flatten
- linear: {out_features: 3}
- standardize
""",
    "a convolution of one's own in blocks that dilate": """\
model: net
input: [4, 8, 8]
defaults: {conv: own_conv}
stages: [{block: basic, depth: 1, width: 4, stride: [1, 2]}]
blocks:
  own_conv:
    params: {out_channels: {type: int}, kernel_size: {type: size}, stride: {type: size, default: 1}}
    layers:
      - conv: {out_channels: in_channels, kernel_size: kernel_size, groups: in_channels, stride: stride}
      - conv: {out_channels: out_channels, kernel_size: 1}
""",
    "a sum that checks its sizes used again": """\
model: net
input: [1, 5, 4]
stem:
  - {residual: {body: [{avg_pool: {kernel_size: 2, stride: 2, ceil_mode: true}}, {resize: {scale_factor: 2}}, {conv2d: {out_channels: 1, kernel_size: [2, 1], padding: valid}}]}, as: even}
  - {reuse: even}
""",
    "everything dropped": """\
model: net
input: [2, 8, 8]
head:
  - {residual: {body: [{conv: {out_channels: 2, kernel_size: 3}}, {drop_path: {rate: 1}}]}}
  - {dropout: {rate: 1}}
  - classifier
num_classes: 3
""",
}
