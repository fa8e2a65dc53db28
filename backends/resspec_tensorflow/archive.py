"""A `.keras` archive as a live model, vetted before Keras makes anything of what it describes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from resspec.diagnostics import error, escape
from resspec.weights import files

from .frameworks import keras

# Stock classes that run code of the file's, or another framework's.
ACTING = ("Lambda", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer")
FUNCTIONS = ("builtins", "keras.activations", "keras.src.activations")


def load(path: Path, budget: int) -> Any:
    """The model, built of stock layers alone, with its weights.

    budget: bytes of the weights that there is use for, as for `files.read`.
    Errors: `io-error`, `weights-format`; whatever Keras raises for what it cannot make.
    """
    files.check(path, budget=budget)
    config = files.keras_config(path)
    if not isinstance(config, dict):
        raise error("weights-format", f"`{path}`: its description of a network is none")
    for found in _parts(config):
        _must_be_stock(found, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = files.limit(budget)
        size = 4 * _counted(config)
        if size > limit:
            raise error(
                "weights-format",
                f"`{path}` describes a network of {size >> 20:,} MiB of weights; for this spec at "
                f"most {limit >> 20:,} MiB are read",
            )
        return keras.models.load_model(path, compile=False, safe_mode=True)


def _counted(config: dict[str, Any]) -> int:
    """Parameters of the network, none of which is made: variables wait for a scope's end, and
    this one's forgets them."""
    from keras.src.backend.common.global_state import set_global_attribute
    from keras.src.backend.common.stateless_scope import StatelessScope

    plain = {key: value for key, value in config.items() if key != "compile_config"}
    try:
        with StatelessScope(initialize_variables=False):
            model = keras.saving.deserialize_keras_object(plain, safe_mode=True)
            return int(model.count_params())
    finally:
        set_global_attribute("uninitialized_variables", [])


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Every map in it that describes an object."""
    todo = [config]
    while todo:
        found = todo.pop()
        if isinstance(found, dict):
            if "class_name" in found:
                yield found
            todo += found.values()
        elif isinstance(found, list):
            todo += found


def _must_be_stock(found: dict[str, Any], path: Path) -> None:
    module, name = str(found.get("module") or "keras"), str(found.get("class_name"))
    stock = module == "keras" or module.startswith("keras.")
    if name == "function":
        stock = module in FUNCTIONS
    if not stock or name in ACTING:
        called = escape(f"{module[:80]}.{name[:80]}")
        raise error(
            "weights-format",
            f"`{path}` holds a `{called}`, no stock layer of Keras",
            help="save the weights alone: `model.save_weights('trained.weights.h5')`",
        )
