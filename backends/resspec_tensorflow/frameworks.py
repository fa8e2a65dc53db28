"""The modules keras and tensorflow, imported as this backend needs them: quietly, Keras on
TensorFlow, and so that GPU memory is taken as it is needed. Raises SpecError(no-backend).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from resspec.diagnostics import error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what TensorFlow says while it is imported off the terminal: it comes before its log
    level is read. Somebody who sets TF_CPP_MIN_LOG_LEVEL sees it."""
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with quiet():
        yield


@contextmanager
def quiet(*, failing: bool = False) -> Iterator[None]:
    """Keep notes that are written to descriptor 2 off the terminal, unless something fails; with
    `failing` then, too."""
    try:
        saved = os.dup(2)
    except OSError:  # no standard error at all
        yield
        return
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(saved, b"" if failing else notes.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _require_tensorflow(backend: str) -> None:
    if backend != "tensorflow":
        raise error(
            "no-backend",
            f"Keras runs on `{backend}` in this process, not on `tensorflow`",
            help="set KERAS_BACKEND=tensorflow before keras is imported",
        )


def _grow(config: Any) -> None:
    """Have memory of GPUs taken as it is needed; TensorFlow takes all of it otherwise."""
    for card in config.list_physical_devices("GPU"):  # complains where there is no driver
        with suppress(RuntimeError, ValueError):  # it is in use, or divided, by somebody's choice
            config.experimental.set_memory_growth(card, True)


if "keras" not in sys.modules:
    # ~/.keras/keras.json may name another one; the environment goes before it
    _require_tensorflow(os.environ.setdefault("KERAS_BACKEND", "tensorflow"))
with nullcontext() if "tensorflow" in sys.modules else _quiet():
    import keras
    import tensorflow as tf
    from keras.src.legacy.saving.saving_options import keras_option_scope
    from keras.src.models.functional import Functional

    _grow(tf.config)
_require_tensorflow(keras.config.backend())

__all__ = ["Functional", "keras", "keras_option_scope", "quiet", "tf"]
