"""The documentation as a site: `make site`. Reference pages are generated on the way."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

sys.path.insert(0, str(Path(__file__).parent))

project = "resspec"
author = "the resspec authors"
version = release = installed("resspec")
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "resspec"
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
default_role = "code"
python_use_unqualified_type_names = True


def setup(app: Sphinx) -> None:
    """Write the generated pages before any is read."""
    from reference import write  # type: ignore[import-not-found]

    app.connect("builder-inited", lambda app: write(Path(app.srcdir) / "reference"))
