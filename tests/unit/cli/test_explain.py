"""`paperpath explain` tells what routing and accounts say, in their order."""

import json
import os
from pathlib import Path

import pytest

from paperpath.cli.explain import Explanation, explain
from paperpath.config.load import parse
from paperpath.system.users import User
from tests.unit.cli.conftest import Run

TEXT = """\
hostname = "mx.test"
[local]
domains = ["local.test"]
[mailboxes]
domains = ["box.test"]
[virtual]
"v.test" = "joe-v"
".v.test" = ""
[relay]
domains = ["partner.test"]
[routes]
"partner.test" = "smtp://inside.test"
[paths]
state = "state"
"""


class Host:
    """A host with one ordinary account, a root, and an account that does not own its home."""

    def __init__(self, folder: Path) -> None:
        self.config = parse(TEXT, str(folder / "p.toml"))
        self.asked: list[str] = []
        self.home = folder / "joe"
        self.home.mkdir()
        mine = os.stat(self.home).st_uid
        # The account owns the home that the test made, whoever runs it.
        self.users = {
            "joe": User("joe", mine or 1, 1, str(self.home)),
            "root": User("root", 0, 0, "/root"),
            "thief": User("thief", mine + 7, 1, str(self.home)),
        }
        if not mine:
            os.chown(self.home, 1, 1)

    def look_up(self, domain: str) -> tuple[str, ...]:
        self.asked.append(domain)
        return ("MX 10 a.test",)

    def explain(self, address: bytes) -> Explanation:
        return explain(self.config, address, self.users.get, self.look_up)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_mailbox_with_and_without_a_tag(host: Host, tmp_path: Path) -> None:
    (tmp_path / "state" / "mail" / "box.test" / "you" / "Maildir").mkdir(parents=True)
    for address in (b"You@Box.test", b"you+tag@box.test"):
        told = host.explain(address)
        assert (told.rule, told.exists, told.anybody_may_send) == ("mailboxes", True, True)
        assert told.delivery[-1].endswith("mail/box.test/you/Maildir")
    assert [(step.table, step.matched) for step in told.steps] == [
        ("[local] domains", False),
        ("[mailboxes] domains", True),
    ]
    assert host.explain(b"nobody@box.test").exists is False
    assert host.explain(b"../x@box.test").exists is False


def test_a_system_account(host: Host) -> None:
    told = host.explain(b"JOE@local.test")
    assert (told.rule, told.exists) == ("local", True)
    assert "mail waits" in told.delivery[-1]
    (host.home / "Maildir").mkdir()
    assert host.explain(b"joe@local.test").delivery == (f"joe: system account, mailbox {host.home}/Maildir",)
    told = host.explain(b"joe-a-b@local.test")
    assert told.exists is None
    assert told.delivery[:2] == ("joe-a-b: no system account", "joe-a: no system account")
    assert "extension 'a-b'" in told.delivery[2]


@pytest.mark.parametrize("name", ["root", "thief", "nobody", "ä"])
def test_accounts_that_get_no_mail(host: Host, name: str) -> None:
    told = host.explain(name.encode() + b"@local.test")
    assert told.exists is False
    assert told.delivery[-1] == "no such account: refused at RCPT"


def test_virtual_domains_and_their_exceptions(host: Host) -> None:
    told = host.explain(b"x@v.test")
    assert (told.rule, told.delivered_as) == ("virtual v.test", "joe-v-x@v.test")
    assert told.steps[-1].about == '"v.test" belongs to the account joe-v'
    told = host.explain(b"x@a.v.test")
    assert (told.channel, told.steps[-2].about) == ("remote", '".v.test" is empty: not virtual after all')


def test_remote_addresses(host: Host) -> None:
    told = host.explain(b"x@Partner.test")
    assert (told.channel, told.anybody_may_send, told.exists) == ("remote", True, None)
    assert told.delivery == ("[routes] sends partner.test to smtp://inside.test:25",)
    assert host.asked == []
    told = host.explain(b"x@else.test")
    assert (told.anybody_may_send, told.delivery[-1]) == (False, "MX 10 a.test")
    assert host.asked == ["else.test"]


def test_an_address_without_a_domain(host: Host) -> None:
    told = host.explain(b"joe")
    assert told.steps[0].about == "no @: mx.test is the domain"
    assert told.delivered_as == "joe@mx.test"


def test_the_command(run: Run, configured: Path) -> None:
    people = run("explain", "you@trial.test")
    assert people.exit_code == 0, people.output
    assert "→ [mailboxes] domains  trial.test is listed" in people.output
    shown = json.loads(run("explain", "\x1b[2J@else.test", "--json", "--no-dns").output)
    assert shown["address"] == "\\x1b[2J@else.test"
    assert "DNS was not asked" in shown["delivery"]
    assert run("explain", "").exit_code == 64
    told = json.loads(run("explain", "PostMaster@trial.test", "--json").output)
    assert (told["rule"], told["delivered_as"], told["exists"]) == ("postmaster", "you@trial.test", True)
