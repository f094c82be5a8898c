from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from paperpath.config.endpoints import Tcp, Unix
from paperpath.config.load import parse
from paperpath.process.settings import (
    AuthSettings,
    GuardSettings,
    LocalSettings,
    Pop3Settings,
    QueueSettings,
    ReceiveSettings,
    RemoteSettings,
)
from paperpath.supervise import plan as module
from paperpath.supervise.plan import Part, Plan, PlanError, make_plan
from paperpath.system.users import User, own_uid
from tests.certificates import Authority

S = TypeVar("S")

BASE = """
hostname = "mx.example.org"
paths.state = "/s"
paths.run = "/r"
[[listen]]
service = "smtp"
address = "127.0.0.1:2525"
[[listen]]
service = "smtp"
address = "[::1]:2526"
[mailboxes]
domains = ["example.net"]
"""


def plan_of(more: str = "", processors: int = 2, *, first: str = 'privileges = "caller"\n') -> Plan:
    return make_plan(parse(first + BASE + more, "test.toml"), processors)


def parts(plan: Plan, role: str) -> list[Part]:
    return [part for part in plan.parts if part.role == role]


def decoded(plan: Plan, role: str, kind: type[S]) -> S:
    return msgspec.msgpack.decode(parts(plan, role)[0].settings, type=kind)


def test_order_is_from_the_store_outwards() -> None:
    assert [part.name for part in plan_of().parts] == ["queue", "local", "remote", "guard", "receive"]


@pytest.mark.parametrize(("processors", "names"), [(1, 1), (2, 1), (4, 2), (9, 4)])
def test_receivers_are_half_the_processors(processors: int, names: int) -> None:
    assert len(parts(plan_of(processors=processors), "receive")) == names


def test_several_of_a_kind_are_numbered_and_share_the_load() -> None:
    plan = plan_of("[receive]\nprocesses = 3\nsessions = 100\n[remote]\nprocesses = 2\n")
    assert [part.name for part in parts(plan, "receive")] == ["receive-1", "receive-2", "receive-3"]
    assert [part.name for part in parts(plan, "remote")] == ["remote-1", "remote-2"]
    assert decoded(plan, "receive", ReceiveSettings).sessions_most == 33


def test_every_process_gets_the_sockets_it_serves_and_no_other() -> None:
    plan = plan_of()
    smtp = ("smtp 127.0.0.1:2525", "smtp [::1]:2526")
    doors = {part.role: part.doors for part in plan.parts}
    assert doors == {
        "queue": ("intake", "remote", "control"),
        "local": ("lookup", "workers"),
        "remote": (),
        "guard": ("guard", "bans"),
        "receive": (*smtp, "inject"),
    }
    endpoints = {door.name: door.endpoint for door in plan.doors}
    assert endpoints.keys() == {name for names in doors.values() for name in names}
    assert endpoints["smtp [::1]:2526"] == Tcp("::1", 2526)
    assert endpoints["intake"] == Unix("/r/queue.intake")


def test_settings_are_the_process_s_own() -> None:
    plan = plan_of('[log]\nformat = "json"\n[queue]\nlifetime = "2d"\n[remote]\nhelo = "out.example.org"\n')
    queue = decoded(plan, "queue", QueueSettings)
    assert (queue.folder, queue.lifetime_s, queue.log_as_json) == ("/s/queue", 2 * 86400, True)
    assert decoded(plan, "remote", RemoteSettings).helo == "out.example.org"
    assert decoded(plan, "local", LocalSettings).mailbox_domains == {b"example.net"}
    assert decoded(plan, "receive", ReceiveSettings).hostname == "mx.example.org"
    assert plan.log_as_json


def test_each_process_is_told_what_a_qmail_host_can_say() -> None:
    plan = plan_of(
        '[receive]\ngreeting = "mx.test hello"\nrefused_senders = ["@bad.test"]\n[remote]\ntimeout = 9\n'
        '[bounce]\nhost = "bounce.test"\n[qmail]\nhome = "/q"\n'
    )
    receive = decoded(plan, "receive", ReceiveSettings)
    assert (receive.greeting, receive.refused_senders) == ("mx.test hello", frozenset({b"@bad.test"}))
    assert decoded(plan, "remote", RemoteSettings).timeout_s == 9
    assert decoded(plan, "queue", QueueSettings).bounce_host == "bounce.test"
    assert decoded(plan, "local", LocalSettings).qmail_home == "/q"


