"""The words of the language that are no ops and no blocks: what each means, how it is written."""

from __future__ import annotations

from dataclasses import dataclass

from resspec.language.layer_grammar import merge_ops
from resspec.language.spec import PARAM_TYPES

DOCS = {
    "resspec": "number of the language that the file is written in: 1",
    "model": "name of the network",
    "block": "name of the block; in a model or a stage: the block to build stages of",
    "doc": "what it is, with its source",
    "input": "[channels, height, width]",
    "num_classes": "how many classes the head tells apart",
    "params": "parameters with their defaults: `name: 3`, or `name: {type: int, min: 1}`",
    "let": "named expressions",
    "defaults": "what conv, norm and act stand for",
    "stem": "block that reads the input",
    "shortcut": "shortcut that every block gets which takes one",
    "stages": "list of stages",
    "head": "block after the last stage",
    "outputs": "named outputs: values, or layers",
    "blocks": "in a model: its own blocks by name; in a stage: blocks of several kinds in a row",
    "extends": "model to start from, by name or path",
    "variants": "named settings of params or keys: one file, many models",
    "abstract": "true for a base that is no network itself, only what extends it",
    "inputs": "names of the values that the block takes",
    "layers": "what the block does, one item a layer",
    "name": "names the stage's result",
    "count": "how many such stages there are (1); `stage_index` tells them apart",
    "depth": "how many blocks; 0 for none",
    "stage": "block that arranges the stage's blocks (`sequential` unless said)",
    "stride": "stride of the stage: an argument of its first block",
    "as": "names the result; parameters are named by it",
    "from": "value to start from instead of the current one",
    "when": "condition, decided when the network is built",
    "then": "layers where the condition holds",
    "else": "layers where it does not",
    "offer": "arguments for a callee that declares them",
    "index": "name of the counter of `repeat` (i)",
    "repeat": "how many turns; each starts from the previous result",
    "residual": "sum of `body` and `shortcut`",
    "reuse": "name of an item to apply again, with its parameters",
    "type": f"one of {', '.join(PARAM_TYPES)}",
    "default": "value where none is given; needed without one",
    "min": "least value",
    "max": "greatest value",
    "choices": "words to choose from",
    "conv": "role of convolutions: conv2d unless `defaults` says otherwise",
    "norm": "role of normalisations: batch_norm unless `defaults` says otherwise",
    "act": "role of activations: relu unless `defaults` says otherwise",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """How some words are written: what to know, and a whole file that holds them."""

    words: tuple[str, ...]
    about: str
    example: str


_TOP = "model: tiny\ninput: [3, 32, 32]\n"

USAGES = (
    Usage(
        tuple("resspec model input num_classes stem block shortcut stages head doc".split()),
        "Layers run from the stem through the stages to the head; each of them is a block, or a "
        "list of layers. `block` and `shortcut` hold for every stage that says nothing else. "
        "`resspec` may say which language this is.",
        "resspec: 1\nmodel: tiny\ndoc: Two stages of basic blocks.\ninput: [3, 32, 32]\n"
        "num_classes: 10\n"
        "stem: {stem_3x3: {out_channels: 16}}\nblock: basic\nshortcut: projection\nstages:\n"
        "  - {depth: 2, width: 16}\n  - {depth: 2, width: 32, stride: 2}\nhead: classifier\n",
    ),
    Usage(
        tuple("name depth count stride blocks stage".split()),
        "A key of a stage that is none of these is an argument of its blocks, evaluated for each "
        "of them with `index`, `depth`, `stage_index`, `block_index`, `num_blocks` and `depths`. "
        "`stride` goes to the first block; `stage` names what arranges them.",
        _TOP + "block: basic\nstages:\n  - {name: c2, depth: 2, width: 16 + 8 * index}\n"
        "  - {count: 2, depth: 1, width: 16, stride: 2, stage: sequential}\n"
        "  - blocks: [{depth: 2}, {block: bottleneck}]\n    width: 16\n",
    ),
    Usage(
        tuple("params let layers inputs type default min max choices".split()),
        "A block is a named, parametrised list of layers. A param without a default is needed; "
        f"its type is one of {', '.join(PARAM_TYPES)}.",
        "block: reduced\nparams:\n  width: {type: int, min: 1}\n  stride: 1\n"
        "  pool: {choices: [max, avg], default: max}\nlet: {inner: width // 4}\nlayers:\n"
        "  - conv: {out_channels: inner, kernel_size: 1, stride: stride}\n"
        "  - conv: {out_channels: width, kernel_size: 1}\n"
        "  - {when: pool == 'max', max_pool: {kernel_size: 3}, "
        "else: [{avg_pool: {kernel_size: 3}}]}\n",
    ),
    Usage(
        ("residual",),
        "The sum of `body` and `shortcut`; the shortcut is the identity where none is given. In "
        "it, `in_channels`, `out_channels` and `stride` say what it must bridge: `stride` is the "
        "product of the strides along the body.",
        _TOP + "stem:\n  - residual:\n      body:\n"
        "        - conv: {out_channels: 8, kernel_size: 3, stride: 2}\n        - norm\n"
        "      shortcut: [projection]\n  - act\n",
    ),
    Usage(
        ("repeat", "index"),
        "A fold: each turn starts from the result of the one before. `as` collects the results of "
        "all turns and is visible inside, `index` names the counter (i).",
        _TOP + "stem:\n  - repeat: 3\n    as: y\n    index: k\n    layers:\n"
        "      - conv: {out_channels: 8 * (k + 1), kernel_size: 3}\n      - act\n"
        "  - concat: [y]\n",
    ),
    Usage(
        ("when", "then", "else"),
        "The condition is decided before anything that it guards is looked at. One layer may "
        "stand beside `when` instead of `then`; where it is false and there is no `else`, nothing "
        "changes. A condition never renames a parameter.",
        _TOP + "params: {wide: true}\nstem:\n  - when: wide\n    then:\n"
        "      - conv: {out_channels: 64, kernel_size: 3}\n      - norm\n"
        "    else: [{conv: {out_channels: 8, kernel_size: 3}}]\n"
        "  - {when: channels > 32, act: {}}\n",
    ),
    Usage(
        ("reuse",),
        "A named item once more, with its parameters: one set of weights, applied twice.",
        _TOP + "stem:\n  - {conv: {out_channels: 3, kernel_size: 3}, as: shared}\n  - act\n"
        "  - {reuse: shared}\n",
    ),
    Usage(
        ("as", "from"),
        "`as` names a result, and pins the name of its parameters; an item with only `as` names "
        "the current value. `from` starts from a named value, from a part of one (`x[0]`), or "
        "from a list of them, which are then a tuple.",
        _TOP + "stem:\n  - as: x\n  - {conv: {out_channels: 8, kernel_size: 3}, as: y}\n"
        "  - {from: x, conv: {out_channels: 8, kernel_size: 1}}\n  - add: [[], y]\n",
    ),
    Usage(
        ("offer",),
        "Arguments beside a call that only a callee gets which declares them.",
        "block: offering\nparams: {attention: {type: block, default: se}}\nlayers:\n"
        "  - attention: {}\n    offer: {ratio: 0.25}\n",
    ),
    Usage(
        ("defaults", "conv", "norm", "act"),
        "Blocks call the roles `conv`, `norm` and `act`; `defaults` says what they stand for, on "
        "a model, a block or a list of layers.",
        _TOP + "defaults: {norm: {group_norm: {groups: 4}}, act: silu}\nstem:\n"
        "  - conv: {out_channels: 8, kernel_size: 3}\n  - norm\n"
        "  - defaults: {act: gelu}\n    layers: [act]\n",
    ),
    Usage(
        ("outputs",),
        "Names of what the model gives: a stage by its name, `stem`, `head`, or layers.",
        _TOP + "block: basic\nstages:\n  - {name: c2, depth: 1, width: 8}\n"
        "  - {name: c3, depth: 1, width: 16, stride: 2}\noutputs:\n  fine: c2\n"
        "  both: [{from: c3}, {resize: {like: c2}}, {concat: [[], c2]}]\n",
    ),
    Usage(
        ("extends", "variants", "abstract"),
        "`extends` starts from another model and changes it key by key; `null` takes a key away. "
        "A variant sets params or keys, may extend another one, and is addressed as "
        "`file.yaml#name`. What is `abstract` is only a base.",
        "model: family\nextends: resnet18\nabstract: true\nvariants:\n"
        "  small: {input: [3, 64, 64], num_classes: 10}\n"
        "  plain: {extends: small, shortcut: zero}\n",
    ),
    Usage(
        (*merge_ops(), "split"),
        "Several values become one, or one several. In a branch a string is a value, a list is "
        "layers that are applied to the current value, `[]` is the current value, and a tuple is "
        "spliced. `add` never broadcasts, `mul` does over dimensions of size 1.",
        _TOP + "stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - split: {chunks: 2}\n"
        '    as: half\n  - concat: [half, [{from: "half[0]"}, relu]]\n'
        "  - mul: [[], [global_avg_pool, sigmoid]]\n  - add: [[], [relu]]\n",
    ),
)


def usage(word: str) -> Usage | None:
    """How a word of the language, or an op that joins or parts values, is written."""
    return next((one for one in USAGES if word in one.words), None)
