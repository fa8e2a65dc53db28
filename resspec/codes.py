"""The closed set of diagnostic codes, each with an explanation (`resspec explain CODE`).

Only data: a code is never renamed, since people search for it and scripts match on it.
"""

from dataclasses import dataclass

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """What a code means: a title, why the rule is there, a spec that breaks it, one that keeps it.

    `bad` and `good` are whole specs, or a command where the problem is not in the YAML.
    """

    title: str
    why: str
    bad: str
    good: str


_MODEL = "model: tiny\ninput: [3, 32, 32]\n"

CODES: dict[str, Code] = {
    # The text of a file.
    "yaml-syntax": Code(
        "the text is not YAML",
        "A spec must be well-formed before anything else can be said about it. Most often the "
        "indentation differs between siblings, a bracket is left open, or a space is missing "
        "after a colon.",
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64}\n"),
    ),
    "yaml-feature": Code(
        "a YAML feature that specs do not use",
        "Tags construct objects, merge keys (`<<`) hide where a value comes from, and a file "
        "holds one document. Specs use plain data; `extends:` and block parameters share parts.",
        _MODEL + "stem: !!str stem_7x7\n",
        _MODEL + "stem: stem_7x7\n",
    ),
    "encoding": Code(
        "the file is not plain UTF-8 text",
        "Specs are UTF-8 without a byte order mark and without control characters, so that a "
        "column means the same everywhere and nothing invisible changes the meaning. Nor do names "
        "and expressions hold characters that only look like those of the language: no-break "
        "spaces, full-width colons, typographic quotes, Cyrillic letters. A `doc` may.",
        _MODEL + ("doc: a\x07b\nstem: stem_7x7\n"),
        _MODEL + ("doc: a b\nstem: stem_7x7\n"),
    ),
    "file-too-large": Code(
        "the file is larger than a spec can be",
        "A spec is read by people. The limits (1 MiB, 50 000 values) keep a wrong path from "
        "being read as one.",
        "resspec validate weights.bin\n",
        "resspec validate resnet50\n",
    ),
    "too-deep": Code(
        "lists and maps are nested too deeply",
        "More than 64 levels are never needed; the limit keeps hostile input from exhausting "
        "the stack. Name a part of the spec as a block instead.",
        _MODEL + f"stem: {'[' * 64}relu{']' * 64}\n",
        _MODEL + "stem: [relu]\n",
    ),
    "too-many-aliases": Code(
        "aliases expand without bound",
        "An alias (`*name`) copies what its anchor holds. A few nested ones can stand for "
        "billions of values, and one inside its own anchor never ends.",
        _MODEL + "stem: &a [relu, *a]\n",
        _MODEL + "stem: [relu]\n",
    ),
    "duplicate-key": Code(
        "a map has the same key twice",
        "YAML readers keep the last one silently, so the first would be lost.",
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64, width: 128}\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 128}\n"),
    ),
    "ambiguous-scalar": Code(
        "a bare word or number that YAML readers disagree on",
        "`no` and `on` are booleans to some readers and text to others; `010` is 8 or 10; "
        "`1_000`, `0x10` and `12:30` are numbers or text. Write what is meant.",
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3, bias: no}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3, bias: false}\n"),
    ),
    "quote-expression": Code(
        "an expression must be quoted here",
        "Inside `{…}` and `[…]`, YAML ends a bare value at a comma or a bracket, so `max(a, b)` "
        "falls apart and `x[i]` is refused. Quotes keep it in one piece.",
        _MODEL + ("stem:\n  - conv: {out_channels: max(8, channels), kernel_size: 3}\n"),
        _MODEL + ('stem:\n  - conv: {out_channels: "max(8, channels)", kernel_size: 3}\n'),
    ),
    # The shape of a spec.
    "empty-spec": Code(
        "there is nothing in it",
        "A file holds a model (`model:`) or a block (`block:`), and a list of layers has at "
        "least one where a network is to be built.",
        "# only a comment\n",
        _MODEL + "stem: stem_7x7\n",
    ),
    "not-a-mapping": Code(
        "a map of keys was expected",
        "Specs and most of their parts are written as `key: value`.",
        ("- model: tiny\n- input: [3, 32, 32]\n- stem: stem_7x7\n"),
        _MODEL + "stem: stem_7x7\n",
    ),
    "unknown-key": Code(
        "a key that this place does not have",
        "An unknown key is most often a misspelt one; ignoring it would silently build another "
        "network.",
        _MODEL
        + ("block: basic\nstages:\n  - {depth: 3, width: 64}\nhaed: classifier\nnum_classes: 10\n"),
        _MODEL
        + ("block: basic\nstages:\n  - {depth: 3, width: 64}\nhead: classifier\nnum_classes: 10\n"),
    ),
    "missing-key": Code(
        "a key that this place needs",
        "Some keys have no sensible default, such as a model's `input`.",
        ("model: tiny\nstem: stem_7x7\n"),
        _MODEL + "stem: stem_7x7\n",
    ),
    "later-version": Code(
        "a file of a later language",
        "`resspec: 1` says in which version of the language a file is written. What a later one "
        "adds or changes this program cannot know, so it refuses the file rather than guess.",
        "resspec: 2\n" + _MODEL + "stem: stem_7x7\n",
        "resspec: 1\n" + _MODEL + "stem: stem_7x7\n",
    ),
    "wrong-type": Code(
        "a value of the wrong kind",
        "A list, a map, a text or a number stands where another kind was expected. Keys are "
        "always text.",
        _MODEL + ("stem: stem_7x7\nblock: basic\nstages: 3\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64}\n"),
    ),
    "bad-value": Code(
        "a value outside what is allowed",
        "The kind is right, but the value is below a minimum, not one of the choices, or not a "
        "finite number.",
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - norm: {eps: -1}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - norm: {eps: 1e-5}\n"),
    ),
    "not-an-integer": Code(
        "a whole number was expected",
        "Sizes are exact: `16.0` is accepted as 16, but nothing is rounded on its own. Use "
        "`//`, `round`, `floor` or `ceil` to say how.",
        _MODEL + ("stem:\n  - conv: {out_channels: 64 / 3, kernel_size: 3}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 64 // 3, kernel_size: 3}\n"),
    ),
    "bad-identifier": Code(
        "a name that cannot be one",
        "Names appear in the source that is emitted: letters, digits and underscores, not "
        "beginning with a digit, and no word that Python reserves.",
        ("model: my-net\ninput: [3, 32, 32]\nstem: stem_7x7\n"),
        ("model: my_net\ninput: [3, 32, 32]\nstem: stem_7x7\n"),
    ),
    # Names and calls.
    "unknown-name": Code(
        "no block, op, role or parameter has this name",
        "A call is looked up among the block's own parameters, the roles (`conv`, `norm`, "
        "`act`), blocks and ops.",
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - batchnorm\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - batch_norm\n"),
    ),
    "unknown-argument": Code(
        "the callee has no such argument",
        "An argument that nobody reads is a misspelling. `offer:` gives arguments only to a "
        "callee that declares them.",
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernal_size: 3}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n"),
    ),
    "missing-argument": Code(
        "an argument without a default was not given",
        "A parameter with no default must be given at the call or bound before.",
        _MODEL + ("stem:\n  - conv: {kernel_size: 3}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n"),
    ),
    "name-clash": Code(
        "two files define the same name",
        "Which one was meant would depend on the order of a search. Rename one, or address the "
        "file by its path.",
        _MODEL + ("stem: bottleneck\nblocks:\n  bottleneck: {layers: [relu]}\n"),
        _MODEL + ("stem: my_bottleneck\nblocks:\n  my_bottleneck: {layers: [relu]}\n"),
    ),
    "name-collision": Code(
        "two items would have the same parameter name",
        "A checkpoint addresses parameters by name, so names are unique. Give one item another "
        "`as:`.",
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 8, kernel_size: 3}\n"
            "    as: a\n"
            "  - conv: {out_channels: 8, kernel_size: 1}\n"
            "    as: a\n"
        ),
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 8, kernel_size: 3}\n"
            "    as: a\n"
            "  - conv: {out_channels: 8, kernel_size: 1}\n"
            "    as: b\n"
        ),
    ),
    "value-before-name": Code(
        "a value is used before it is named",
        "Layers run in the order of the text: `from:` can only take what an earlier `as:` named.",
        _MODEL + ("stem:\n  - {sigmoid: {}, from: late}\n  - {relu: {}, as: late}\n"),
        _MODEL + ("stem:\n  - {relu: {}, as: early}\n  - {norm: {}, from: early}\n"),
    ),
    "not-a-tuple": Code(
        "a single value cannot be indexed or taken apart",
        "Only a tuple (from `split`, `repeat` with `as`, or a block with several outputs) has "
        "parts.",
        _MODEL
        + (
            "stem:\n"
            "  - {conv: {out_channels: 8, kernel_size: 3}, as: x}\n"
            '  - {relu: {}, from: "x[0]"}\n'
        ),
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 8, kernel_size: 3}\n"
            "  - {split: {chunks: 2}, as: x}\n"
            '  - {relu: {}, from: "x[0]"}\n'
        ),
    ),
    "tuple-unexpected": Code(
        "several values where one was expected",
        "A layer takes one tensor. Choose a part with `from: x[0]`, or join the parts with "
        "`add` or `concat`.",
        _MODEL
        + (
            "stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - split: {chunks: 2}\n  - relu\n"
        ),
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 8, kernel_size: 3}\n"
            "  - split: {chunks: 2}\n"
            "  - concat\n"
        ),
    ),
    "index-range": Code(
        "an index outside the list",
        "A list of n values has indices 0 to n-1, or -n to -1 from its end.",
        _MODEL
        + ('let: {widths: [64, 128]}\nblock: basic\nstages:\n  - {depth: 3, width: "widths[2]"}\n'),
        _MODEL
        + ('let: {widths: [64, 128]}\nblock: basic\nstages:\n  - {depth: 3, width: "widths[1]"}\n'),
    ),
    # Expressions.
    "expression-syntax": Code(
        "not an expression of this language",
        "Expressions are arithmetic, comparison, and/or/not, `a if c else b`, indexing, and a "
        "few functions: a small part of Python, evaluated without running any.",
        _MODEL + ("stem:\n  - {when: channels = 3, relu: {}}\n"),
        _MODEL + ("stem:\n  - {when: channels == 3, relu: {}}\n"),
    ),
    "expression-limit": Code(
        "an expression that is too large, or whose value is",
        "Length, nesting and magnitude are bounded, so that no expression takes long.",
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 9 ** 9 ** 9}\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 9 ** 2}\n"),
    ),
    "expression-value": Code(
        "an expression that has no value",
        "Division by zero, the root of a negative number, or an operator on values that it is "
        "not for.",
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64 / (4 - 4)}\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 3, width: 64 / 4}\n"),
    ),
    "unknown-variable": Code(
        "no parameter or constant has this name here",
        "A block sees its own `params` and `let`, and the ambient constants; never the names of "
        "its caller.",
        _MODEL + ("params: {width: 64}\nblock: basic\nstages:\n  - {depth: 3, width: widht}\n"),
        _MODEL + ("params: {width: 64}\nblock: basic\nstages:\n  - {depth: 3, width: width}\n"),
    ),
    "undefined-ambient": Code(
        "a constant that has no value here",
        "`stride`, `out_channels` and the stage constants exist only where they mean one thing: "
        "a shortcut's `stride`, for example, is the product of the strides along the body, and "
        "a body that ends at a fixed size, or larger than it began, has none.",
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3, stride: stride}\n"),
        _MODEL
        + (
            "stem: b\n"
            "blocks:\n"
            "  b:\n"
            "    params: {stride: 2}\n"
            "    layers:\n"
            "      - conv: {out_channels: 8, kernel_size: 3, stride: stride}\n"
        ),
    ),
    # Shapes.
    "shape-mismatch": Code(
        "shapes that must agree do not",
        "`add` never broadcasts: both branches end with the same channels, height and width.",
        _MODEL
        + (
            "stem:\n"
            "  - residual:\n"
            "      body: [{conv: {out_channels: 8, kernel_size: 3}}]\n"
            "      shortcut: []\n"
        ),
        _MODEL
        + (
            "stem:\n"
            "  - residual:\n"
            "      body: [{conv: {out_channels: 8, kernel_size: 3}}]\n"
            "      shortcut: [projection]\n"
        ),
    ),
    "not-divisible": Code(
        "a size that does not divide evenly",
        "Groups, chunks and shuffles split channels into equal parts.",
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 64, kernel_size: 1}\n"
            "  - conv: {out_channels: 64, kernel_size: 3, groups: 3}\n"
        ),
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 64, kernel_size: 1}\n"
            "  - conv: {out_channels: 64, kernel_size: 3, groups: 4}\n"
        ),
    ),
    "size-vanishes": Code(
        "nothing is left of the image",
        "The window is larger than what it slides over, so that the output has no pixels. Use a "
        "larger input, less stride, or padding.",
        ("model: tiny\ninput: [3, 4, 4]\nstem:\n  - max_pool: {kernel_size: 7, padding: valid}\n"),
        _MODEL + ("stem:\n  - max_pool: {kernel_size: 7, padding: valid}\n"),
    ),
    "rank-mismatch": Code(
        "a tensor with the wrong number of dimensions",
        "Convolutions and pools take channels, height and width; `linear` takes features. "
        "`flatten` or a global pool leads from one to the other.",
        _MODEL + ("stem:\n  - flatten\n  - conv: {out_channels: 8, kernel_size: 3}\n"),
        _MODEL + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - flatten\n"),
    ),
    # Bounds.
    "recursion-limit": Code(
        "blocks call each other too deeply",
        "A block may call itself under a `when` that ends at some depth; this one does not end, "
        "or not soon enough.",
        _MODEL + ("stem: loop\nblocks:\n  loop: {layers: [loop]}\n"),
        _MODEL
        + (
            "stem: loop\n"
            "blocks:\n"
            "  loop:\n"
            "    params: {level: 3}\n"
            "    layers:\n"
            "      - conv: {out_channels: 8, kernel_size: 3}\n"
            "      - {when: level > 1, loop: {level: level - 1}}\n"
        ),
    ),
    "node-limit": Code(
        "the network has too many layers",
        "The bound is far above any published network; a `repeat` or `depth` has most likely "
        "one digit too many.",
        _MODEL + ("block: basic\nstages:\n  - {depth: 1000000, width: 64}\n"),
        _MODEL + ("block: basic\nstages:\n  - {depth: 10, width: 64}\n"),
    ),
    "param-limit": Code(
        "the network has too many parameters",
        "It would not fit into memory; a width has most likely one digit too many.",
        _MODEL + ("stem:\n  - flatten\n  - linear: {out_features: 1000000}\n"),
        _MODEL + ("stem:\n  - flatten\n  - linear: {out_features: 1000}\n"),
    ),
    "size-limit": Code(
        "a tensor has too many elements",
        "It would not fit into memory; the input or a scale is most likely too large.",
        ("model: tiny\ninput: [3, 1000000, 1000000]\nstem: stem_7x7\n"),
        ("model: tiny\ninput: [3, 224, 224]\nstem: stem_7x7\n"),
    ),
    "picture-limit": Code(
        "a picture with more boxes than anyone could look at",
        "`draw` shows at most 2,000, a page at most 20,000 layers; at level stage, blocks alike in "
        "a row are one box.",
        "resspec draw cifar_resnet1202 --level layer\n",
        "resspec draw cifar_resnet1202 --level block\n",
    ),
    "no-layout": Code(
        "a picture needs a layout engine that is not installed",
        "Pictures are laid out by ELK in a JavaScript engine, PNG files drawn by resvg. Mermaid "
        "text needs neither.",
        "resspec draw resnet50 -o resnet50.svg  # mini-racer is not installed\n",
        "resspec draw resnet50 -o resnet50.mmd\n",
    ),
    # Files, families, variants.
    "not-found": Code(
        "no file or model has this name",
        "A name is looked up beside the file, on `--path`, and in the library that ships with "
        "resspec (`resspec list`).",
        ("model: mine\nextends: resnet51\n"),
        ("model: mine\nextends: resnet50\n"),
    ),
    "path-escape": Code(
        "a path leads out of its folder",
        "A spec names other specs below its own folder or on `--path`, so that a file from "
        "elsewhere cannot read yours.",
        ("model: mine\nextends: ../secret/base.yaml\n"),
        ("model: mine\nextends: resnet50\n"),
    ),
    "extends-cycle": Code(
        "a spec extends itself",
        "Following `extends:` must end at a spec that has none.",
        ("model: mine\nextends: spec.yaml\n"),
        ("model: mine\nextends: resnet50\n"),
    ),
    "no-variant": Code(
        "the file has no such variant",
        "`file.yaml#name` takes `name` from the file's `variants:` table.",
        ("model: mine\nextends: resnet50#deep\n"),
        ("model: mine\nextends: resnet50\n"),
    ),
    "io-error": Code(
        "a file could not be read or written",
        "The operating system refused; its reason is in the message.",
        "resspec source resnet50 --out README.md/model.py\n",
        "resspec source resnet50 --out model.py\n",
    ),
    "exists": Code(
        "the output is there already",
        "Nothing is overwritten without being asked to.",
        "resspec source resnet50 --out there.py\n",
        "resspec source resnet50 --out there.py --force\n",
    ),
    # Backends and weights.
    "unsupported": Code(
        "this backend cannot express the spec",
        "The spec is right, but the framework has no layer with this meaning, and nothing else "
        "that computes it. `validate` warns of it for every installed backend; with `--backend` it "
        "is an error, as it is for `build`.",
        (
            "# resspec validate spec.yaml --backend torch\n"
            "model: tiny\n"
            "input: [3, 32, 32]\n"
            "stem:\n"
            "  - {layer_norm: {}, as: one}\n"
            "  - global_avg_pool\n"
            "  - flatten\n"
            "  - reuse: one\n"
        ),
        (
            "# resspec validate spec.yaml --backend torch\n"
            "model: tiny\n"
            "input: [3, 32, 32]\n"
            "stem:\n"
            "  - {layer_norm: {}, as: one}\n"
            "  - global_avg_pool\n"
            "  - reuse: one\n"
            "  - flatten\n"
        ),
    ),
    "norm-of-one": Code(
        "a batch norm that would see one number a channel",
        "While training, a batch norm takes mean and variance of each channel over the batch and "
        "the positions. Of one number the variance is 0, the result is the bias whatever the input "
        "is, and nothing before it learns. No backend trains such a network; to evaluate one is "
        "fine.",
        "resspec parity resnet18 --input 3x32x32 --batch 1 --mode grad\n",
        "resspec parity resnet18 --input 3x32x32 --batch 2 --mode grad\n",
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
        "Weights are tensors by name, in a file of PyTorch's, Keras' or NumPy's, or safetensors. "
        "Nothing in a file is executed, and no more is read than the spec has use for. Where a "
        "file holds several sets of weights, `--key` says which is meant.",
        "resspec build resnet50 --weights trained.pth.tar  # state_dict and state_dict_ema\n",
        "resspec build resnet50 --weights trained.pth.tar --key state_dict_ema\n",
    ),
    "weights-ambiguous": Code(
        "only the order of its tensors says which is which",
        "A list of tensors whose names are not known here has many of one shape, and the order of "
        "a file may be that of text, of registration or of execution. A wrong order gives a "
        "network that runs and computes something else, so something must confirm it: an input "
        "and what the trained network gives for it (`--verify`), or the original's code.",
        "resspec port mine.pth --from torch --spec mine.yaml --out mine.safetensors\n",
        "resspec port mine.pth --from torch --spec mine.yaml --verify io.npz --out "
        "mine.safetensors\n",
    ),
    "weights-mismatch": Code(
        "the weights belong to another network",
        "Names and shapes must match one to one; loading part of them would be a silent error. "
        "For transfer learning, `--partial` loads what fits and lists the rest.",
        "resspec build resnet50 --weights resnet18.safetensors\n",
        "resspec build resnet18 --weights resnet18.safetensors\n",
    ),
    "no-exporter": Code(
        "the format cannot be written with what is installed",
        "Some formats need a package beside the framework; the message names it.",
        "resspec build resnet50 --out built --export onnx  # onnxscript is not installed\n",
        "pip install 'resspec[onnx]'\n",
    ),
    "export-failed": Code(
        "the framework could not write the network in this format",
        "The spec is right and the model runs, but the framework's exporter has no form for one of "
        "its layers; the message names it, or repeats what the exporter said. Nothing was written.",
        "resspec build mine.yaml --out built --export onnx\n",
        "resspec build mine.yaml --out built --export state_dict,pt2\n",
    ),
    # Warnings.
    "unused-param": Code(
        "a parameter that nothing reads",
        "Setting it has no effect, which whoever sets it will not expect.",
        _MODEL + ("stem: b\nblocks:\n  b:\n    params: {ratio: 4}\n    layers: [relu]\n"),
        _MODEL + ("stem: b\nblocks:\n  b:\n    layers: [relu]\n"),
    ),
    "dead-layer": Code(
        "a layer whose result nothing uses",
        "It costs time and memory and learns nothing. Most often a `from:` names the wrong value.",
        _MODEL
        + (
            "stem:\n"
            "  - {conv: {out_channels: 8, kernel_size: 1}, as: a}\n"
            "  - {conv: {out_channels: 8, kernel_size: 3}, as: b}\n"
            "  - {sigmoid: {}, from: a}\n"
        ),
        _MODEL
        + (
            "stem:\n"
            "  - {conv: {out_channels: 8, kernel_size: 1}, as: a}\n"
            "  - {conv: {out_channels: 8, kernel_size: 3}, as: b}\n"
            "  - {sigmoid: {}, from: b}\n"
        ),
    ),
    "double-activation": Code(
        "one activation directly after another",
        "Applying ReLU twice changes nothing; another pair is rarely meant.",
        _MODEL + ("stem:\n  - relu\n  - relu\n"),
        _MODEL + ("stem:\n  - relu\n"),
    ),
    "shrinking-stage": Code(
        "a stage loses more than it keeps",
        "A stage usually halves the size and doubles the channels. One whose output holds less "
        "than a tenth of its input's elements throws most of it away.",
        _MODEL
        + (
            "block: basic\n"
            "stages:\n"
            "  - {depth: 2, width: 64}\n"
            "  - {depth: 2, width: 64, stride: 4}\n"
        ),
        _MODEL
        + (
            "block: basic\n"
            "stages:\n"
            "  - {depth: 2, width: 64}\n"
            "  - {depth: 2, width: 128, stride: 2}\n"
        ),
    ),
    "constant-condition": Code(
        "a condition that is always the same",
        "It does not depend on any parameter, so that one of its branches can never be taken.",
        _MODEL
        + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - {when: 1 == 1, relu: {}}\n"),
        _MODEL
        + (
            "stem:\n"
            "  - conv: {out_channels: 8, kernel_size: 3}\n"
            "  - {when: channels == 8, relu: {}}\n"
        ),
    ),
    "odd-momentum": Code(
        "a batch norm whose running statistics hardly remember, or never change",
        "`momentum` is the weight of the new batch, as in PyTorch; in Keras and TensorFlow it is "
        "the weight of what was before, so that their 0.99 is 0.01 here. With 0 the statistics "
        "stay what they begin as.",
        _MODEL
        + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - norm: {momentum: 0.99}\n"),
        _MODEL
        + ("stem:\n  - conv: {out_channels: 8, kernel_size: 3}\n  - norm: {momentum: 0.01}\n"),
    ),
    # Networks that come in.
    "not-liftable": Code(
        "an operation of the original that no op says",
        "`resspec import` approximates nothing: what the language has no op for is told, each "
        "place with its module, its class and the operation. Change the original there, or leave "
        "that part out of what is imported.",
        "resspec import timm:vit_tiny_patch16_224 --out vit\n",
        "resspec import timm:resnet50d --out mine\n",
    ),
    "lift-differs": Code(
        "the imported spec does not compute what the original does",
        "Before anything is written, both run with the same weights in float64, evaluated and "
        "trained, at two sizes. Sizes that the original's code counts with are one reason: a "
        "reshape by number, a resize to a size.",
        "resspec import mine:Net --input 3x64x64 --out net   # works at 64x64 alone\n",
        "resspec import timm:resnet50d --out mine\n",
    ),
}
