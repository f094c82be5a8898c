"""The client that submits in the benchmark."""

import asyncio
import contextlib
import ssl
from pathlib import Path

import pytest

from bench import submission
from bench.errors import BenchError
from tests.certificates import Authority
from tests.peers import require_peer

USER = "user@here.test"
LOGIN = b"AUTH PLAIN AHVzZXJAaGVyZS50ZXN0AHNlY3JldA=="  # \0user@here.test\0secret

REPLIES = {b"EHLO": b"250-here.test\r\n250 PIPELINING", b"AUTH": b"235 ok", b"DATA": b"354 go on", b"QUIT": b"221 bye"}


class Server:
    """Says yes, and ``replies`` instead of that to what begins so."""

    def __init__(self, **replies: bytes) -> None:
        self.replies = REPLIES | {verb.encode(): said for verb, said in replies.items()}
        self.sessions: list[list[bytes]] = []
        self.contents: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):  # whoever is refused goes away
            await self._converse(reader, writer)
        writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = list[bytes]()
        self.sessions.append(said)
        writer.write(b"220 here.test\r\n")
        while line := await reader.readline():
            said.append(line.rstrip())
            writer.write(self.replies.get(line[:4], b"250 yes") + b"\r\n")
            if line == b"DATA\r\n":
                self.contents.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(self.replies.get(b".", b"250 kept") + b"\r\n")
            if line == b"QUIT\r\n":
                break


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_peer("gcc")
    if not Path("/usr/include/openssl/ssl.h").exists():
        require_peer("libssl-dev")
    return submission.build(tmp_path_factory.mktemp("client"))


def submit(server: Server, client: Path, folder: Path, messages: int) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*Authority().issue("here.test").write(folder, "here"))

    async def main() -> None:
        async with await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=context) as listener:
            port = listener.sockets[0].getsockname()[1]
            await asyncio.to_thread(submission.send, client, port, USER, "secret", messages)

    asyncio.run(main())


def test_every_message_has_a_session_with_a_login(client: Path, tmp_path: Path) -> None:
    server = Server()
    submit(server, client, tmp_path, 45)
    mail = [b"MAIL FROM:<user@here.test>", b"RCPT TO:<user@here.test>", b"DATA"]
    assert server.sessions == [[b"EHLO load.test", LOGIN, *mail, b"QUIT"]] * 45
    (content,) = set(server.contents)
    assert content.startswith(b"From: user@here.test\r\n") and 4000 < len(content) < 4400


@pytest.mark.parametrize(
    "refused",
    [{"EHLO": b"502 no"}, {"AUTH": b"535 no"}, {"RCPT": b"450 later"}, {"DATA": b"250 what"}, {".": b"452 full"}],
    ids=lambda refused: next(iter(refused)),
)
def test_a_refusal_ends_it(client: Path, tmp_path: Path, refused: dict[str, bytes]) -> None:
    with pytest.raises(BenchError, match=f"unexpected reply: {next(iter(refused.values())).decode()}"):
        submit(Server(**refused), client, tmp_path, 20)