def test_pop3_is_there_where_mail_is_fetched() -> None:
    more = '[[listen]]\nservice = "pop3"\naddress = "127.0.0.1:110"\n'
    assert not {"pop3", "auth"} & {part.role for part in plan_of().parts}
    plan = plan_of(more + '[pop3]\nsessions = 7\n[auth]\nmechanisms = ["APOP", "PLAIN"]\n')
    (pop3,) = parts(plan, "pop3")
    assert pop3.doors == ("pop3 127.0.0.1:110",)
    assert parts(plan, "local")[0].doors == ("lookup", "workers", "mailboxes")
    assert "pop3 127.0.0.1:110" not in parts(plan, "receive")[0].doors
    endpoints = {door.name: door.endpoint for door in plan.doors}
    assert endpoints["pop3 127.0.0.1:110"] == Tcp("127.0.0.1", 110)
    assert endpoints["mailboxes"] == Unix("/r/local.mailboxes")
    settings = decoded(plan, "pop3", Pop3Settings)
    assert (settings.sessions_most, settings.mechanisms, settings.guard) == (7, ("APOP", "PLAIN"), "/r/guard")
    assert settings.writable == ()
    assert decoded(plan, "local", LocalSettings).opener_users == (own_uid(),)
    assert decoded(plan_of(), "local", LocalSettings).opener_users == ()


def test_guard_is_there_where_strangers_can_be() -> None:
    plan = plan_of('[relay]\nnetworks = ["192.0.2.0/24"]\n[bans]\ntrusted = ["198.51.100.0/24"]\n')
    guard = decoded(plan, "guard", GuardSettings)
    assert guard.trusted == ("192.0.2.0/24", "198.51.100.0/24")
    assert guard.rates == {"connections": 3000, "messages": 3000, "recipients": 6000}
    assert guard.writable == (guard.folder,) == ("/s/guard",)
    assert decoded(plan, "receive", ReceiveSettings).guard == "/r/guard"


def test_no_guard_where_nobody_comes_over_the_network() -> None:
    text = BASE.replace("127.0.0.1:2525", "unix:/r/a").replace("[::1]:2526", "unix:/r/b")
    plan = make_plan(parse('privileges = "caller"\n' + text, "test.toml"), 2)
    assert parts(plan, "guard") == []
    assert "guard" not in {door.name for door in plan.doors}
    assert decoded(plan, "receive", ReceiveSettings).guard == ""


def test_as_the_caller_nobody_is_changed_to() -> None:
    plan = plan_of()
    assert {part.user for part in plan.parts} == {None}
    assert plan.privileges.startswith("all as ")
    assert "/s/queue" in plan.folders
    assert decoded(plan, "queue", QueueSettings).intake_users == (own_uid(),)
    assert not decoded(plan, "local", LocalSettings).change_user


def as_root(monkeypatch: pytest.MonkeyPatch, users: dict[str, int]) -> None:
    def find(name: str) -> User | None:
        return None if name not in users else User(name, users[name], users[name], "/nonexistent")

    monkeypatch.setattr(module, "own_uid", lambda: 0)
    monkeypatch.setattr(module, "find_user", find)


USERS = {
    f"paperpath-{name}": number
    for number, name in enumerate(("receive", "queue", "remote", "admin", "mail", "guard", "pop3", "auth"), 900)
}


def test_as_root_every_process_has_its_user(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch, USERS)
    plan = plan_of(first="")
    assert {part.role: part.user for part in plan.parts} == {
        "queue": "paperpath-queue",
        "local": None,
        "remote": "paperpath-remote",
        "guard": "paperpath-guard",
        "receive": "paperpath-receive",
    }
    assert plan.privileges == "separate users"
    assert plan.folders == ("/r",)
    queue = decoded(plan, "queue", QueueSettings)
    assert (queue.intake_users, queue.remote_users, sorted(queue.operator_users)) == ((900,), (902,), [0, 903])
    local = decoded(plan, "local", LocalSettings)
    assert (sorted(local.lookup_users), local.worker_users, local.change_user) == ([900, 901], (901,), True)


def test_as_root_without_the_users_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch, {})
    with pytest.raises(PlanError, match="run `paperpath init --system` once, as root"):
        plan_of(first="")


def test_as_root_it_can_be_told_to_stay_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    as_root(monkeypatch, {})
    assert {part.user for part in plan_of().parts} == {None}


def test_the_key_of_door_passes_is_drawn_once_and_given_to_those_who_need_it() -> None:
    key = decoded(plan_of(), "local", LocalSettings).pass_key
    assert len(key) == 32
    assert decoded(plan_of("[queue]\nlifetime = 1\n"), "local", LocalSettings).pass_key == key
    holders = {part.role for part in plan_of().parts if key in part.settings}
    assert holders == {"local"}


def test_certificates_go_to_receive_as_they_are_in_the_files(tmp_path: Path) -> None:
    made = Authority().issue("mx.example.org")
    certificate, key = made.write(tmp_path, "mx")
    lines = f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    told = decoded(plan_of(lines), "receive", ReceiveSettings).tls
    assert told is not None and told.pairs[0].key == made.key
    key.write_bytes(Authority().issue("mx.example.org").key)
    with pytest.raises(PlanError, match=r"\[tls\] .*mx\.pem: the key is not this certificate's"):
        plan_of(lines)
    key.unlink()
    with pytest.raises(PlanError, match=r"\[tls\] .*mx\.key: cannot be read: No such file"):
        plan_of(lines)


