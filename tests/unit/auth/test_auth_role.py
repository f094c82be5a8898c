"""`auth` as a process: what is asked of it through its socket, and what it says."""

import asyncio
import hashlib
import hmac
import os
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import cast

import apsw
import msgspec
import pytest

from paperpath.auth import accounts as accounts_module
from paperpath.auth.known import Known
from paperpath.auth.verdict import Client
from paperpath.config.uses import read_uses
from paperpath.process.passes import is_good_pass
from paperpath.system.clock import now
from paperpath.wire.frame import VERSION, Hello, encode
from paperpath.wire.logins import (
    LOGINS_FRAME_MOST_BYTES,
    RESPONSE_MOST_BYTES,
    VOUCHED,
    Abandon,
    Challenge,
    LoggedIn,
    Login,
    LoginRefused,
    Respond,
)
from tests.unit.auth.scene import NOW, PASS_KEY, Scene, scene


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An account with an application password, made once: each password costs a tenth of a second."""
    folder = tmp_path_factory.mktemp("auth")
    made = Scene(folder)
    made.accounts.add("you@example.test", "secret", NOW)
    made.accounts.add_app_password("you@example.test", "phone", "x7gk2-aaaaa", NOW)
    return folder


@pytest.fixture
async def auth(prepared: Path) -> AsyncIterator[Scene]:
    async with scene(prepared) as made:
        yield made
    (prepared / "auth").unlink()


async def test_the_right_password_lets_in(auth: Scene) -> None:
    answer = await auth.plain("You@Example.test", "secret")
    assert isinstance(answer, LoggedIn)
    assert (answer.account, answer.addresses) == ("you@example.test", (b"you@example.test",))


@pytest.mark.parametrize(("service", "opens"), [("pop3", True), ("pop3s", True), ("submission", False), ("", False)])
async def test_who_logs_in_to_fetch_mail_is_given_a_pass(auth: Scene, service: str, opens: bool) -> None:
    answer = await auth.plain("you@example.test", "secret", service=service)
    assert isinstance(answer, LoggedIn)
    assert is_good_pass(PASS_KEY, "you@example.test", answer.door_pass, now=now()) is opens
    assert bool(answer.door_pass) is opens


async def test_what_is_known_already_waits_for_nothing(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)
    tasks: list[object] = []
    monkeypatch.setattr(asyncio, "create_task", tasks.append)
    for password in ("secret", "x7gk2-aaaaa"):
        assert isinstance(await auth.plain("you@example.test", password), LoggedIn)
    assert not tasks


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("you@example.test", "Secret"),
        ("nobody@example.test", "secret"),
        ("you", "secret"),
        ("../you@example.test", "secret"),
        ("you@example.test", "x7gk2-aaaab"),
    ],
)
async def test_all_that_is_wrong_has_one_answer(auth: Scene, name: str, password: str) -> None:
    answer = await auth.plain(name, password)
    assert answer == LoginRefused(answer.ticket, "wrong name or password", temporary=False)


@pytest.mark.parametrize(
    ("name", "account"),
    [(b"You@Example.test", "you@example.test"), (b"Joe", "joe"), (b"elsewhere@x.test", "elsewhere@x.test")],
)
async def test_who_has_been_judged_by_a_proxy_is_let_in_and_into_no_mailbox(
    auth: Scene, name: bytes, account: str
) -> None:
    answer = await auth.begin(VOUCHED, name).answer()
    assert isinstance(answer, LoggedIn)
    assert (answer.account, answer.door_pass) == (account, b"")
    own = (b"joe@example.test", b"joe-*@example.test")
    assert answer.addresses == (own if account == "joe" else (account.encode(),))
    assert f"account={account} mechanism=XCLIENT" in auth.lines[-1]


@pytest.mark.parametrize("name", [None, b"", b"\xff", b"a\nb", b"x" * 256])
async def test_what_is_no_name_is_nobodys_whoever_says_it(auth: Scene, name: bytes | None) -> None:
    answer = await auth.begin(VOUCHED, name).answer()
    assert answer == LoginRefused(answer.ticket, "not a user name", temporary=False, malformed=True)


async def test_application_password_lets_in_and_its_use_is_noted(auth: Scene, prepared: Path) -> None:
    answer = await auth.plain("you@example.test", "x7gk2-aaaaa")
    assert isinstance(answer, LoggedIn)
    await auth.role.drain(1)
    use = read_uses(str(prepared / "logins/uses.sqlite"), "you@example.test")["phone"]
    assert (use.service, use.peer) == ("submission", "192.0.2.1") and use.at > NOW - 10**9
    assert "app_password=phone" in "".join(auth.lines)


async def test_a_file_of_uses_that_cannot_be_written_hinders_no_login(prepared: Path) -> None:
    async with scene(prepared, uses_file="/nonexistent/uses.sqlite") as auth:
        assert isinstance(await auth.plain("you@example.test", "x7gk2-aaaaa"), LoggedIn)
    (prepared / "auth").unlink()


@pytest.mark.parametrize("typed", ["Gr\u00fc\u00dfe \u2160", "Gru\u0308\u00dfe \u2160", "Gr\u00fc\u00dfe\u00a0I"])
async def test_a_password_has_one_form_however_it_is_typed(tmp_path: Path, typed: str) -> None:
    """SASLprep (RFC 4013), when it is set and when it is compared: hashes, and what APOP computes with."""
    Scene(tmp_path).accounts.add("you@example.test", "Gr\u00fc\u00dfe \u2160", NOW)
    async with scene(tmp_path) as auth:
        assert isinstance(await auth.plain("you@example.test", typed), LoggedIn)
        assert isinstance(await auth.plain("you@example.test", "Gr\u00fc\u00dfe"), LoginRefused)
    db = apsw.Connection(f"{tmp_path}/accounts/accounts.sqlite")
    assert list(db.execute("select clear from login_key")) == [("Gr\u00fc\u00dfe I".encode(),)]
    db.close()


async def test_a_password_that_was_right_is_hashed_once(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    right = accounts_module._is_right

    def noted(stored: str, password: bytes) -> object:
        hashed.append(password)
        return right(stored, password)

    monkeypatch.setattr(accounts_module, "_is_right", noted)
    for _ in range(3):
        assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)
        assert isinstance(await auth.plain("you@example.test", "wrong"), LoginRefused)
    assert hashed.count(b"secret") == 1
    assert hashed.count(b"wrong") == 3


async def test_a_changed_password_is_known_at_once(tmp_path: Path) -> None:
    async with scene(tmp_path) as auth:
        assert isinstance(await auth.plain("you@example.test", "old"), LoginRefused)  # there is no file yet
        auth.accounts.add("you@example.test", "old", NOW)
        assert isinstance(await auth.plain("you@example.test", "old"), LoggedIn)
        auth.accounts.set_password("you@example.test", "new")
        assert isinstance(await auth.plain("you@example.test", "old"), LoginRefused)
        assert isinstance(await auth.plain("you@example.test", "new"), LoggedIn)
        auth.accounts.remove("you@example.test", NOW, delete_mail=True)
        assert isinstance(await auth.plain("you@example.test", "new"), LoginRefused)


async def test_a_removed_application_password_opens_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path) as auth:
        auth.accounts.add("you@example.test", "own", NOW)
        auth.accounts.add_app_password("you@example.test", "phone", "p", NOW)
        assert isinstance(await auth.plain("you@example.test", "p"), LoggedIn)
        auth.accounts.remove_app_password("you@example.test", "phone")
        assert isinstance(await auth.plain("you@example.test", "p"), LoginRefused)


async def test_a_file_of_accounts_that_is_broken_is_our_trouble(tmp_path: Path) -> None:
    async with scene(tmp_path) as auth:
        (tmp_path / "accounts/accounts.sqlite").write_bytes(b"not a database" * 100)
        for answer in (
            await auth.plain("you@example.test", "secret"),
            await auth.begin("SCRAM-SHA-256", b"n,,n=you@example.test,r=abc").answer(),
        ):
            assert isinstance(answer, LoginRefused) and answer.temporary


async def test_a_file_of_accounts_that_cannot_be_asked_is_our_trouble(tmp_path: Path) -> None:
    """Tables that are there and are not ours: not the same as none, which an older release left."""
    digest = hashlib.md5(b"<1@mx>secret").hexdigest()
    async with scene(tmp_path) as auth:
        auth.accounts.add("you@example.test", "secret", NOW)
        with apsw.Connection(str(tmp_path / "accounts/accounts.sqlite")) as db:
            for table in ("app_password", "scram_salt", "login_key"):
                db.execute(f"drop table {table}; create table {table} (other)")
        for answer in (
            await auth.plain("you@example.test", "secret"),
            await auth.begin("SCRAM-SHA-256", b"n,,n=you@example.test,r=abc").answer(),
            await auth.begin("APOP", f"<1@mx>\0you@example.test\0{digest}".encode()).answer(),
        ):
            assert isinstance(answer, LoginRefused) and answer.temporary


async def test_a_file_of_an_older_release_serves_passwords(tmp_path: Path) -> None:
    async with scene(tmp_path) as auth:
        auth.accounts.add("you@example.test", "secret", NOW)
        with apsw.Connection(str(tmp_path / "accounts/accounts.sqlite")) as db:
            for table in ("app_password", "scram_salt", "login_key"):
                db.execute(f"drop table {table}")
        assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)
        scram = await auth.begin("SCRAM-SHA-256", b"n,,n=you@example.test,r=abc").answer()
        assert isinstance(scram, Challenge)


async def test_login_asks_twice(auth: Scene) -> None:
    talk = auth.begin("LOGIN")
    assert await talk.challenge() == b"Username:"
    assert await talk.respond(b"you@example.test") == Challenge(1, b"Password:")
    assert isinstance(await talk.respond(b"secret"), LoggedIn)


@pytest.mark.parametrize(("binding", "is_downgrade"), [(b"exporter", True), (b"", False)])
async def test_a_client_that_was_not_shown_channel_binding_is_told(
    auth: Scene, binding: bytes, is_downgrade: bool
) -> None:
    """RFC 5802 6: "y" is a client that could, and believes that we cannot; where we can, somebody is in between."""
    first = b"y,,n=you@example.test,r=abc"
    answer = await auth.begin("SCRAM-SHA-256", first, binding_type="tls-exporter", binding=binding).answer()
    assert isinstance(answer, LoginRefused if is_downgrade else Challenge)


@pytest.mark.parametrize("password", ["secret", "x7gk2-aaaaa"])
async def test_digests_of_passwords_in_clear(auth: Scene, password: str) -> None:
    talk = auth.begin("CRAM-MD5")
    challenge = await talk.challenge()
    digest = hmac.new(password.encode(), challenge, "md5").hexdigest()
    assert isinstance(await talk.respond(b"you@example.test " + digest.encode()), LoggedIn)
    apop = hashlib.md5(b"<1@mx>" + password.encode()).hexdigest()
    assert isinstance(await auth.begin("APOP", f"<1@mx>\0you@example.test\0{apop}".encode()).answer(), LoggedIn)
    assert isinstance(await auth.begin("APOP", f"<2@mx>\0you@example.test\0{apop}".encode()).answer(), LoginRefused)


async def test_mechanisms_that_are_not_offered_do_not_exist(tmp_path: Path) -> None:
    async with scene(tmp_path, mechanisms=frozenset({"PLAIN"})) as auth:
        for mechanism in ("LOGIN", "GSSAPI", "plain"):
            answer = await auth.begin(mechanism, b"").answer()
            assert isinstance(answer, LoginRefused) and answer.malformed


async def test_other_settings_hold_for_those_who_are_connected(auth: Scene) -> None:
    assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)
    await auth.again(default_domain="example.test", senders={"you@example.test": ("@lists.example.test",)})
    for name in ("you", "you@example.test", "YOU@Example.Test"):
        answer = await auth.plain(name, "secret")
        assert isinstance(answer, LoggedIn)
        assert answer.addresses == (b"you@example.test", b"@lists.example.test")
    assert isinstance(await auth.plain("you@other.test", "secret"), LoginRefused)


async def test_nobody_waits_for_ever(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()

    async def wait(*_: object) -> None:
        await never.wait()

    monkeypatch.setattr(accounts_module.AccountsBackend, "check", lambda *_: partial(wait))
    await auth.again(timeout_s=0)
    answer = await auth.plain("you@example.test", "secret")
    assert isinstance(answer, LoginRefused) and answer.temporary


async def test_one_address_cannot_fill_the_line(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts_module, "_WAITING_FROM_ONE_PEER", 2)
    talks = [auth.begin("PLAIN", b"\0you@example.test\0wrong%d" % number) for number in range(4)]
    other = auth.begin("PLAIN", b"\0you@example.test\0secret", peer="192.0.2.2")
    assert isinstance(await other.answer(), LoggedIn)
    answers = [await talk.answer() for talk in talks]
    assert sorted(isinstance(a, LoginRefused) and a.temporary for a in answers) == [False, False, True, True]
    for _ in range(3):  # one after the other they are as many as they like
        assert isinstance(await auth.plain("nobody@example.test", "wrong"), LoginRefused)
        answer = await auth.plain("you@example.test", "wrong")
        assert isinstance(answer, LoginRefused) and not answer.temporary


async def test_nothing_is_kept_of_an_address_whose_logins_are_over(prepared: Path) -> None:
    backend = accounts_module.AccountsBackend(
        accounts_module.AccountsFile(str(prepared / "accounts/accounts.sqlite")), "", Known(bytes(32), 60, lambda: 0.0)
    )
    for number in range(3):
        client = Client(service="submission", peer=f"192.0.2.{number}", secure=True)
        wait = backend.check("you@example.test", b"wrong", client)
        assert isinstance(wait, partial) and await wait() is None
    assert not backend._waiting
    backend.close()


async def test_the_same_login_many_times_at_once_is_hashed_once(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []
    right = accounts_module._is_right

    def noted(stored: str, password: bytes) -> object:
        hashed.append(password)
        return right(stored, password)

    monkeypatch.setattr(accounts_module, "_is_right", noted)
    talks = [auth.begin("PLAIN", b"\0you@example.test\0secret") for _ in range(100)]
    talks[0].attempt.abandon()
    assert all([isinstance(await talk.answer(), LoggedIn) for talk in talks[1:]])
    assert hashed == [b"secret"]


async def test_a_defect_of_ours_is_temporary(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
    monkeypatch.setattr(accounts_module.AccountsFile, "compare", broken)
    answer = await auth.plain("you@example.test", "secret")
    assert isinstance(answer, LoginRefused) and answer.temporary
    assert isinstance(seen[0], ZeroDivisionError)


async def test_a_defect_while_a_password_is_judged_is_temporary(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    seen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: seen.append(context["exception"]))
    monkeypatch.setattr(accounts_module, "_is_right", broken)
    answer = await auth.plain("you@example.test", "secret-to-nobody")
    assert isinstance(answer, LoginRefused) and answer.temporary
    assert [type(one) for one in seen] == [ZeroDivisionError]


async def test_what_is_judged_for_a_process_that_is_gone_is_let_go(
    auth: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, let_go = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            let_go.set()

    monkeypatch.setattr(accounts_module.AccountsBackend, "check", lambda *_: partial(wait))
    auth.begin("PLAIN", b"\0you@example.test\0secret")
    await began.wait()
    auth.logins.close()
    await let_go.wait()


async def test_nothing_stays_open_at_the_end(tmp_path: Path) -> None:
    def files() -> list[str]:
        named = (f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd"))
        return [os.readlink(name) for name in named if os.path.exists(name) and "sqlite" in os.readlink(name)]

    threads = set(threading.enumerate())
    async with scene(tmp_path) as auth:
        auth.accounts.add("you@example.test", "secret", NOW)
        assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)
        assert files()
        hashing = set(threading.enumerate()) - threads
    assert not files()
    assert hashing
    for thread in hashing:
        await asyncio.to_thread(thread.join, 20)
        assert not thread.is_alive()


async def test_no_password_is_logged(auth: Scene) -> None:
    await auth.plain("you@example.test", "secret")
    await auth.plain("you@example.test", "not-this-one")
    auth.role._log.flush()
    log = "".join(auth.lines)
    assert "login.succeeded" in log and "login.failed" in log
    assert "secret" not in log and "not-this-one" not in log


async def test_a_name_that_is_nobodys_costs_a_hash_too(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []

    def noted(stored: str, password: bytes) -> bool:
        assert stored.startswith("$argon2id$")
        hashed.append(password)
        return False

    monkeypatch.setattr(accounts_module, "_is_right", noted)
    for name in ("nobody@example.test", "no account at all", "you@example.test"):
        await auth.plain(name, "secret-of-" + name)
    assert len(hashed) == 3


async def test_a_name_that_is_nobodys_shares_hashes_too(auth: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []

    def noted(_stored: str, password: bytes) -> bool:
        hashed.append(password)
        return False

    monkeypatch.setattr(accounts_module, "_is_right", noted)
    for name in ("nobody@example.test", "no account at all", "you@example.test"):
        written = (name, name.upper()) if "@" in name else (name,)
        talks = [auth.begin("PLAIN", f"\0{written[n % len(written)]}\0wrong".encode()) for n in range(60)]
        assert not any([cast(LoginRefused, await talk.answer()).temporary for talk in talks])
    assert len(hashed) == 3


async def test_others_may_not_ask(prepared: Path) -> None:
    async with scene(prepared, client_users=(4_000_000,)) as auth:
        reader, writer = await asyncio.open_unix_connection(str(prepared / "auth"))
        assert await reader.read() == b""
        writer.close()
        assert not auth.lines
    (prepared / "auth").unlink()


LOGIN = Login(1, "LOGIN", None, "submission", "192.0.2.1", True)


@pytest.mark.parametrize(
    "frames",
    [
        [LOGIN, LOGIN],
        [LOGIN, Respond(1, b"you@example.test"), Respond(1, b"x"), Respond(1, b"y")],
        [msgspec.structs.replace(LOGIN, service="x" * 65)],
        [msgspec.structs.replace(LOGIN, peer="x" * 65)],
        [msgspec.structs.replace(LOGIN, initial=b"x" * LOGINS_FRAME_MOST_BYTES)],
        [Challenge(1, b"")],
    ],
)
async def test_what_is_out_of_place_ends_the_conversation(auth: Scene, frames: list[msgspec.Struct]) -> None:
    reader, writer = await asyncio.open_unix_connection(str(auth.folder / "auth"))
    writer.write(b"".join(map(encode, [Hello(VERSION, "receive"), *frames])))
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert isinstance(await auth.plain("you@example.test", "secret"), LoggedIn)  # others are served


async def test_what_comes_late_is_ignored(auth: Scene) -> None:
    reader, writer = await asyncio.open_unix_connection(str(auth.folder / "auth"))
    late = [Hello(VERSION, "receive"), Respond(7, b"x"), Abandon(8), LOGIN, Abandon(1), Respond(1, b"x"), LOGIN]
    writer.write(b"".join(map(encode, late)))
    assert await reader.read(4096)  # the second attempt of that number goes on
    writer.close()


async def test_an_initial_response_that_is_too_long_is_no_response(auth: Scene) -> None:
    answer = await auth.begin("PLAIN", b"x" * (RESPONSE_MOST_BYTES + 1)).answer()
    assert isinstance(answer, LoginRefused) and answer.malformed


async def test_a_helper_that_is_away_is_our_trouble(prepared: Path) -> None:
    async with scene(prepared, backends=("pam",), takes_tokens=True) as auth:
        for answer in (
            await auth.plain("you@example.test", "secret"),
            await auth.begin("XOAUTH2", b"user=you@example.test\x01auth=Bearer abc\x01\x01").answer(),
        ):
            assert isinstance(answer, LoginRefused) and answer.temporary
        scram = await auth.begin("SCRAM-SHA-256", b"n,,n=you@example.test,r=abc").answer()
        assert isinstance(scram, Challenge)  # made up: nobody here has keys
    (prepared / "auth").unlink()
