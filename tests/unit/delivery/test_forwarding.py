"""A .forward and the table of aliases, as a worker follows them; fastforward and dot-forward have their own stories."""

import os
import threading
from pathlib import Path

import pytest

from paperpath.base import aliases as base_aliases
from paperpath.base.cdb import build
from paperpath.base.outcome import Deferred, Delivered, Failed
from paperpath.config.cdb_file import CdbFile
from paperpath.delivery import forwarding
from paperpath.delivery.carry_out import Tools
from paperpath.delivery.deliver import deliver_all
from paperpath.delivery.errand import Done, Errand, Message
from paperpath.delivery.forwarding import Besides
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import Plan, plan_account
from paperpath.delivery.watched import Watched
from paperpath.inject.setforward import records
from paperpath.message.rewriting import Rewriter
from paperpath.wire.accounts import Account
from paperpath.wire.delivery import Forward
from tests.unit.delivery.test_maildir import make_home

REWRITER = Rewriter(b"def.ex", b"dom.ex", b"plus.ex")
TRACE = b"Received: somehow\n"
CONTENT = b"Subject: x\n\nhello\n"
LINES = b"From s@else.test Thu Jan 01 00:00:00 1970\nReturn-Path: <s@else.test>\nDelivered-To: %b\n"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_home(tmp_path / "joe")


def letter(recipient: bytes = b"joe@h.ex", sender: bytes = b"s@else.test") -> Message:
    return Message(recipient, sender, TRACE, CONTENT, None, len(CONTENT))


def deliver(account: Account, besides: Besides, message: Message) -> Done:
    tools = Tools(process_names(), Watched(60.0, threading.Event()), lambda: 0, {b"PATH": os.environb[b"PATH"]})

    def make_plan(account: Account) -> Plan:
        return plan_account(account, b"./Maildir/", besides)

    (result,) = deliver_all([Errand(account, message)], make_plan, tools)
    if not isinstance(result, Done | Exception):
        result = result()
    assert isinstance(result, Done), result
    return result


def delivered(home: Path) -> int:
    return len(list((home / "Maildir/new").iterdir()))


