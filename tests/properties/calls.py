"""What emitted source calls: names of modules, methods, and nothing that it did not make itself."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

MODULES = ("torch", "nn", "F", "keras", "tf", "jax", "jnp", "nnx", "math", "functools", "collections",
           "typing", "sys")  # fmt: skip
ALLOWED = Path(__file__).parent / "allowed"


@cache
def allowed(backend: str) -> frozenset[str]:
    """The backend's allow-list."""
    return frozenset((ALLOWED / f"{backend}.txt").read_text("utf-8").split())


def called(text: str) -> set[str]:
    """Names of all that a source imports and calls, its own classes and functions left out.

    `torch.cat` is of a module, `.chunk` a method of a value, `Tensor` an imported or built-in name.
    """
    made: set[str] = {"self", "item"}
    found: set[str] = set()
    calls: list[ast.expr] = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            made.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            made.add(f"self.{node.attr}")
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {f"import:{getattr(node, 'module', None) or one.name}" for one in node.names}
        elif isinstance(node, ast.Call):
            calls.append(node.func)
    return (found | {callee(function, made) for function in calls}) - made


def callee(function: ast.expr, made: set[str]) -> str:
    """How a call's function is listed; `item` for what a call or a list of modules gives."""
    if isinstance(function, ast.Call | ast.Subscript):
        return "item"
    if isinstance(function, ast.Name):
        return function.id
    assert isinstance(function, ast.Attribute), ast.dump(function)
    dotted = ast.unparse(function)
    root = dotted.partition(".")[0]
    if (
        root in MODULES
        and root not in made
        and all(part.isidentifier() for part in dotted.split("."))
    ):
        return dotted
    if root == "self" and dotted == f"self.{function.attr}":
        return dotted
    return f".{function.attr}"
