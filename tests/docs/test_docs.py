"""Every example in the documents is valid and every command in them runs."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path

import pytest

import resspec
from resspec.language.overlay import plain
from resspec.syntax import parse
from tests.commands import command

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/language.md", ROOT / "docs/tutorial.md"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"^# ([\w/]+\.yaml)\n|^(?:model|block): (\w+)\n", re.MULTILINE)
INLINE = re.compile(r"`(resspec [a-z]+ [^`…]*)`")
ELSEWHERE = ("make ", "pip ", "git ")  # run by CI, or not ours


def fences(page: Path, kind: str) -> list[str]:
    return [text for found, text in FENCE.findall(page.read_text("utf-8")) if found == kind]


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.stem)
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A page, and a folder with the YAML files that it shows and the shipped specs."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "specs").symlink_to(ROOT / "specs")
    for text in fences(request.param, "yaml"):
        match = NAMED.search(text)
        assert match, text
        name = match[1] or f"{match[2]}.yaml"
        if name.startswith("specs/"):
            shipped = (ROOT / name).read_text("utf-8")
            assert plain(parse(text, name)) == plain(parse(shipped, name))
            continue
        (folder / name).write_text(text)
    return request.param, folder


Run = Callable[[list[str], Path], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """`run(["resspec", ...], folder)`: a command in that folder, in this process; it must pass."""

    def call(words: list[str], folder: Path) -> None:
        monkeypatch.chdir(folder)
        code = command(*words[1:])
        said = "".join(capfd.readouterr())
        assert not code, f"{shlex.join(words)}\n{said}"

    return call


def test_every_model_shown_is_valid(page, run: Run):
    path, folder = page
    models = [file for file in folder.glob("*.yaml") if file.read_text().find("model: ") >= 0]
    assert models, path
    for file in sorted(models):
        run(["resspec", "validate", file.name], folder)


def test_every_block_shown_is_used_by_a_model(page, run: Run):
    _, folder = page
    for file in folder.glob("*.yaml"):
        text = file.read_text()
        name = re.search(r"^block: (\w+)$", text, re.MULTILINE)
        if name is None or "model: " in text:
            continue
        width = (
            "{width: 16}" if re.search(r"^ *width:|params: \{width", text, re.MULTILINE) else "{}"
        )
        probe = folder / "probe.yaml"
        stage = "stage: " + name[1] + ", block: basic, width: 8" if "type: blocks" in text else ""
        body = f"stages: [{{depth: 1, {stage}}}]" if stage else f"stem: {{{name[1]}: {width}}}"
        if "out_channels, kernel_size: 1}" in text and "params" not in text:  # a shortcut
            body = f"block: {{basic: {{shortcut: {name[1]}}}}}\nstages: [{{depth: 1, width: 24, stride: 2}}]"
        probe.write_text(f"model: probe\ninput: [16, 16, 16]\n{body}\n")
        run(["resspec", "validate", "probe.yaml"], folder)
        probe.unlink()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of what exports: a user's process shows and survives them
def test_every_command_shown_runs(page, run: Run):
    path, folder = page
    if "resnet18.pth" in path.read_text("utf-8"):
        torch = pytest.importorskip("torch")
        # resspec's own importer knows how torchvision is imported beside a CPU build of torch
        make = pytest.importorskip("resspec_torch.origins")._make_torchvision
        model = make("resnet18", classes=1000, channels=3, outputs=1)
        torch.save(model.state_dict(), folder / "resnet18.pth")
    if "trained.pth" in path.read_text("utf-8"):
        train_on_one_side(path, folder)
    ran = 0
    for line in commands(path):
        words = [w for word in shlex.split(line) for w in expand(word, folder)]
        run(words, folder)
        ran += 1
    assert ran


def commands(page: Path) -> Iterator[str]:
    """Those in its blocks of shell, and those in its sentences that are whole."""
    for text in fences(page, "sh"):
        for line in text.splitlines():
            command = line.partition(" #")[0].strip()
            if command and not command.startswith(ELSEWHERE):
                assert command.startswith("resspec "), command
                yield command
    if page.name == "README.md":
        yield from INLINE.findall(page.read_text("utf-8"))


def train_on_one_side(page: Path, folder: Path) -> None:
    """`trained.pth`, as the page's own Python leaves it, and `trained.keras` of its twin."""
    names = {"torch": pytest.importorskip("torch"), "resspec": resspec}
    pytest.importorskip("tensorflow")
    (shown,) = [text for text in fences(page, "python") if "trained.pth" in text]
    with chdir(folder):
        exec(compile(shown, page.name, "exec"), names)
        names["twin"].save("trained.keras")


def expand(word: str, folder: Path) -> list[str]:
    if "*" not in word:
        return [word]
    return sorted(str(found.relative_to(folder)) for found in folder.glob(word))


def test_generated_parts_are_fresh():
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate import PAGES as GENERATED
        from generate import refreshed
    finally:
        sys.path.pop(0)
    for path in GENERATED:
        assert refreshed(path.read_text("utf-8")) == path.read_text("utf-8"), "run `make docs`"
