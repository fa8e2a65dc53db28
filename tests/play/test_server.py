"""`resspec play`: who is answered, what is written, and what is shown of a text."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from resspec.diagnostics import SpecError
from resspec.play import Server
from resspec.play.document import Document
from tests import specs
from tests.commands import in_a_process

BROKEN = specs.TINY.replace("block: basic", "blok: basic")


class Client:
    """Asks as the page does; what is `None` in `headers` is left out."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __call__(
        self, path: str, data: Any = None, *, method: str | None = None, **headers: str | None
    ) -> tuple[int, str, dict[str, str]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=30)
        usual = {"Host": self.server.hosts[0], "Origin": f"http://{self.server.hosts[0]}"}
        usual["Content-Type"] = "application/json"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (usual | named).items() if value is not None}
        body = None if data is None else data if isinstance(data, bytes) else json.dumps(data)
        how = method or ("GET" if data is None else "POST")
        connection.putrequest(how, path, skip_host=True, skip_accept_encoding=True)
        if body is not None and "Content-Length" not in sent:
            sent["Content-Length"] = str(len(body))
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode() if isinstance(body, str) else body)
        answer = connection.getresponse()
        found = answer.status, answer.read().decode(), dict(answer.headers)
        connection.close()
        return found

    def ask(self, what: str, **data: Any) -> dict[str, Any]:
        status, text, _ = self(f"/{self.server.token}/{what}", data)
        assert status == 200, text
        return json.loads(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(specs.write(tmp_path))


@pytest.fixture
def client(path: Path) -> Iterator[Client]:
    with Server(Document(str(path))) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Client(server)
        server.shutdown()
        thread.join()


# -- who is answered -------------------------------------------------------------------------


def test_the_page_and_its_parts_are_there_and_may_load_nothing_else(client: Client):
    for name in ("", "play.js", "play.css", "codemirror.js"):
        status, text, headers = client(f"/{client.server.token}/{name}")
        assert status == 200
        assert text
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    policy = client(f"/{client.server.token}/")[2]["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    nonces = {client(f"/{client.server.token}/")[2]["Content-Security-Policy"] for _ in range(3)}
    assert len(nonces) == 3


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "evil.example:80"}, 403),
        ({"Host": None}, 403),
        ({"Host": "127.0.0.1"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": None}, 415),
        ({"Content_Length": "-1"}, 411),
        ({"Content_Length": "1e3"}, 411),
        ({"Content_Length": "99999999999999"}, 413),
        ({"Content_Length": str(5 << 20)}, 413),
        ({"Content_Length": None, "Transfer_Encoding": "chunked"}, 411),
    ],
)
def test_requests_of_others_are_refused(client: Client, headers: dict[str, Any], status: int):
    data = b"" if "Transfer_Encoding" in headers else {"text": "x"}
    assert client(f"/{client.server.token}/look", data, **headers)[0] == status


def test_who_has_no_token_gets_nothing(client: Client, path: Path):
    token = client.server.token
    for wrong in ("/", "/look", f"/{token[:-1]}/", f"/{token}x/", "//"):
        assert client(wrong)[0] == 403
        assert client(wrong, {"text": "x"})[0] == 403
    status, text, _ = client("/", {"text": "x"})
    assert (status, token in text) == (403, False)


@pytest.mark.parametrize(
    "name", ["../server.py", "..%2fserver.py", "/etc/passwd", "codemirror.LICENSE.md", "../../../x"]
)
def test_nothing_but_the_page_is_read(client: Client, name: str):
    assert client(f"/{client.server.token}/{name}")[0] == 404


def test_a_loopback_name_is_the_same_machine(client: Client):
    host = client.server.hosts[1]
    status, _, _ = client(f"/{client.server.token}/state", {}, Host=host, Origin=f"http://{host}")
    assert status == 200


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"text": 3}', b'{"text": "\\ud800"}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_question_is_told_so(client: Client, body: bytes):
    assert client(f"/{client.server.token}/look", body)[0] == 400
    assert client.ask("state")["name"]