SUBMISSION = '[[listen]]\nservice = "submission"\naddress = "127.0.0.1:2587"\n'


def test_auth_runs_where_somebody_logs_in_with_the_helpers_that_its_backends_need() -> None:
    assert "auth" not in {part.role for part in plan_of().parts}
    roles = {part.role: part for part in plan_of(SUBMISSION).parts}
    assert "auth" in roles and not {"auth.outside", "auth.tokens"} & roles.keys()
    more = SUBMISSION + '[auth]\nbackends = ["pam"]\n[oauth]\nintrospection = "https://i.test/"\n'
    plan = plan_of(more)
    names = [part.name for part in plan.parts]
    assert names.index("auth-outside") < names.index("auth-tokens") < names.index("auth") < names.index("receive")
    assert {"auth", "auth.outside", "auth.tokens"} <= {door.name for door in plan.doors}


@pytest.mark.parametrize(("helper", "user"), [("root", None), ("paperpath-auth", "paperpath-auth"), ("pam", "pam")])
def test_helper_of_auth_runs_as_whom_the_configuration_says(
    monkeypatch: pytest.MonkeyPatch, helper: str, user: str | None
) -> None:
    as_root(monkeypatch, USERS)
    more = SUBMISSION + f'[auth]\nbackends = ["pam"]\nhelper_user = "{helper}"\n'
    plan = plan_of(more, first="")
    assert [part.user for part in parts(plan, "auth.outside")] == [user]
    assert [part.user for part in parts(plan, "auth")] == ["paperpath-auth"]


def test_mechanisms_that_nobody_can_judge_are_not_offered() -> None:
    def offered(more: str) -> tuple[str, ...]:
        return decoded(plan_of(SUBMISSION + more), "receive", ReceiveSettings).mechanisms

    without = decoded(plan_of(), "receive", ReceiveSettings)
    assert (without.mechanisms, without.auth) == ((), "")
    none = decoded(plan_of(SUBMISSION + "[auth]\nbackends = []\n"), "receive", ReceiveSettings)
    assert (none.mechanisms, none.auth) == ((), "/r/auth")
    assert offered("") == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert offered('[auth]\nbackends = ["pam"]\n') == ("PLAIN", "LOGIN")
    dovecot = '[auth]\ndovecot = "/d"\nbackends = ["accounts", "dovecot"]\n'
    assert offered(dovecot)[:2] == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")
    more = dovecot + 'dovecot_mechanisms = ["SCRAM-SHA-256"]\n'
    assert offered(more) == offered(more.replace('"accounts", ', "")) == ("SCRAM-SHA-256", "PLAIN", "LOGIN")
    assert offered('[auth]\nbackends = []\n[oauth]\nintrospection = "https://i.test/"\n') == ("OAUTHBEARER", "XOAUTH2")
    assert offered('[auth]\nmechanisms = ["CRAM-MD5", "PLAIN"]\n') == ("CRAM-MD5", "PLAIN")


def test_senders_are_gathered_by_account() -> None:
    more = SUBMISSION + (
        '[senders]\n"Info@Example.org" = "ann@example.net bob"\n"@lists.example.org" = "bob"\n'
        '[virtual]\n"example.com" = "bob"\n"x@example.org" = "ann-x"\n".example.com" = "bob"\n'
    )
    senders = decoded(plan_of(more), "auth", AuthSettings).senders
    assert senders == {
        "ann@example.net": ("info@example.org",),
        "bob": ("info@example.org", "@lists.example.org", "@example.com"),
        "ann-x": ("x@example.org",),
    }


def test_a_client_secret_that_cannot_be_read_is_told() -> None:
    more = SUBMISSION + '[oauth]\nintrospection = "https://i.test/"\nclient_secret_file = "/nonexistent"\n'
    with pytest.raises(PlanError, match="client_secret_file: /nonexistent"):
        plan_of(more)


def test_who_vouches_for_other_servers_is_told_to_remote_as_text(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("-- certificates --\n")
    lines = f'[remote]\ntrusted_certificates = "{file}"\n'
    assert decoded(plan_of(lines), "remote", RemoteSettings).trusted_certificates == "-- certificates --\n"
    file.unlink()
    with pytest.raises(PlanError, match=r"\[remote\] trusted_certificates: .*ca\.pem: cannot be read: No such file"):
        plan_of(lines)


@pytest.mark.parametrize(("more", "is_trusted"), [("", False), ('[qmail]\nhome = "/q"\n', True)])
def test_on_a_qmail_host_its_network_user_brings_strangers_mail(
    monkeypatch: pytest.MonkeyPatch, more: str, is_trusted: bool
) -> None:
    monkeypatch.setattr(module, "find_user", lambda name: User(name, 777, 777, "/") if name == "qmaild" else None)
    assert (777 in decoded(plan_of(more), "receive", ReceiveSettings).trusted_users) is is_trusted
