"""Hostile and odd files by name: how each is made, and what is said of it ("" where it is read).

`CANARY` in a payload is a file that appears where anything of it is executed.
"""

from tests.weights.attacks import archives, others, pickles, tensors
from tests.weights.attacks.names import ATTACKS, CANARY

__all__ = ["ATTACKS", "CANARY", "archives", "others", "pickles", "tensors"]
