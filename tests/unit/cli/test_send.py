"""`paperpath send` against a small SMTP server."""

import json
import socket
import threading
from pathlib import Path

import pytest

from paperpath.cli.send import compose
from tests.unit.cli.conftest import Run


class SmtpServer:
    """Says the same reply to each command of a kind; keeps commands and content of one session."""

    def __init__(self, **replies: str) -> None:
        self.commands: list[str] = []
        self.content = b""
        self._replies = {
            "greeting": "220 hi",
            "ehlo": "250-hi\r\n250 8BITMIME",
            "end": "250 2.0.0 Accepted as 1abc",
        } | replies
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "SmtpServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        with sock, sock.makefile("rwb") as file:

            def say(kind: str, otherwise: str) -> None:
                file.write(self._replies.get(kind, otherwise).encode() + b"\r\n")
                file.flush()

            say("greeting", "")
            while line := file.readline():
                verb = line.decode().split()[0].lower()
                self.commands.append(line.decode().strip())
                say(line.decode().strip(), self._replies.get(verb, "354 go" if verb == "data" else "250 ok"))
                if verb == "data":
                    while (line := file.readline()) != b".\r\n":
                        self.content += line
                    say("end", "")


def test_a_message_is_handed_over(run: Run, configured: Path) -> None:
    with SmtpServer() as server:
        done = run("send", "--to", "You@Trial.test", "--server", server.address, "--body", "-", text=".dot\nGrüße\n")
    assert done.exit_code == 0, done.output
    assert done.output == f"You@trial.test: accepted by {server.address}: 250 2.0.0 Accepted as 1abc\n"
    assert server.commands[0] == "EHLO mx.trial.test"
    assert server.commands[1].startswith("MAIL FROM:<postmaster@mx.trial.test>")
    assert "BODY=8BITMIME" in server.commands[1]
    assert server.content.endswith("\r\n\r\n..dot\r\nGrüße\r\n".encode())


def test_each_recipient_has_its_own_answer(run: Run, configured: Path) -> None:
    replies = {"RCPT TO:<no@x.test>": "550 5.1.1 nobody\x1b[2J"}
    with SmtpServer(**replies) as server:
        arguments = ("--to", "you@x.test", "--to", "no@x.test", "--from", "me@x.test")
        done = run("send", *arguments, "--server", server.address, "--json")
    assert done.exit_code == 100
    shown = json.loads(done.output)["recipients"]
    assert [(one["result"], one["status"]) for one in shown] == [("accepted", "2.0.0"), ("refused", "5.1.1")]
    assert "\x1b" not in done.output


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ({"mail": "451 later"}, 111),
        ({"end": "452 full"}, 111),
        ({"end": "554 no"}, 100),
        ({"greeting": "554 go away"}, 111),
        ({"greeting": "HTTP/1.1 400 Bad Request"}, 111),
    ],
)
def test_exit_codes(run: Run, configured: Path, replies: dict[str, str], code: int) -> None:
    with SmtpServer(**replies) as server:
        done = run("send", "--to", "you@x.test", "--server", server.address)
    assert done.exit_code == code, done.output


def test_where_to_when_nothing_is_said(run: Run, trial: Path) -> None:
    config = trial / "paperpath.toml"
    with SmtpServer() as server:
        config.write_text(config.read_text().replace("127.0.0.1:0", "0.0.0.0:" + server.address.split(":")[1]))
        done = run("send", "--to", "you@trial.test", "--config", str(config))
    assert done.exit_code == 0, done.output
    config.write_text('hostname = "a.test"\n')
    done = run("send", "--to", "you@trial.test", "--config", str(config))
    assert (done.exit_code, "no [[listen]]" in done.output) == (100, True)


def test_a_server_needs_no_configuration(run: Run) -> None:
    with SmtpServer() as server:
        assert run("send", "--to", "you@x.test", "--server", server.address).exit_code == 0
    assert server.commands[0] == "EHLO localhost"


def test_nobody_listens(run: Run, configured: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    done = run("send", "--to", "you@x.test", "--server", f"127.0.0.1:{port}")
    assert (done.exit_code, "Connection refused" in done.output) == (111, True)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--to", "nobody"),
        ("--to", "a b@x.test"),
        ("--to", "a@x.test", "--from", "x"),
        ("--to", "a@x.test", "--server", "x:y"),
    ],
)
def test_usage(run: Run, configured: Path, arguments: tuple[str, ...]) -> None:
    assert run("send", *arguments).exit_code == 64


def test_the_body_may_be_a_file(run: Run, configured: Path, tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"one\r\ntwo\n\n\n")
    with SmtpServer() as server:
        run("send", "--to", "you@x.test", "--body", str(tmp_path / "body"), "--server", server.address)
    assert server.content.endswith(b"\r\n\r\none\r\ntwo\r\n")


def test_a_subject_cannot_make_header_fields_and_any_script_is_encoded() -> None:
    content = compose(b"a@x.test", (b"b@x.test",), "x\nBcc: y", b"t", 0, "token", "h.test")
    assert b"Subject: x Bcc: y\n" in content
    content = compose(b"a@x.test", (b"b@x.test", b"c@x.test"), "Grüße " * 20, b"t", 0, "token", "h.test")
    assert content.isascii()
    assert max(len(line) for line in content.split(b"\n")) <= 78
    assert b"Date: Thu, 1 Jan 1970 00:00:00 +0000\n" in content
