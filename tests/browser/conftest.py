"""Pages as a reader has them: Debian's Chromium, driven by Playwright, without a network.

`page`: a fresh page that fails its test where a script failed or something was fetched that is
neither a file nor on this machine. Where there is no browser, all is skipped, which is said.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
HERE = ("file:", "blob:", "data:", "http://127.0.0.1:", "ws://127.0.0.1:")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, one for all tests of a process."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page of 1280×900 in a context of its own."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    wrong: list[str] = []

    def fetched(route: Any) -> None:
        if route.request.url.startswith(HERE):
            route.continue_()
        else:
            wrong.append(f"fetched {route.request.url}")
            route.abort()

    context.route("**/*", fetched)
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda problem: wrong.append(str(problem)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    yield page
    context.close()
    assert not wrong
