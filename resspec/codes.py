"""The closed set of diagnostic codes, each with an explanation (`resspec explain CODE`).

Only data: a code is never renamed, since people search for it and scripts match on it.
"""

from dataclasses import dataclass

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: a title, why the rule is there, a spec that breaks it, one that keeps it.

    `bad` and `good` are YAML, or a command where the problem is not in the YAML.
    """

    title: str
    why: str
    bad: str
    good: str


CODES: dict[str, Code] = {
    # The text of a file.
    "yaml-syntax": Code(
        "the text is not YAML",
        "A spec must be well-formed before anything else can be said about it. Most often the "
        "indentation differs between siblings, a bracket is left open, or a space is missing "
        "after a colon.",
        "stages:\n  - {depth: 3, width: 64\n",
        "stages:\n  - {depth: 3, width: 64}\n",
    ),
    "yaml-feature": Code(
        "a YAML feature that specs do not use",
        "Tags construct objects, merge keys (`<<`) hide where a value comes from, and a file "
        "holds one document. Specs use plain data; `extends:` and block parameters share parts.",
        "stages: !!python/tuple [1, 2]\n",
        "stages: [1, 2]\n",
    ),
    "encoding": Code(
        "the file is not plain UTF-8 text",
        "Specs are UTF-8 without a byte order mark and without control characters, so that a "
        "column means the same everywhere and nothing invisible changes the meaning.",
        'doc: "a\x07b"\n',
        'doc: "a b"\n',
    ),
    "file-too-large": Code(
        "the file is larger than a spec can be",
        "A spec is read by people. The limits (1 MiB, 50 000 values) keep a wrong path from "
        "being read as one.",
        "resspec validate weights.bin\n",
        "resspec validate specs/resnet50.yaml\n",
    ),
    "too-deep": Code(
        "lists and maps are nested too deeply",
        "More than 64 levels are never needed; the limit keeps hostile input from exhausting "
        "the stack. Name a part of the spec as a block instead.",
        f"layers: {'[' * 70}{']' * 70}\n",
        "layers:\n  - my_block\n",
    ),
    "too-many-aliases": Code(
        "aliases expand without bound",
        "An alias (`*name`) copies what its anchor holds. A few nested ones can stand for "
        "billions of values, and one inside its own anchor never ends.",
        "a: &a [*a]\n",
        "a: &a [1, 2]\nb: *a\n",
    ),
    "duplicate-key": Code(
        "a map has the same key twice",
        "YAML readers keep the last one silently, so the first would be lost.",
        "width: 64\nwidth: 128\n",
        "width: 128\n",
    ),
    "ambiguous-scalar": Code(
        "a bare word or number that YAML readers disagree on",
        "`no` and `on` are booleans to some readers and text to others; `010` is 8 or 10; "
        "`1_000`, `0x10` and `12:30` are numbers or text. Write what is meant.",
        "bias: no\n",
        "bias: false\n",
    ),
    "quote-expression": Code(
        "an expression must be quoted here",
        "Inside `{…}` and `[…]`, YAML ends a bare value at a comma or a bracket, so "
        "`max(a, b)` falls apart and `x[i]` is refused. Quotes keep it in one piece.",
        "conv: {out_channels: max(a, b)}\n",
        'conv: {out_channels: "max(a, b)"}\n',
    ),
    # The shape of a spec.
    "empty-spec": Code(
        "there is nothing in it",
        "A file holds a model (`model:`) or a block (`block:`), and a list of layers has at "
        "least one where a network is to be built.",
        "# only a comment\n",
        "block: nothing\nlayers: []\n",
    ),
    "not-a-mapping": Code(
        "a map of keys was expected",
        "Specs and most of their parts are written as `key: value`.",
        "- model: tiny\n",
        "model: tiny\n",
    ),
    "unknown-key": Code(
        "a key that this place does not have",
        "An unknown key is most often a misspelt one; ignoring it would silently build another "
        "network.",
        "stages:\n  - {dept: 3, width: 64}\n",
        "stages:\n  - {depth: 3, width: 64}\n",
    ),
    "missing-key": Code(
        "a key that this place needs",
        "Some keys have no sensible default, such as a model's `input`.",
        "model: tiny\nlayers: [relu]\n",
        "model: tiny\ninput: [3, 32, 32]\nlayers: [relu]\n",
    ),
    "wrong-type": Code(
        "a value of the wrong kind",
        "A list, a map, a text or a number stands where another kind was expected. Keys are "
        "always text.",
        "1: relu\n",
        '"1": relu\n',
    ),
    "bad-value": Code(
        "a value outside what is allowed",
        "The kind is right, but the value is below a minimum, not one of the choices, or not a "
        "finite number.",
        "norm: {eps: .nan}\n",
        "norm: {eps: 1e-5}\n",
    ),
    "not-an-integer": Code(
        "a whole number was expected",
        "Sizes are exact: `16.0` is accepted as 16, but nothing is rounded on its own. Use "
        "`//`, `round`, `floor` or `ceil` to say how.",
        "conv: {out_channels: 64 / 3}\n",
        "conv: {out_channels: 64 // 3}\n",
    ),
    "bad-identifier": Code(
        "a name that cannot be one",
        "Names appear in the source that is emitted: letters, digits and underscores, not "
        "beginning with a digit, and no word that Python reserves.",
        "block: my-block\n",
        "block: my_block\n",
    ),
    # Names and calls.
    "unknown-name": Code(
        "no block, op, role or parameter has this name",
        "A call is looked up among the block's own parameters, the roles (`conv`, `norm`, "
        "`act`), blocks and ops.",
        "layers: [batchnorm]\n",
        "layers: [batch_norm]\n",
    ),
    "unknown-argument": Code(
        "the callee has no such argument",
        "An argument that nobody reads is a misspelling. `offer:` gives arguments only to a "
        "callee that declares them.",
        "conv: {out_channels: 64, kernal_size: 3}\n",
        "conv: {out_channels: 64, kernel_size: 3}\n",
    ),
    "missing-argument": Code(
        "an argument without a default was not given",
        "A parameter with no default must be given at the call or bound before.",
        "conv: {kernel_size: 3}\n",
        "conv: {out_channels: 64, kernel_size: 3}\n",
    ),
    "name-clash": Code(
        "two files define the same name",
        "Which one was meant would depend on the order of a search. Rename one, or address the "
        "file by its path.",
        "# a/bottleneck.yaml and b/bottleneck.yaml, both on --path\nblock: bottleneck\n",
        "# b/bottleneck_wide.yaml\nblock: bottleneck_wide\n",
    ),
    "name-collision": Code(
        "two items would have the same parameter name",
        "A checkpoint addresses parameters by name, so names are unique. Give one item another "
        "`as:`.",
        "- conv: {out_channels: 8}\n  as: a\n- conv: {out_channels: 8}\n  as: a\n",
        "- conv: {out_channels: 8}\n  as: a\n- conv: {out_channels: 8}\n  as: b\n",
    ),
    "value-before-name": Code(
        "a value is used before it is named",
        "Layers run in the order of the text: `from:` can only take what an earlier `as:` named.",
        "- {relu: {}, from: late}\n- {relu: {}, as: late}\n",
        "- {relu: {}, as: early}\n- {relu: {}, from: early}\n",
    ),
    "not-a-tuple": Code(
        "a single value cannot be indexed or taken apart",
        "Only a tuple (from `split`, `repeat` with `as`, or a block with several outputs) has "
        "parts.",
        '- {relu: {}, as: x}\n- {relu: {}, from: "x[0]"}\n',
        '- {split: {chunks: 2}, as: x}\n- {relu: {}, from: "x[0]"}\n',
    ),
    "tuple-unexpected": Code(
        "several values where one was expected",
        "A layer takes one tensor. Choose a part with `from: x[0]`, or join the parts with "
        "`add` or `concat`.",
        "- {split: {chunks: 2}}\n- relu\n",
        "- {split: {chunks: 2}}\n- concat\n",
    ),
    "index-range": Code(
        "an index outside the list",
        "A list of n values has indices 0 to n-1, or -n to -1 from its end.",
        "let:\n  widths: [64, 128]\n  width: widths[2]\n",
        "let:\n  widths: [64, 128]\n  width: widths[1]\n",
    ),
    # Expressions.
    "expression-syntax": Code(
        "not an expression of this language",
        "Expressions are arithmetic, comparison, and/or/not, `a if c else b`, indexing, and a "
        "few functions: a small part of Python, evaluated without running any.",
        "when: stride = 2\n",
        "when: stride == 2\n",
    ),
    "expression-limit": Code(
        "an expression that is too large, or whose value is",
        "Length, nesting and magnitude are bounded, so that no expression takes long.",
        "width: 9 ** 9 ** 9\n",
        "width: 9 ** 9\n",
    ),
    "expression-value": Code(
        "an expression that has no value",
        "Division by zero, the root of a negative number, or an operator on values that it is "
        "not for.",
        "width: 64 / (4 - 4)\n",
        "width: 64 / 4\n",
    ),
    "unknown-variable": Code(
        "no parameter or constant has this name here",
        "A block sees its own `params` and `let`, and the ambient constants; never the names of "
        "its caller.",
        "conv: {out_channels: widht}\n",
        "conv: {out_channels: width}\n",
    ),
    "undefined-ambient": Code(
        "a constant that has no value here",
        "`stride`, `out_channels` and the stage constants exist only where they mean one "
        "thing: a shortcut's `stride`, for example, is the product of the strides along the "
        "body, and a body that rescales has none.",
        "layers:\n  - conv: {out_channels: 64, stride: stride}\n",
        "params:\n  stride: 1\nlayers:\n  - conv: {out_channels: 64, stride: stride}\n",
    ),
    # Shapes.
    "shape-mismatch": Code(
        "shapes that must agree do not",
        "`add` never broadcasts: both branches end with the same channels, height and width.",
        "residual:\n  body: [{conv: {out_channels: 256}}]\n  shortcut: []\n",
        "residual:\n  body: [{conv: {out_channels: 256}}]\n  shortcut: [projection]\n",
    ),
    "not-divisible": Code(
        "a size that does not divide evenly",
        "Groups, chunks and shuffles split channels into equal parts.",
        "conv: {out_channels: 64, groups: 3}\n",
        "conv: {out_channels: 64, groups: 4}\n",
    ),
    "size-vanishes": Code(
        "nothing is left of the image",
        "The window is larger than what it slides over, so that the output has no pixels. Use "
        "a larger input, less stride, or padding.",
        "input: [3, 4, 4]\nlayers:\n  - max_pool: {kernel_size: 7, padding: valid}\n",
        "input: [3, 32, 32]\nlayers:\n  - max_pool: {kernel_size: 7, padding: valid}\n",
    ),
    "rank-mismatch": Code(
        "a tensor with the wrong number of dimensions",
        "Convolutions and pools take channels, height and width; `linear` takes features. "
        "`flatten` or a global pool leads from one to the other.",
        "layers: [flatten, {conv: {out_channels: 64}}]\n",
        "layers: [{conv: {out_channels: 64}}, flatten]\n",
    ),
    # Bounds.
    "recursion-limit": Code(
        "blocks call each other too deeply",
        "A block may call itself under a `when` that ends at some depth; this one does not end, "
        "or not soon enough.",
        "block: loop\nlayers: [loop]\n",
        "block: loop\nparams: {level: 3}\nlayers:\n  - when: level > 1\n"
        "    then: [{loop: {level: level - 1}}]\n",
    ),
    "node-limit": Code(
        "the network has too many layers",
        "The bound is far above any published network; a `repeat` or `depth` has most likely "
        "one digit too many.",
        "stages:\n  - {depth: 10000000, width: 64}\n",
        "stages:\n  - {depth: 100, width: 64}\n",
    ),
    "param-limit": Code(
        "the network has too many parameters",
        "It would not fit into memory; a width has most likely one digit too many.",
        "linear: {out_features: 1000000000000}\n",
        "linear: {out_features: 1000}\n",
    ),
    "size-limit": Code(
        "a tensor has too many elements",
        "It would not fit into memory; the input or a scale is most likely too large.",
        "input: [3, 10000000, 10000000]\n",
        "input: [3, 224, 224]\n",
    ),
    # Files, families, variants.
    "not-found": Code(
        "no file or model has this name",
        "A name is looked up beside the file, on `--path`, and in the library that ships with "
        "resspec (`resspec list`).",
        "extends: resnet51\n",
        "extends: resnet50\n",
    ),
    "path-escape": Code(
        "a path leads out of its folder",
        "A spec names other specs below its own folder or on `--path`, so that a file from "
        "elsewhere cannot read yours.",
        "extends: ../../etc/passwd\n",
        "extends: base.yaml\n",
    ),
    "extends-cycle": Code(
        "a spec extends itself",
        "Following `extends:` must end at a spec that has none.",
        "model: a\nextends: a\n",
        "model: a\nextends: base\n",
    ),
    "no-variant": Code(
        "the file has no such variant",
        "`file.yaml#name` takes `name` from the file's `variants:` table.",
        "extends: resnet.yaml#resnet51\n",
        "extends: resnet.yaml#resnet50\n",
    ),
    "io-error": Code(
        "a file could not be read or written",
        "The operating system refused; its reason is in the message.",
        "resspec validate /root/secret.yaml\n",
        "resspec validate specs/resnet50.yaml\n",
    ),
    "exists": Code(
        "the output is there already",
        "Nothing is overwritten without being asked to.",
        "resspec build resnet50 --out there\n",
        "resspec build resnet50 --out there --force\n",
    ),
    # Backends and weights.
    "unsupported": Code(
        "this backend cannot express the spec",
        "The spec is right, but the framework has no layer with this meaning. The message says "
        "which attribute is in the way.",
        "layers:\n  - layer_without_a_rule\n",
        "layers:\n  - relu\n",
    ),
    "no-backend": Code(
        "the backend is not installed",
        "resspec needs no framework to check, summarize and emit source; to build and run, "
        "install the extra of the framework.",
        "resspec build resnet50 --backend torch  # torch is not installed\n",
        "pip install 'resspec[torch]'\n",
    ),
    "no-device": Code(
        "the device is not there",
        "The framework does not see the device that was asked for.",
        "resspec build resnet50 --device cuda:7\n",
        "resspec build resnet50 --device cpu\n",
    ),
    "weights-format": Code(
        "the weights file cannot be read",
        "Weights are safetensors with canonical names. A pickle is never executed; `resspec "
        "port` converts a checkpoint.",
        "resspec build resnet50 --weights model.pkl\n",
        "resspec build resnet50 --weights model.safetensors\n",
    ),
    "weights-mismatch": Code(
        "the weights belong to another network",
        "Names and shapes must match one to one; loading part of them would be a silent error.",
        "resspec build resnet50 --weights resnet18.safetensors\n",
        "resspec build resnet18 --weights resnet18.safetensors\n",
    ),
    # Warnings.
    "unused-param": Code(
        "a parameter that nothing reads",
        "Setting it has no effect, which whoever sets it will not expect.",
        "block: b\nparams: {ratio: 4}\nlayers: [relu]\n",
        "block: b\nlayers: [relu]\n",
    ),
    "dead-layer": Code(
        "a layer whose result nothing uses",
        "It costs time and memory and learns nothing. Most often a `from:` names the wrong value.",
        "- {relu: {}, as: a}\n- {conv: {out_channels: 8}, as: b}\n- {sigmoid: {}, from: a}\n",
        "- {relu: {}, as: a}\n- {conv: {out_channels: 8}, as: b}\n- {sigmoid: {}, from: b}\n",
    ),
    "double-activation": Code(
        "one activation directly after another",
        "Applying ReLU twice changes nothing; another pair is rarely meant.",
        "layers: [relu, relu]\n",
        "layers: [relu]\n",
    ),
    "shrinking-stage": Code(
        "a stage loses more than it keeps",
        "A stage usually halves the size and doubles the channels. One whose output holds less "
        "than an eighth of its input's elements throws most of it away.",
        "stages:\n  - {depth: 2, width: 64}\n  - {depth: 2, width: 64, stride: 8}\n",
        "stages:\n  - {depth: 2, width: 64}\n  - {depth: 2, width: 128, stride: 2}\n",
    ),
    "constant-condition": Code(
        "a condition that is always the same",
        "It does not depend on any parameter, so that one of its branches can never be taken.",
        "when: 1 == 1\nthen: [relu]\n",
        "when: stride == 1\nthen: [relu]\n",
    ),
}
