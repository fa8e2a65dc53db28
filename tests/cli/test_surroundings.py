"""What is around a command: odd files, odd names, streams that are closed or full, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resspec.ops import OPS
from tests import specs
from tests.commands import python

Run = Callable[..., Any]
ODD = "a\x1b[31m\nb\udcff\u202e.yaml"
SHOWN = "a\\x1b[31m\\nb\\udcff\\u202e.yaml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    specs.write(tmp_path)
    return tmp_path


# -- what is called x.yaml and is no file ---------------------------------------------------------


@pytest.fixture
def strange(folder: Path) -> list[str]:
    """A FIFO, a socket, a folder and a link to a device, all called as specs are."""
    for place in (folder, folder / "blocks", folder / "lib"):
        place.mkdir(exist_ok=True)
        os.mkfifo(place / "pipe.yaml")
        (place / "device.yaml").symlink_to("/dev/zero")
        (place / "dir.yaml").mkdir()
        (place / "lost.yaml").symlink_to("nowhere")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("sock.yaml")
    return ["pipe.yaml", "device.yaml", "dir.yaml", "sock.yaml"]


def test_a_fifo_beside_a_spec_is_passed_over(run: Run, strange: list[str]) -> None:
    assert run("validate", "tiny.yaml", "--path", "lib").code == 0
    text = specs.TINY + "defaults: {act: NAME}\n"
    for name in (*strange, "lost.yaml"):
        specs.write(Path(), text.replace("NAME", name.removesuffix(".yaml")), "calls.yaml")
        result = run("validate", "calls.yaml", "--path", "lib")
        assert (result.code, result.err.count("error[")) == (1, 1)
        assert "error[unknown-name]" in result.err


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("pipe", "a FIFO"),
        ("device", "a device"),
        ("dir", "a folder"),
        ("sock", "a socket"),
    ],
)
def test_a_spec_that_is_no_file_is_one_line(
    run: Run, strange: list[str], name: str, what: str
) -> None:
    for command in ("validate", "summarize"):
        result = run(command, f"{name}.yaml")
        assert result.code == 1
        assert result.err.startswith(f"error[io-error]: `{name}.yaml` is {what}, not a file\n")
    specs.write(Path(), f"model: m\nextends: {name}.yaml\n", "extends.yaml")
    result = run("validate", "extends.yaml")
    assert "error[path-escape]" in result.err or f"is {what}, not a file" in result.err


def test_a_block_of_60_gigabytes_is_too_large_and_costs_nothing(run: Run, folder: Path) -> None:
    for name in ("huge", "deep"):
        with (folder / f"{name}.yaml").open("w") as file:
            file.write(f"block: {name}\nlayers: [relu]\n")
            file.truncate(60 << 30)
    specs.write(folder, specs.TINY.replace("head: classifier", "head: huge"), "calls.yaml")
    (folder / "lib").mkdir()
    (folder / "lib" / "deep.yaml").write_text("block: deep\nlayers: [gelu]\n")
    specs.write(folder, specs.TINY.replace("head: classifier", "head: deep"), "clash.yaml")
    for words in (["calls.yaml"], ["huge.yaml"], ["clash.yaml", "--path", "lib"]):
        result = run("validate", *words)
        assert (result.code, result.err.count("error[")) == (1, 1)
        assert "error[file-too-large]" in result.err


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="no /proc here")
def test_files_of_the_kernel_are_no_specs(run: Run, folder: Path) -> None:
    for number, target in enumerate(("/proc/self/environ", "/proc/self/mem", "/dev/full")):
        Path(f"k{number}.yaml").symlink_to(target)
        result = run("validate", f"k{number}.yaml")
        assert result.code == 1
        assert result.err.startswith("error[")


def test_links_in_a_ring_and_names_that_are_too_long_lead_nowhere(run: Run, folder: Path) -> None:
    Path("loop.yaml").symlink_to("loop.yaml")
    long = "a" * 300
    bases = [f"model: m\nextends: {base}\n" for base in ("loop.yaml", "loop", long, f"{long}.yaml")]
    texts = [*bases, specs.TINY.replace("classifier", "loop")]
    for number, text in enumerate(texts):
        specs.write(folder, text, f"m{number}.yaml")
    names = [f"m{number}.yaml" for number in range(len(texts))]
    for name in ("loop.yaml", f"{long}.yaml", long, *names):
        result = run("validate", name)
        assert (result.code, result.err.count("error[")) == (1, 1)


# -- what is written ------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_out_is_no_fifo_and_no_device(run: Run, folder: Path, force: list[str]) -> None:
    os.mkfifo("pipe")
    Path("link").symlink_to("pipe")
    for name, what in (("pipe", "a FIFO"), ("link", "a FIFO"), ("/dev/null", "a device")):
        result = run("source", "tiny.yaml", "--out", name, *force)
        assert result.code == 1
        assert f"is not overwritten: it is {what}" in result.err
        result = run("build", "tiny.yaml", "--out", name, *force)
        assert result.code == 1
        assert f"it is {what}" in result.err
    assert Path("pipe").is_fifo()
    Path("full").mkdir()
    os.mkfifo("full/model.py")
    assert "did not write: model.py" in run("build", "tiny.yaml", "--out", "full", "--force").err


# -- names as a terminal shows them ---------------------------------------------------------------


def test_a_file_name_is_shown_escaped_everywhere(run: Run, folder: Path) -> None:
    specs.write(folder, specs.TINY, ODD)
    broken = specs.TINY.replace("norm", "nrom")
    assert run("validate", ODD).out == f"{SHOWN}: ok\n"
    assert run("source", ODD, "--out", f"{ODD}.py").err == f"wrote {SHOWN}.py\n"
    said = [
        run("source", ODD, "--out", f"{ODD}.py"),
        run("summarize", f"no{ODD}"),
        run("validate", ODD, "--path", f"no{ODD}"),
        run("validate", ODD, "--set", f"{ODD}"),
        run("source", ODD),
        run("summarize", f"{ODD}#{ODD}"),
        run(ODD),
        run("explain", ODD),
        run("show", ODD),
        run("parity", ODD, "--max-params", "1"),
        run("parity", f"no{ODD}", ODD, "--max-params", "1", "--format", "markdown"),
        run("build", ODD, "--weights", f"no{ODD}"),
        run("port", f"no{ODD}", "--from", "torch", "--spec", ODD, "--out", f"{ODD}.st"),
        run("validate", specs.write(folder, broken, ODD)),
    ]
    for result in said:
        text = result.out + result.err
        assert all(char.isprintable() or char == "\n" for char in text)
        assert "Traceback" not in text
        assert "unexpected" not in text
    (row,) = json.loads(run("validate", ODD, "--format", "json").out)
    assert row["spec"] == ODD


# -- options that say nothing, or too much --------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["build", "tiny.yaml", "--outputs", ",,"], "names nothing"),
        (["summarize", "tiny.yaml", "--outputs", " "], "names nothing"),
        (["source", "tiny.yaml", "--outputs", ""], "names nothing"),
        (["validate", "tiny.yaml", "--outputs", ","], "names nothing"),
        (["build", "tiny.yaml", "--out", "o", "--export", ",,"], "names nothing"),
        (["build", "tiny.yaml", "--batch", "99999999999"], "numbers; at most"),
        (["build", "tiny.yaml", "--batch", "0"], "--batch"),
        (["build", "tiny.yaml", "--batch", "-1"], "--batch"),
        (["summarize", "tiny.yaml", "--input", "224x224x3"], "Did you mean 3x224x224?"),
        (["summarize", "tiny.yaml", "--input", "32×64×1"], "Did you mean 1x32x64?"),
        (["summarize", "tiny.yaml", "--input", "3x9999999999999x3"], "too large"),
    ],
)
def test_an_option_that_cannot_be_meant_is_a_usage_error(
    run: Run, folder: Path, words: list[str], hint: str
) -> None:
    result = run(*words)
    assert (result.code, result.out) == (2, "")
    assert hint in result.err


@pytest.mark.parametrize("size", ["3x32x4", "64x4x4", "4x8x3", "1x1x1"])
def test_an_input_of_few_columns_is_one(run: Run, folder: Path, size: str) -> None:
    specs.write(folder, "model: m\ninput: [3, 8, 8]\nstem: [relu]\n")
    assert run("summarize", "tiny.yaml", "--input", size).code == 0


# -- streams --------------------------------------------------------------------------------------

COMMANDS = ["summarize tiny.yaml", "validate tiny.yaml", "validate nope", "list ops", "--help",
            "schema", "source tiny.yaml", "--version", "frob"]  # fmt: skip
STREAMS = [">/dev/full", ">&-", "2>&-", "2>/dev/full", "<&-", ">&- 2>&- <&-"]
EACH_IN_A_CHILD = """\
import json, os, sys
import resspec.api, resspec.cli.app, resspec.schema, resspec.validate
from resspec.cli import main