class TestForwardFile:
    def follow(self, home: Path, text: bytes | None, message: Message | None = None) -> Done:
        if text is not None:
            (home / ".forward").write_bytes(text)
            (home / ".forward").chmod(0o644)
        account = Account("joe", str(home), b"", b"")
        return deliver(account, Besides(rewriter=REWRITER), message or letter())

    @pytest.mark.parametrize("text", [None, b""])
    def test_missing_or_empty_says_nothing(self, home: Path, text: bytes | None) -> None:
        assert self.follow(home, text) == Done(Delivered("did 1+0+0"))
        assert delivered(home) == 1

    def test_addresses_take_it_away(self, home: Path) -> None:
        done = self.follow(home, b"# mine\nann@x.ex, bob@y\ncar@z+\n")
        addresses = (b"bob@y.dom.ex", b"ann@x.ex", b"car@z.plus.ex")  # each line from right to left, as qmail reads
        assert done.forwards == (Forward(b"s@else.test", addresses, b"Delivered-To: joe@h.ex\n" + TRACE, True),)
        assert done.outcome == Delivered("did 0+3+0")
        assert delivered(home) == 0

    @pytest.mark.parametrize("itself", [b"joe", b"\\joe", b"JOE@h.EX"])
    def test_own_name_is_the_default_delivery(self, home: Path, itself: bytes) -> None:
        done = self.follow(home, itself + b", ann@x.ex\n")
        assert [forward.recipients for forward in done.forwards] == [(b"ann@x.ex",)]
        assert delivered(home) == 1

    def test_own_name_elsewhere_is_another_address(self, home: Path) -> None:
        done = self.follow(home, b"joe@other.ex\n")
        assert [forward.recipients for forward in done.forwards] == [(b"joe@other.ex",)]
        assert delivered(home) == 0

    def test_programs_get_the_lines_of_an_mbox_and_the_environment(self, home: Path) -> None:
        done = self.follow(home, b'"|cat > got; echo $RECIPIENT $USER >> got"\n')
        assert done.outcome == Delivered("did 0+0+1")
        expected = LINES % b"joe@h.ex" + TRACE + CONTENT + b"joe@h.ex joe\n"
        assert (home / "got").read_bytes() == expected
        assert delivered(home) == 0

    @pytest.mark.parametrize(("code", "kind"), [(1, Deferred), (99, Deferred), (100, Failed), (77, Failed)])
    def test_program_that_fails_forwards_nothing(self, home: Path, code: int, kind: type) -> None:
        done = self.follow(home, f'ann@x.ex\n"|exit {code}"\n'.encode())
        assert isinstance(done.outcome, kind)
        assert not done.forwards and not delivered(home)

    @pytest.mark.parametrize("text", [b"/tmp/file\n", b".\n", b"group: a@x.ex;\n", b"(\n", b":include:/tmp/list\n"])
    def test_what_is_not_understood_waits(self, home: Path, text: bytes) -> None:
        done = self.follow(home, b"ann@x.ex\n" + text)
        assert isinstance(done.outcome, Deferred) and ".forward" in done.outcome.text
        assert not done.forwards and not delivered(home)

    @pytest.mark.parametrize("mode", [0o646, 0o602])
    def test_one_that_anybody_may_write_waits(self, home: Path, mode: int) -> None:
        (home / ".forward").write_bytes(b"ann@x.ex\n")
        (home / ".forward").chmod(mode)
        done = self.follow(home, None)
        assert done.outcome == Deferred("Uh-oh: .forward is writable.", code="7.0")

    def test_one_that_is_too_large_waits(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(forwarding, "_FORWARD_FILE_MOST_BYTES", 5)
        assert isinstance(self.follow(home, b"ann@x.ex\n").outcome, Deferred)

    def test_fifo_is_not_waited_for(self, home: Path) -> None:
        os.mkfifo(home / ".forward")
        assert self.follow(home, None).outcome == Delivered("did 1+0+0")

    def test_dotqmail_file_comes_first(self, home: Path) -> None:
        (home / ".qmail").write_bytes(b"&dot@x.ex\n")
        assert self.follow(home, b"ann@x.ex\n").forwards[0].recipients == (b"dot@x.ex",)

    def test_empty_dotqmail_file_leaves_it_to_the_default(self, home: Path) -> None:
        (home / ".qmail").write_bytes(b"")
        assert self.follow(home, b"ann@x.ex\n").forwards[0].recipients == (b"ann@x.ex",)

    def test_extensions_have_none(self, home: Path) -> None:
        (home / ".forward").write_bytes(b"ann@x.ex\n")
        done = deliver(Account("joe", str(home), b"-", b"x"), Besides(rewriter=REWRITER), letter(b"joe-x@h.ex"))
        assert done.outcome == Failed("Sorry, no mailbox here by that name.", code="1.1")

    def test_where_it_is_not_asked_for_it_is_left_alone(self, home: Path) -> None:
        (home / ".forward").write_bytes(b"ann@x.ex\n")
        assert not deliver(Account("joe", str(home), b"", b""), Besides(), letter()).forwards


class TestAliases:
    def expand(self, home: Path, source: str, local: str = "staff", sender: bytes = b"s@else.test") -> Done:
        table = home / "aliases.cdb"
        table.write_bytes(build(records(source.encode())))
        table.chmod(0o644)
        account = Account("alias", str(home), b"-", local.encode())
        return deliver(account, Besides(CdbFile(str(table))), letter(f"{local}@h.ex".encode(), sender))

    @pytest.mark.parametrize("target", ["staff@h.ex", "STAFF@H.EX", "@h.ex", "staff@"])
    def test_found_by_address_domain_or_local_part(self, home: Path, target: str) -> None:
        done = self.expand(home, f"{target}: ann@x.ex, bob@y.ex;")
        expected = Forward(b"s@else.test", (b"ann@x.ex", b"bob@y.ex"), b"Delivered-To: staff@h.ex\n" + TRACE, True)
        assert done == Done(Delivered("did 0+2+0"), (expected,))

    def test_not_found_is_no_mailbox(self, home: Path) -> None:
        done = self.expand(home, "other@: ann@x.ex;")
        assert done.outcome == Failed("Sorry, no mailbox here by that name.", code="1.1")

    def test_aliases_of_aliases_once_each_and_loops_vanish(self, home: Path) -> None:
        done = self.expand(home, "staff@h.ex: ann@h.ex, bob@x.ex, staff@h.ex; ann@h.ex: bob@x.ex, staff@h.ex;")
        assert done.forwards[0].recipients == (b"bob@x.ex",)

    def test_owner_is_the_sender_but_of_bounces(self, home: Path) -> None:
        source = "staff@h.ex: ann@x.ex, ?boss@h.ex;"
        assert self.expand(home, source).forwards[0].sender == b"boss@h.ex"
        assert self.expand(home, source, sender=b"").forwards[0].sender == b""
        assert self.expand(home, source, sender=b"#@[]").forwards[0].sender == b"#@[]"

    def test_programs_with_and_without_the_lines(self, home: Path) -> None:
        self.expand(home, r"staff@h.ex: !cat\ >with, |cat\ >without\;\ echo\ $DEFAULT\ >>without;")
        assert (home / "with").read_bytes() == LINES % b"staff@h.ex" + TRACE + CONTENT
        assert (home / "without").read_bytes() == TRACE + CONTENT + b"staff\n"

    @pytest.mark.parametrize(("code", "kind"), [(1, Deferred), (99, Deferred), (100, Failed)])
    def test_program_that_fails_holds_everything_back(self, home: Path, code: int, kind: type) -> None:
        done = self.expand(home, rf"staff@h.ex: ann@x.ex, |exit\ {code};")
        assert isinstance(done.outcome, kind) and not done.forwards

    def test_list(self, home: Path) -> None:
        (home / "list.bin").write_bytes(b"&ann@x.ex\0|touch ran\0&bob@x.ex\0")
        (home / "list.bin").chmod(0o644)
        done = self.expand(home, f"staff@h.ex: {home}/list.bin;")
        assert sorted(done.forwards[0].recipients) == [b"ann@x.ex", b"bob@x.ex"]
        assert not (home / "ran").exists()

    @pytest.mark.parametrize("mode", [None, 0o600, 0o646])
    def test_list_that_cannot_be_trusted_waits(self, home: Path, mode: int | None) -> None:
        if mode is not None:
            (home / "list.bin").write_bytes(b"&ann@x.ex\0")
            (home / "list.bin").chmod(mode)
        done = self.expand(home, f"staff@h.ex: bob@x.ex, {home}/list.bin;")
        assert isinstance(done.outcome, Deferred) and not done.forwards

    def test_table_that_is_missing_writable_or_none_waits(self, home: Path) -> None:
        table = home / "aliases.cdb"
        account, besides = Account("alias", str(home), b"-", b"staff"), Besides(CdbFile(str(table)))
        assert isinstance(deliver(account, besides, letter()).outcome, Deferred)
        table.write_bytes(b"x" * 3000)
        table.chmod(0o644)
        assert isinstance(deliver(account, besides, letter()).outcome, Deferred)
        table.write_bytes(build(records(b"staff@: ann@x.ex;")))
        table.chmod(0o646)
        assert isinstance(deliver(account, besides, letter()).outcome, Deferred)
        table.chmod(0o644)
        assert deliver(account, besides, letter(b"staff@h.ex")).forwards

    def test_endless_table_waits(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(base_aliases, "_EXPANSIONS_MOST", 3)
        done = self.expand(home, "staff@h.ex: a@x.ex, b@x.ex, c@x.ex, d@x.ex;")
        assert isinstance(done.outcome, Deferred) and "too many" in done.outcome.text
        assert not done.forwards

    def test_dotqmail_file_of_the_alias_user_comes_first(self, home: Path) -> None:
        (home / ".qmail-staff").write_bytes(b"&dot@x.ex\n")
        assert self.expand(home, "staff@h.ex: ann@x.ex;").forwards[0].recipients == (b"dot@x.ex",)

    def test_other_users_have_none(self, home: Path) -> None:
        (home / "aliases.cdb").write_bytes(build(records(b"staff@h.ex: ann@x.ex;")))
        besides = Besides(CdbFile(str(home / "aliases.cdb")))
        done = deliver(Account("joe", str(home), b"-", b"staff"), besides, letter(b"joe-staff@h.ex"))
        assert isinstance(done.outcome, Failed)