def test_other_methods_are_not_known(client: Client):
    assert client(f"/{client.server.token}/", method="PUT")[0] == 501
    assert client(f"/{client.server.token}/look")[0] == 404


def test_a_text_beyond_what_a_spec_may_have_is_refused(client: Client):
    assert client(f"/{client.server.token}/look", {"text": "x" * ((1 << 20) + 1)})[0] == 413


# -- what is shown ---------------------------------------------------------------------------


def test_a_text_is_shown_as_problems_costs_and_source(client: Client):
    found = client.ask("look", text=specs.TINY, view="torch")
    assert (found["ok"], found["problems"], found["name"]) == (True, [], "tiny")
    assert found["cost"]["rows"][-1]["params"] == 1409
    assert "class Basic(nn.Module)" in found["source"]
    assert "source" not in client.ask("look", text=specs.TINY, view="cost")


@pytest.mark.needs("py_mini_racer")
def test_the_picture_follows_the_text_and_its_parts_know_their_lines(client: Client):
    found = client.ask("look", text=specs.TINY, level="stage")
    assert found["picture"]["svg"].startswith("<svg")
    start, end = found["places"]["stages.1"]
    assert specs.TINY[start:end].startswith("{depth: 1, width: 8")
    two = client.ask("look", text=specs.TINY.replace("depth: 1", "depth: 3"), level="stage")
    assert "basic × 2" in two["picture"]["svg"]


def test_a_problem_is_marked_where_it_is(client: Client):
    found = client.ask("look", text=BROKEN)
    (one, *_) = found["problems"]
    assert not found["ok"]
    assert "cost" not in found
    assert BROKEN[slice(*one["at"])] == "blok"
    assert one["place"] == "9:1"
    assert "`block`" in one["help"]


def test_places_count_as_a_browser_counts(client: Client):
    text = BROKEN.replace("doc: A", "doc: 😀😀 A")
    (one, *_) = client.ask("look", text=text)["problems"]
    units = text.encode("utf-16-le")
    start, end = one["at"]
    assert units[2 * start : 2 * end].decode("utf-16-le") == "blok"


@pytest.mark.parametrize(
    "text", ["", "a: [", "\t", "model: x", "block: b", "a: &a [*a]", "\0", "- 1", "model: x\ninput: [3"]
)  # fmt: skip
def test_broken_yaml_is_told_and_nothing_breaks(client: Client, text: str):
    found = client.ask("look", text=text)
    assert found["ok"] is False
    for one in found["problems"]:
        if one["at"]:
            assert 0 <= one["at"][0] <= one["at"][1] <= len(text)


def test_what_is_typed_is_seen_and_the_file_is_not_touched(client: Client, path: Path):
    before = path.read_bytes()
    assert client.ask("look", text=specs.TINY.replace("width: 8", "width: 16"), view="cost")["ok"]
    assert path.read_bytes() == before


def test_variants_are_offered_and_one_is_shown(client: Client):
    text = specs.TINY + "variants:\n  deep: {stages: [{depth: 3, width: 4}]}\n"
    found = client.ask("look", text=text, view="cost")
    assert (found["variants"], found["variant"]) == (["", "deep"], "")
    deep = client.ask("look", text=text, view="cost", variant="deep")
    assert deep["variant"] == "deep"
    assert deep["cost"]["params"] != found["cost"]["params"]
    gone = client.ask("look", text=specs.TINY, view="cost", variant="deep")
    assert gone["variant"] == ""


def test_a_block_alone_is_tried(client: Client):
    text = "block: tiny\nlayers: [{conv: {out_channels: 16, kernel_size: 3}}, norm]\n"
    found = client.ask("look", text=text, view="cost")
    assert found["ok"], found
    assert found["cost"]["rows"]


def test_a_network_beyond_all_limits_is_told_so(client: Client):
    text = specs.TINY.replace("depth: 1, width: 4", "depth: 1000000, width: 4")
    (one, *_) = client.ask("look", text=text)["problems"]
    assert one["code"] == "node-limit"


