"""`paperpath explain` tells what routing and accounts say, in their order."""

import json
import os
from pathlib import Path

import pytest

from paperpath.base.cdb import build
from paperpath.cli.explain import Explanation, Step, explain
from paperpath.config.load import parse
from paperpath.config.qmail import with_control
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


def test_a_domain_without_accounts_waits_as_deliveries_do(host: Host) -> None:
    told = host.explain(b"you@box.test")
    assert told.exists is None
    assert told.delivery[-1].startswith("mail waits: there is no ")


@pytest.mark.parametrize("address", ["", "you@", "a\0b"])
def test_what_is_no_address_is_refused(run: Run, configured: Path, address: str) -> None:
    done = run("explain", address)
    assert done.exit_code == 64
    assert "is not an address" in done.stderr


def test_a_system_account(host: Host) -> None:
    told = host.explain(b"JOE@local.test")
    assert (told.rule, told.exists) == ("local", True)
    assert "mail waits" in told.delivery[-1]
    (host.home / "Maildir").mkdir()
    uid = host.users["joe"].uid
    assert host.explain(b"joe@local.test").delivery == (
        f'joe: system account, user id {uid}, home {host.home}, dash "", extension ""',
        ".qmail: not there",
        ".qmaildefault: not there",
        "no file: [local] default_delivery",
        "  maildir ./Maildir/",
    )


def test_an_extension(host: Host) -> None:
    told = host.explain(b"joe-a-B@local.test")
    assert told.exists is False
    assert told.delivery[:2] == ("joe-a-b: no system account", "joe-a: no system account")
    assert told.delivery[2].endswith('dash "-", extension "a-B"')
    assert told.delivery[-1] == "no file for this extension: refused at RCPT"
    (host.home / ".qmail-a-default").write_text("# list\n&ann@x.test\n./Box\n|run me\n")
    told = host.explain(b"joe-a-B@local.test")
    assert told.exists is True
    assert told.delivery[3:] == (
        ".qmail-a-b: not there",
        '.qmail-a-default: followed, default stands for "B"',
        "  forward ann@x.test",
        "  mbox ./Box",
        "  program run me",
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("# nothing\n", "  nothing but comments: the mail is thrown away"),
        ("\n&x@y\n", "  mail waits: Uh-oh: first line of .qmail file is blank."),
        ("", "  maildir ./Maildir/, which is not there: mail waits until it is"),
    ],
)
def test_files_that_surprise(host: Host, content: str, line: str) -> None:
    (host.home / ".qmail").write_text(content)
    assert host.explain(b"joe@local.test").delivery[-1] == line


def test_a_file_that_anybody_may_write_to_makes_mail_wait(host: Host) -> None:
    (host.home / ".qmail").touch()
    (host.home / ".qmail").chmod(0o666)
    told = host.explain(b"joe@local.test")
    assert (told.exists, told.delivery[-1]) == (None, "mail waits: Uh-oh: .qmail file is writable.")


class TestQmailHost:
    """With a qmail home the control files are named, and users/cdb and the alias user count."""

    @pytest.fixture
    def home(self, host: Host, tmp_path: Path) -> Path:
        home = tmp_path / "qmail"
        (home / "control").mkdir(parents=True)
        (home / "users").mkdir()
        for name, text in {
            "me": "h.ex",
            "percenthack": "h.ex",
            "virtualdomains": "v.ex:joe-v",
            "rcpthosts": "h.ex",
        }.items():
            (home / "control" / name).write_text(text + "\n")
        toml = f'hostname = "h.ex"\n[qmail]\nhome = "{home}"\n'
        host.config = with_control(parse(toml, str(tmp_path / "p.toml")))
        return home

    def test_percenthack_and_virtual_domain(self, host: Host, home: Path) -> None:
        host.users["alias"] = host.users["joe"]
        told = host.explain(b"x%v.ex@h.ex")
        assert [(step.table, step.about) for step in told.steps] == [
            ("control/percenthack", "x%v.ex@h.ex means x@v.ex"),
            ("control/locals", "v.ex is not listed"),
            ("[mailboxes] domains", "v.ex is not listed"),
            ("control/virtualdomains", '"v.ex" belongs to the account joe-v'),
        ]
        assert told.delivered_as == "joe-v-x@v.ex"
        assert told.delivery[-1] == "no file for this extension: refused at RCPT"
        assert told.anybody_may_send is True
        assert host.explain(b"x@v.ex").anybody_may_send is False

    def test_envnoathost(self, host: Host, home: Path) -> None:
        host.users["alias"] = host.users["joe"]
        assert host.explain(b"joe").steps[0] == Step("control/envnoathost", False, "no @: h.ex is the domain")

    def test_assigned(self, host: Host, home: Path) -> None:
        data = f"ann\x001234\x001235\0{host.home}\0-\0list".encode()
        (home / "users/cdb").write_bytes(build([(b"!boss\0", data), (b"", b"")]))
        told = host.explain(b"Boss@h.ex")
        assert told.delivery[:3] == (
            "users/cdb assigns it",
            f'ann: system account, user id 1234, home {host.home}, dash "-", extension "list"',
            ".qmail-list: not there",
        )

    def test_no_alias_user(self, host: Host, home: Path) -> None:
        told = host.explain(b"nobody@h.ex")
        assert (told.exists, told.delivery[-1]) == (None, "mail waits: there is no user alias")

    def test_the_alias_user(self, host: Host, home: Path) -> None:
        alias = home / "alias"
        alias.mkdir()
        (alias / ".qmail-root").write_text("&ann@x.test\n")
        host.users["alias"] = User("alias", 70, 70, str(alias))
        told = host.explain(b"root@h.ex")
        assert told.delivery[1:3] == ("root: root gets no mail", "belongs to no account: the alias user's")
        assert (told.exists, told.delivery[-1]) == (True, "  forward ann@x.test")


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


class TestBesides:
    """Aliases, and .forward files."""

    @pytest.fixture
    def host(self, tmp_path: Path) -> Host:
        host = Host(tmp_path)
        host.config = parse(
            TEXT.replace("[mailboxes]", 'aliases = "aliases"\nforward_files = "followed"\n[mailboxes]'),
            str(tmp_path / "p.toml"),
        )
        host.users["alias"] = User("alias", os.stat(tmp_path).st_uid or 1, 1, str(tmp_path))
        return host

    def test_alias(self, host: Host, tmp_path: Path) -> None:
        commands = b"&ann@x.ex\0|cat\0./list.bin\0"
        (tmp_path / "aliases.cdb").write_bytes(build([(b":staff@", commands)]))
        told = host.explain(b"staff@local.test")
        assert told.exists is True
        file = f"{tmp_path}/aliases.cdb"
        assert told.delivery[-4:] == (
            f"{file}: alias staff@local.test", "  program cat", "  list ./list.bin", "  forward ann@x.ex"
        )  # fmt: skip
        told = host.explain(b"other@local.test")
        assert told.exists is False
        assert told.delivery[-1] == f"{file}: no alias other@local.test: refused at RCPT"

    def test_missing_table(self, host: Host) -> None:
        told = host.explain(b"staff@local.test")
        assert told.exists is None and "newaliases" in told.delivery[-1]

    def test_forward_file(self, host: Host) -> None:
        (host.home / ".forward").write_text("ann@x.ex\n")
        (host.home / "Maildir").mkdir()
        assert any(f"{host.home}/.forward is followed" in line for line in host.explain(b"joe@local.test").delivery)


def test_40_empty_local_part(host: Host) -> None:
    told = host.explain(b"@local.test")
    assert (told.exists, told.delivery) == (True, ("empty local part: the mail is thrown away",))
