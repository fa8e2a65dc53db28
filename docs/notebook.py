"""`python docs/notebook.py` runs docs/notebook.ipynb without Jupyter, and stores what it shows."""

from __future__ import annotations

import argparse
import ast
import json
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).with_suffix(".ipynb")


def run(notebook: dict[str, Any]) -> list[dict[str, str]]:
    """What each code cell shows, by MIME type: the value of its last expression."""
    names: dict[str, Any] = {"__name__": "__main__"}
    return [
        _shown("".join(cell["source"]), names)
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
    ]


def _shown(source: str, names: dict[str, Any]) -> dict[str, str]:
    body = ast.parse(source)
    last = body.body.pop() if isinstance(body.body[-1], ast.Expr) else None
    exec(compile(body, NOTEBOOK.name, "exec"), names)  # noqa: S102
    if last is None:
        return {}
    assert isinstance(last, ast.Expr)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)  # noqa: S307
    if bundle := getattr(value, "_repr_mimebundle_", None):
        found: dict[str, str] = bundle()
        return found
    html = getattr(value, "_repr_html_", None)
    return {"text/plain": repr(value)} | ({"text/html": html()} if html else {})


def main() -> None:
    argparse.ArgumentParser(prog="docs/notebook.py", description=__doc__).parse_args()
    notebook = json.loads(NOTEBOOK.read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for count, (cell, shown) in enumerate(zip(code, run(notebook), strict=True), 1):
        data = {kind: text.splitlines(keepends=True) for kind, text in shown.items()}
        result = {
            "output_type": "execute_result",
            "execution_count": count,
            "data": data,
            "metadata": {},
        }
        cell |= {"execution_count": count, "outputs": [result] if shown else []}
    text = json.dumps(notebook, indent=1, ensure_ascii=False)
    NOTEBOOK.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