def test_markup_in_a_spec_is_text(client: Client):
    text = specs.TINY.replace("doc: A", "doc: '<script>alert(1)</script>").replace(
        "a head.", "a head.'"
    )
    found = client.ask("look", text=text)
    assert found["ok"], found["problems"]
    assert "<script>" not in json.dumps(found["picture"])


# -- the file --------------------------------------------------------------------------------


def test_saving_writes_the_file_and_nothing_else(client: Client, path: Path):
    os.chmod(path, 0o640)
    seen = client.ask("state")["seen"]
    done = client.ask("save", text="model: other\n", seen=seen)
    assert path.read_text() == "model: other\n"
    assert done["seen"] == client.ask("state")["seen"]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_what_another_program_wrote_meanwhile_is_not_lost(client: Client, path: Path):
    seen = client.ask("state")["seen"]
    path.write_text("model: theirs\n")
    assert client.ask("save", text="model: ours\n", seen=seen) == {"changed": True}
    assert path.read_text() == "model: theirs\n"
    client.ask("save", text="model: ours\n", seen=seen, force=True)
    assert path.read_text() == "model: ours\n"


def test_line_breaks_stay_those_of_the_file(client: Client, path: Path):
    path.write_bytes(specs.TINY.replace("\n", "\r\n").encode())
    state = client.ask("state")
    assert state["text"] == specs.TINY
    client.ask("save", text=specs.TINY + "# more\n", seen=state["seen"])
    assert path.read_bytes() == (specs.TINY + "# more\n").replace("\n", "\r\n").encode()


def test_a_file_that_became_a_link_is_not_followed(client: Client, path: Path):
    seen = client.ask("state")["seen"]
    other = path.with_name("other.yaml")
    other.write_text(path.read_text())
    path.unlink()
    path.symlink_to(other)
    found = client.ask("save", text="model: x\n", seen=seen, force=True)
    assert "leads somewhere else" in found["error"]
    assert other.read_text() == specs.TINY


@pytest.mark.parametrize("spec", [None, "resnet18", "specs/resnet18.yaml"])
def test_what_ships_is_a_text_to_try_things_on(spec: str | None):
    document = Document(spec)
    state = document.state()
    assert not state["writes"]
    with pytest.raises(SpecError, match="is not written"):
        document.write("x", state["seen"], force=True)


def test_a_file_that_is_not_there_is_begun_and_made_when_it_is_saved(tmp_path: Path):
    document = Document(str(tmp_path / "new.yaml"))
    state = document.state()
    assert state["writes"]
    assert "model: mine" in state["text"]
    assert not (tmp_path / "new.yaml").exists()
    assert document.write(state["text"], state["seen"])
    assert (tmp_path / "new.yaml").read_text() == state["text"]


@pytest.mark.parametrize("data", [b"\xff\xfem\0", b"model: \xff\n"])
def test_what_is_no_text_is_not_opened(tmp_path: Path, data: bytes):
    (tmp_path / "a.yaml").write_bytes(data)
    with pytest.raises(SpecError, match="not UTF-8"):
        Document(str(tmp_path / "a.yaml"))


def test_folders_and_names_of_nothing_are_not_opened(tmp_path: Path):
    (tmp_path / "a.yaml").mkdir()
    for wrong in (str(tmp_path / "a.yaml"), "resnet5", "a/b"):
        with pytest.raises(SpecError):
            Document(wrong)


# -- the process -----------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGINT to send")
def test_ctrl_c_ends_it_quietly(path: Path):
    command = in_a_process("play", path, "--no-browser")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:  # type: ignore[call-overload]
        address = process.stdout.readline()
        assert address.startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        try:
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()  # else a server that goes on would be waited for
    assert (process.returncode, out, err) == (130, "", "Ctrl-C ends it\n")


def test_a_port_that_is_taken_is_one_line(
    client: Client, path: Path, capfd: pytest.CaptureFixture[str]
):
    from resspec.cli import main

    with pytest.raises(SystemExit) as caught:
        main(["play", str(path), "--no-browser", "--port", str(client.server.server_port)])
    assert caught.value.code == 1
    assert "cannot be used" in capfd.readouterr().err
