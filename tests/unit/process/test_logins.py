import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paperpath.process import logins
from paperpath.process.logins import Attempt, Logins
from paperpath.wire.frame import Hello
from paperpath.wire.logins import (
    Abandon,
    Challenge,
    FromLoginClient,
    LoggedIn,
    Login,
    LoginAnswer,
    LoginRefused,
    Respond,
)
from tests.unit.process.peer import Peer, listening


class Client:
    def __init__(self, path: str) -> None:
        self.logins = Logins(path, "receive")
        self.answers: asyncio.Queue[LoginAnswer] = asyncio.Queue()

    def begin(self, mechanism: str = "PLAIN", initial: bytes | None = b"\0you\0secret") -> Attempt:
        return self.logins.begin(
            mechanism, initial, self.answers.put_nowait, service="submission", peer="192.0.2.1", secure=True
        )


@pytest.fixture
async def auth(tmp_path: Path) -> AsyncIterator[Peer]:
    with listening(tmp_path / "auth", FromLoginClient) as peer:
        yield peer


@pytest.fixture
async def client(auth: Peer) -> AsyncIterator[Client]:
    client = Client(auth.path)
    await auth.channels.get()
    assert isinstance(await auth.heard.get(), Hello)
    yield client
    client.logins.close()


async def test_a_login_that_is_answered_at_once(auth: Peer, client: Client) -> None:
    attempt = client.begin()
    login = await auth.heard.get()
    assert login == Login(1, "PLAIN", b"\0you\0secret", "submission", "192.0.2.1", True)
    answer = LoggedIn(1, "you@example.test", (b"you@example.test",), b"", b"pass")
    auth.send(answer)
    assert await client.answers.get() == answer
    assert not attempt.waits
    with pytest.raises(RuntimeError):
        attempt.respond(b"more")
    client.begin()
    assert (await auth.heard.get()).ticket == 2  # and nothing before it: what it answered it knows


async def test_challenges_and_responses(auth: Peer, client: Client) -> None:
    attempt = client.begin("SCRAM-SHA-256", None)
    await auth.heard.get()
    auth.send(Challenge(1, b"say it"))
    assert await client.answers.get() == Challenge(1, b"say it")
    attempt.respond(b"it")
    assert await auth.heard.get() == Respond(1, b"it")
    with pytest.raises(RuntimeError):
        attempt.respond(b"it again")
    auth.send(LoginRefused(1, "wrong", temporary=False))
    assert isinstance(await client.answers.get(), LoginRefused)


async def test_what_crosses_an_abandon_is_ignored(auth: Peer, client: Client) -> None:
    client.begin().abandon()
    await auth.heard.get()
    assert await auth.heard.get() == Abandon(1)
    auth.send(Challenge(1, b""))
    client.begin()
    assert (await auth.heard.get()).ticket == 2
    auth.send(Challenge(2, b"for the second"))
    assert await client.answers.get() == Challenge(2, b"for the second")


async def test_when_auth_ends_whoever_waits_is_told(auth: Peer, client: Client) -> None:
    client.begin()
    await auth.heard.get()
    auth.hang_up()
    answer = await client.answers.get()
    assert isinstance(answer, LoginRefused) and answer.temporary


async def test_when_auth_ends_between_challenge_and_response_the_response_is_refused(
    auth: Peer, client: Client
) -> None:
    attempt = client.begin()
    await auth.heard.get()
    auth.send(Challenge(1, b""))
    await client.answers.get()
    auth.hang_up()
    await auth.channels.get()  # it is back, and knows nothing of the attempt
    assert client.answers.empty()
    attempt.respond(b"late")
    assert client.answers.empty()
    answer = await client.answers.get()
    assert isinstance(answer, LoginRefused) and answer.temporary


async def test_a_login_waits_for_auth_to_come(tmp_path: Path) -> None:
    path = tmp_path / "auth"
    client = Client(str(path))
    client.begin()
    gone = client.begin()
    gone.abandon()
    with listening(path, FromLoginClient) as auth:
        assert isinstance(await auth.heard.get(), Hello)
        assert (await auth.heard.get()).ticket == 1
        auth.send(Challenge(1, b""))
        assert await client.answers.get() == Challenge(1, b"")
        assert auth.heard.empty()
    client.logins.close()


@pytest.mark.parametrize("ticket", [0, 7])
async def test_an_answer_to_nothing_ends_the_conversation(auth: Peer, client: Client, ticket: int) -> None:
    auth.send(Challenge(ticket, b""))
    await auth.channels.get()


async def test_silence_is_an_answer_in_the_end(auth: Peer, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logins, "ANSWER_WITHIN_S", 0.01)
    client.begin()
    answer = await client.answers.get()
    assert isinstance(answer, LoginRefused) and answer.temporary
    await auth.heard.get()
    assert await auth.heard.get() == Abandon(1)


async def test_attempts_that_auth_does_not_read_are_our_trouble_at_once(
    auth: Peer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "_PENDING_MOST_BYTES", 10_000)
    for _ in range(1000):  # in one turn of the loop: nothing is read meanwhile
        client.begin()
    assert client.logins._link.pending_bytes < 10_200
    assert client.answers.empty()
    refused = await client.answers.get()
    assert isinstance(refused, LoginRefused) and refused.temporary
    refused_in_all = 1 + client.answers.qsize()
    assert len(client.logins._open) == 1000 - refused_in_all
    heard = [await auth.heard.get() for _ in range(1000 - refused_in_all)]
    client.begin()
    heard.append(await auth.heard.get())
    assert all(isinstance(frame, Login) for frame in heard)  # nor is it told to forget what it was not asked
