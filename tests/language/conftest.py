"""`lower`: a model's text, with the blocks beside it, as a graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from resspec import api
from resspec.ir import Graph
from tests import specs

HEAD = "model: m\ninput: [4, 16, 16]\nnum_classes: 3\n"


@pytest.fixture
def lower(tmp_path: Path):
    def run(text: str, *settings: str, variant: str = "", **blocks: str) -> Graph:
        for name, body in blocks.items():
            (tmp_path / f"{name}.yaml").write_text(f"block: {name}\n{body}")
        path = specs.write(tmp_path, text if text.startswith("model") else HEAD + text, "m.yaml")
        return api.load(f"{path}{variant}", overrides=settings).graph

    return run