def child(command, streams, errors):
    os.dup2(errors, 2)
    for word in streams.split():
        name = "stdin" if word[0] == "<" else "stderr" if word[0] == "2" else "stdout"
        number = ("stdin", "stdout", "stderr").index(name)
        if word.endswith("-"):
            os.close(number)
            setattr(sys, name, None)  # as Python begins where it is closed
        else:
            os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    main(command.split())

found = []
for streams in json.loads(sys.argv[2]):
    for command in json.loads(sys.argv[1]):
        with open("errors", "w+b") as errors:
            pid = os.fork()
            if pid == 0:
                sys.argv, out = ["resspec"], os.open("out", os.O_WRONLY | os.O_CREAT)
                os.dup2(out, 1)
                child(command, streams, errors.fileno())
            _, status = os.waitpid(pid, 0)
            errors.seek(0)
            text = errors.read().decode()
            found.append([streams, command, os.waitstatus_to_exitcode(status), text])
print(json.dumps(found))
"""


def test_streams_that_are_closed_or_full(folder: Path) -> None:
    """Nothing but one line where the output cannot be written, and exit code 1."""
    done = python("-c", EACH_IN_A_CHILD, json.dumps(COMMANDS), json.dumps(STREAMS))
    assert done.err == ""
    found = json.loads(done.out)
    assert len(found) == len(COMMANDS) * len(STREAMS)
    for streams, command, code, said in found:
        at = f"{command} {streams}: {said}"
        unwritten = streams.startswith(">")
        wrong = {"frob": 2, "validate nope": 1}.get(command, 0)
        assert code == (wrong or int(unwritten)), at
        assert not any(word in said for word in ("Traceback", "unexpected", "ignored")), at
        if not wrong:
            line = "error: standard output cannot be written: "
            told = unwritten and "2>" not in streams
            assert said.startswith(line) if told else said == "", at
            assert said.count("\n") == told, at


def test_docs_are_there_where_python_keeps_none(folder: Path) -> None:
    script = "import sys\nfrom resspec.cli import main\n" + "\n".join(
        f"try: main({words!r}.split())\nexcept SystemExit as e: assert not e.code"
        for words in ("list ops", "show conv2d", "validate --help", "validate tiny.yaml")
    )
    done = python("-c", script, env={"PYTHONOPTIMIZE": "2"})
    assert done.err == ""
    lines = done.out.splitlines()
    docs = dict(line.split(None, 1) for line in lines[: len(OPS)])
    assert docs.keys() == OPS.keys()
    assert docs["tanh"] == "Hyperbolic tangent. Shape kept."
    assert not any(doc.startswith(f"{OPS[name].__name__}(") for name, doc in docs.items())
    assert "Source: arXiv:1512.03385" in done.out or "cross-correlation form" in done.out
    assert "Check specs, every problem at once." in done.out
    assert lines[-1] == "tiny.yaml: ok"


SLOW_IMPORT = """\
import sys, time
class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "resspec.cli.app":
            print("here", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` would have it ignored
from resspec.cli import main
main(["list"])
"""


def test_an_interrupt_during_the_first_imports_is_quiet() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SLOW_IMPORT],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


def test_an_interrupt_is_quiet_whatever_it_becomes(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def importing(*_: Any, **__: Any) -> Any:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("a half-imported library") from None

    monkeypatch.setattr("resspec.compile.load", importing)
    before = signal.getsignal(signal.SIGTERM)
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's `&` ignores it
    result = run("summarize", "tiny.yaml")
    signal.signal(signal.SIGINT, heard)
    assert (result.code, result.out, result.err) == (130, "", "")
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (MemoryError(), "there is not enough memory for this"),
        (RuntimeError("can't allocate memory: you tried"), "there is not enough memory for this"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (PermissionError(13, "Permission denied", "x"), "`x`: Permission denied"),
    ],
)
def test_what_the_machine_lacks_is_one_line(
    problem: Exception, line: str, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greedy(*_: Any, **__: Any) -> Any:
        raise problem

    monkeypatch.setattr("resspec.compile.load", greedy)
    result = run("summarize", "tiny.yaml")
    assert (result.code, result.err) == (1, f"error: {line}\n")


def test_reports_that_cannot_be_kept_are_told_before_the_work(run: Run, folder: Path) -> None:
    result = run("parity", "tiny.yaml", "--backends", "torch,torch@cpu", "--resume", "gone/x.jsonl")
    assert (result.code, result.out) == (1, "")
    assert result.err == "error[io-error]: cannot write `gone/x.jsonl`: No such file or directory\n"


ALIKE = ("--set", "--input", "--outputs", "--limit", "--path")


@pytest.mark.parametrize("command", ["build", "summarize", "validate", "source", "parity", "port"])
def test_a_spec_is_named_changed_and_bounded_alike_everywhere(run: Run, command: str) -> None:
    text = run(command, "--help").out
    for option in ALIKE:
        assert f"  {option} " in text
    assert "--limit NAME=NUMBER" in text
