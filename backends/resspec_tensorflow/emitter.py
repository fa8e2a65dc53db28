"""A Program as a Keras functional model: one function a definition, the model's the last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resspec.emit.lines import broken, doc_lines, place
from resspec.emit.snippets import needed
from resspec.emit.template import literal

from .body import Body
from .functions import name_functions
from .snippets import HELPERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from resspec.emit.program import Program

TENSOR = "keras.KerasTensor"
ANY = (1, 1)  # a size that every input has
STANDARD = ("collections", "functools", "math", "sys", "typing")
DEEP = 600  # operations in a row that Python's usual limit of 1000 calls leaves room for


def source(
    program: Program,
    shape: Sequence[int | None],
    least: tuple[int, int],
    *,
    any_size: bool,
    deep: int,
    inference: bool,
) -> tuple[str, str]:
    """Text and entry name of the model's file; `shape` is (C, H, W) of one example, None where
    anything from `least` on will do, `any_size` says that a shared block is applied to several
    sizes, `deep` how many operations follow each other, `inference` that it is not trained."""
    functions = name_functions(program)
    bodies = [Body(definition, functions) for definition in program]
    wanted = {name for body in bodies for name in body.helpers}
    if any_size and "submodel" in wanted:
        wanted = wanted - {"submodel"} | {"submodel_any"}
    if least != ANY:
        wanted.add("Fits")
    helpers = needed(wanted, HELPERS)
    imports = {line for name in helpers for line in HELPERS[name].imports}
    if deep > DEEP:
        imports.add("import sys")
    parts = [_head(program, imports)]
    parts += [HELPERS[name].text for name in helpers]
    parts += ["\n".join(_function(body)) for body in bodies[:-1]]
    parts.append("\n".join(_entry(program, bodies[-1], shape, least, deep, inference)))
    return "\n\n\n".join(parts) + "\n", functions[program.entry.name].name


def _head(program: Program, imports: set[str]) -> str:
    title = f"{program.name}: a Keras functional model, channels last."
    lines = doc_lines(title, "")
    lines += ["", "from __future__ import annotations", ""]
    standard = {line for line in imports if line.split()[1].partition(".")[0] in STANDARD}
    if standard:
        lines += [*sorted(standard, key=lambda line: (line.startswith("from "), line)), ""]
    return "\n".join([*lines, *sorted({"import keras"} | imports - standard)])


def _function(body: Body) -> list[str]:
    definition = body.definition
    types = {parameter.name: parameter.type for parameter in definition.visible}
    arguments = [f"{name}: {TENSOR}" for name in body.inputs]
    if body.function.named:
        arguments.append("name: str")
    arguments += [f"{keyword}: {types[name]}" for name, keyword in body.function.arguments.items()]
    count = len(definition.outputs)
    result = TENSOR if count == 1 else f"tuple[{', '.join([TENSOR] * count)}]"
    head = f"def {body.function.name}({', '.join(arguments)}) -> {result}:"
    lines = broken(head, comment=f"  # {place(definition)}")
    return [*lines, *doc_lines(definition.doc), *body.lines_and_return()]


def _entry(
    program: Program,
    body: Body,
    shape: Sequence[int | None],
    least: tuple[int, int],
    deep: int,
    inference: bool,
) -> list[str]:
    definition = body.definition
    lines = [f"def {body.function.name}() -> keras.Model:  # {place(definition)}"]
    lines += doc_lines(definition.doc)
    lines.append('    keras.config.set_image_data_format("channels_last")')
    channels_last = (*shape[1:], shape[0])
    (x,) = body.inputs
    lines.append(f'    {x} = inputs = keras.Input({channels_last}, name="inputs")')
    if least != ANY:
        lines.append(f'    {x} = Fits({least}, name="inputs-fits")({x})')
    results = body.results
    outputs = {name: [results[k] for k in places] for name, places in program.outputs}
    texts = {
        name: parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
        for name, parts in outputs.items()
    }
    if len(texts) == 1:
        (result,) = texts.values()
    else:
        pairs = (f"{literal(name)}: {text}" for name, text in texts.items())
        result = f"{{{', '.join(pairs)}}}"
    lines += body.lines()
    if deep > DEEP:  # a call an operation; three, so that wrappers around Keras fit, too
        limit = f"sys.setrecursionlimit(max(sys.getrecursionlimit(), {DEEP + 3 * deep}))"
        lines.append(f"    {limit}  # Keras descends")
    frozen = ", trainable=False" if inference else ""
    model = f'keras.Model(inputs, {result}, name="{body.function.name}"{frozen})'
    return [*lines, *broken(f"return {model}", 4)]
