"""Every code has a golden: what is wrong beside the text that says so.

`golden/CODE.yaml` is a bad spec and `golden/CODE.txt` what `resspec validate` says of it. Where
one file is not enough, `golden/CODE/` is the folder that the commands of `CODE.args` run in, or
`CODE.py` is run there; the last command is the one that fails. `CODE.NAME.yaml` is another spec
of the same code. `--update-golden` writes the texts.
"""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from resspec import backend, cli
from resspec.cli import common
from resspec.codes import CODES
from resspec.diagnostics import SpecError
from resspec.paths import specs_dir

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(
    {path.name.removesuffix(path.suffix) for path in GOLDEN.iterdir() if path.suffix != ".txt"}
)
WARNINGS = ("unused-param", "dead-layer", "double-activation", "shrinking-stage")
WARNINGS += ("constant-condition", "odd-momentum")
SPECS = str(specs_dir())
BUILDS = ("lift-differs", "no-device", "not-liftable", "weights-format", "weights-mismatch")


def run(arguments: list[str]) -> int:
    try:
        cli.main(arguments)
    except SystemExit as left:
        return int(left.code or 0)
    return 0


def commands(name: str) -> list[list[str]]:
    table = GOLDEN / f"{name}.args"
    if not table.is_file():
        return [["validate", f"{name}.yaml"]]
    return [shlex.split(line) for line in table.read_text("utf-8").splitlines()]


@pytest.fixture
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The golden's name, with its files in the current folder."""
    name = str(request.param)
    if (GOLDEN / name).is_dir():
        shutil.copytree(GOLDEN / name, tmp_path, dirs_exist_ok=True)
    for suffix in (".yaml", ".py"):
        if (GOLDEN / f"{name}{suffix}").is_file():
            shutil.copy(GOLDEN / f"{name}{suffix}", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(backend, "names", lambda: ("tensorflow", "torch"))
    return name


@pytest.mark.parametrize("folder", NAMES, indirect=True)
def test_the_text_is_the_golden_one(
    folder: str, golden: Callable[[Path, str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    code = folder.partition(".")[0]
    if code in BUILDS:
        pytest.importorskip("torch")
    if Path(f"{folder}.py").is_file():
        with pytest.raises(SpecError) as raised:
            runpy.run_path(f"{folder}.py")
        common.show(raised.value.diagnostics)
        status = 1
    else:
        *before, last = commands(folder)
        assert [run(arguments) for arguments in before] == [0] * len(before)
        capsys.readouterr()
        status = run(last)
    text = capsys.readouterr().err.partition("\n\n1 problem in ")[0].rstrip("\n") + "\n"
    severity = "warning" if code in WARNINGS else "error"
    assert status == (severity == "error")
    assert text.startswith(f"{severity}[{code}]: ")
    assert text.count("]: ") == 1, "one cause, one error"
    text = re.sub("(?m)^help: present: .*", "help: present: cpu", text.replace(SPECS, "SPECS"))
    golden(GOLDEN / f"{folder}.txt", text)


def test_every_code_has_a_golden() -> None:
    assert {name.partition(".")[0] for name in NAMES} == CODES.keys()


def test_no_golden_text_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(NAMES)
