"""Source that the rules name: read as text, never imported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from resspec.emit.snippets import read

FOLDER = Path(__file__).parent
ONE_SIZE, ANY_SIZE = "x.shape[1:]", "(*[None] * (len(x.shape) - 2), x.shape[-1])"

HELPERS = read(FOLDER, "stock")
_one = HELPERS["submodel"]
# for a block that is applied to feature maps of several sizes
HELPERS["submodel_any"] = replace(_one, text=_one.text.replace(ONE_SIZE, ANY_SIZE))
HELPERS |= read(FOLDER, "positions", "layers", "attention", "alike")
