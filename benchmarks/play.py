"""What a keystroke in the playground costs, from the key to the picture on the screen.

`python -m benchmarks.play [SPEC]` types into the page in headless Chromium, a digit of a depth or
of a width, each of which makes a network that was not seen before, and tells in milliseconds:
all of it; what the server takes to answer; what the answer takes on its way; what the page takes
before it asks and after it was told, up to the next frame. `key` is a key that changes no network
(in a comment). A goal of 200 ms is missed on a machine that is busy with other things: the load is
told, too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from threading import Thread
from typing import Any

from resspec.play import Server
from resspec.play.document import Document

TURNS, WARM = 20, 4
PARTS = ("all", "server", "way", "page")

# the key goes down, the page looks at its text, asks, is told, and shows it in the next frame
WATCH = """
window.pressed = 0;
document.addEventListener("keydown", () => { window.pressed = performance.now(); }, true);
new MutationObserver(() => {
  const entries = performance.getEntriesByType("resource");
  const asked = entries.findLast((one) => one.name.endsWith("/look"));
  requestAnimationFrame(() => setTimeout(() => {
    const [now, server] = [performance.now(), asked.serverTiming[0].duration];
    const way = asked.responseEnd - asked.startTime - server;
    const all = now - window.pressed, page = all - server - way;
    document.documentElement.dataset.told = JSON.stringify({ all, server, way, page });
  }));
}).observe(document.documentElement, { attributes: true, attributeFilter: ["data-looked"] });
performance.setResourceTimingBufferSize(10000);
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.play", description=__doc__.splitlines()[0])
    parser.add_argument("spec", nargs="?", default="resnet50", metavar="SPEC")
    spec = parser.parse_args().spec
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "net.yaml"
        path.write_text(Document(spec).state()["text"] + "# \n")
        server = Server(Document(str(path)))
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        print(f"{spec}: milliseconds a keystroke, median and the ninth of ten of {TURNS}", end=", ")
        print(f"at load {os.getloadavg()[0]:.1f}")
        print(f"{'':<18}" + "".join(f"{part:>14}" for part in PARTS))
        text = path.read_text()
        for view in ("diagram", "cost", "torch", "tensorflow"):
            for name, places in (
                ("depth", [*re.finditer(r"depth: (\d+)", text)][-1:]),
                ("width", [*re.finditer(r"width: (\d+)", text)][-1:]),
                ("key", [*re.finditer("# ()", text)][-1:]),
            ):
                if places:
                    page.goto(server.address)
                    page.wait_for_selector("#panel svg")
                    page.evaluate(WATCH)
                    settle(page, lambda view=view: page.click(f"role=tab[name={view}]"))
                    told = typed(page, text, places[0], name)
                    row = [[one[part] for one in told] for part in PARTS]
                    cells = (f"{median(one):8.0f} {quantiles(one, n=10)[-1]:5.0f}" for one in row)
                    print(f"{view:<12}{name:<6}" + "".join(cells), flush=True)
        browser.close()
        server.shutdown()


def typed(page: Any, text: str, found: re.Match[str], name: str) -> list[dict[str, float]]:
    """Put the cursor there, and type the ones of a number, 10 to 33, each of them once."""
    page.click("#editor .cm-content")
    page.keyboard.press("Control+End")
    for _ in text[found.end(1) :]:
        page.keyboard.press("ArrowLeft")
    for _ in found[1][1:]:
        settle(page, lambda: page.keyboard.press("Backspace"))
    told = []
    for turn in range(WARM + TURNS):
        if name != "key" and turn % 10 == 0:  # another number of tens
            for key in ("Backspace", str(turn // 10 + 1)):
                settle(page, lambda key=key: page.keyboard.press(key))
        told.append(settle(page, lambda turn=turn: page.keyboard.press(str(turn % 10))))
        assert "problem" not in page.inner_text("#status")
        settle(page, lambda: page.keyboard.press("Backspace"))
    return told[WARM:]


def settle(page: Any, press: Callable[[], None]) -> dict[str, float]:
    """Press a key, and wait until what it changes is shown."""
    page.evaluate("delete document.documentElement.dataset.told")
    press()
    told = page.wait_for_selector("html[data-told]").get_attribute("data-told")
    found: dict[str, float] = json.loads(told)
    return found


if __name__ == "__main__":
    main()
