"""The control directory as settings: which setting each file is, what is wrong with some, what is read again when."""

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from paperpath.base.cdb import build
from paperpath.config.load import load, parse, routing_table
from paperpath.config.problems import ConfigError
from paperpath.config.qmail import UNLIMITED_BYTES, after_change, after_hup, session_state, with_control
from paperpath.config.schema import Config
from paperpath.config.schema_delivery import Bounce

FILES = {
    "me": "h.ex",
    "badmailfrom": "Spam@bad.ex\n@all.ex",
    "bouncefrom": "daemon",
    "bouncehost": "bounce.ex",
    "concurrencylocal": "3",
    "concurrencyremote": "4",
    "databytes": "5000",
    "doublebouncehost": "double.ex",
    "doublebounceto": "ops",
    "envnoathost": "env.ex",
    "helohost": "helo.ex",
    "localiphost": "ip.ex",
    "locals": "h.ex\nLocal.ex",
    "percenthack": "p.ex",
    "queuelifetime": "86400",
    "rcpthosts": "h.ex\n.sub.ex",
    "smtpgreeting": "mx.h.ex welcome",
    "smtproutes": "a.ex:relay.ex:26\n:",
    "timeoutconnect": "30",
    "timeoutremote": "300",
    "timeoutsmtpd": "200",
    "virtualdomains": "V.ex:u",
}


def write(home: Path, **files: str) -> None:
    (home / "control").mkdir(exist_ok=True)
    for name, text in files.items():
        (home / "control" / name).write_text(text + "\n")


def toml(home: Path, more: str = "") -> Config:
    return parse(f'hostname = "toml.ex"\n{more}[qmail]\nhome = "{home}"\n', "/etc/paperpath.toml")


def read(home: Path, more: str = "") -> Config:
    return with_control(toml(home, more))


def test_every_file_is_a_setting(tmp_path: Path) -> None:
    write(tmp_path, **FILES)
    (tmp_path / "control/morercpthosts.cdb").write_bytes(build([(b"more.ex", b"")]))
    config = read(tmp_path)
    assert config.hostname == "h.ex"
    assert config.local.domains == ("h.ex", "local.ex")
    assert (config.local.default_domain, config.local.percent_hack) == ("env.ex", ("p.ex",))
    assert config.virtual == {"v.ex": "u"}
    assert (config.relay.open_to, config.relay.domains) == ("listed", (".sub.ex", "h.ex", "more.ex"))
    assert config.routes == {"a.ex": "smtp://relay.ex:26", "": ""}
    assert (config.receive.message_size, config.receive.command_timeout) == (5000, 200)
    assert (config.receive.greeting, config.receive.refused_senders) == ("mx.h.ex welcome", ("@all.ex", "spam@bad.ex"))
    assert config.receive.literal_domain == "ip.ex"
    assert (config.queue.lifetime, config.queue.local_concurrency, config.queue.remote_concurrency) == (86400, 3, 4)
    assert (config.remote.helo, config.remote.connect_timeout, config.remote.timeout) == ("helo.ex", 30, 300)
    assert config.bounce == Bounce(address="daemon", host="bounce.ex", double_to="ops@double.ex")


def test_missing_files_have_the_defaults_of_qmail(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex")
    config = read(tmp_path, '[queue]\nlifetime = "1d"\n[virtual]\n"x.ex" = "x"\n[relay]\ndomains = ["r.ex"]\n')
    assert config.local.domains == ("h.ex",)
    assert config.local.default_domain == config.remote.helo == config.receive.greeting == "h.ex"
    assert (config.virtual, config.routes, config.relay.domains, config.relay.open_to) == ({}, {}, (), "ours")
    assert (config.receive.message_size, config.receive.refused_senders) == (UNLIMITED_BYTES, ())
    assert (config.queue.lifetime, config.queue.local_concurrency, config.queue.remote_concurrency) == (604800, 10, 20)
    assert (config.receive.command_timeout, config.remote.connect_timeout, config.remote.timeout) == (1200, 60, 1200)
    assert config.bounce == Bounce(address="MAILER-DAEMON", host="h.ex", double_to="postmaster@h.ex")


def test_what_qmail_has_no_file_for_is_kept(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex")
    more = '[mailboxes]\ndomains = ["box.ex"]\n[relay]\nnetworks = ["192.0.2.0/24"]\n[remote]\nport = 26\n'
    config = read(tmp_path, more)
    assert config.mailboxes.domains == ("box.ex",)
    assert (config.relay.networks, config.remote.port) == (("192.0.2.0/24",), 26)


def test_an_empty_doublebounceto_drops_double_bounces(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex", doublebounceto="")
    assert read(tmp_path).bounce.double_to == ""


def test_load_reads_it_and_a_relative_home(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex", locals="a.ex")
    (tmp_path / "paperpath.toml").write_text('hostname = "x.ex"\n[qmail]\nhome = "."\n')
    config = load(str(tmp_path / "paperpath.toml"))
    assert config.qmail.home == str(tmp_path)
    assert routing_table(config).local == {b"a.ex"}


@pytest.mark.parametrize(
    ("files", "file", "wrong"),
    [
        ({}, "locals", "is missing, and so is me"),
        ({"me": "h.ex", "smtproutes": "a.ex:relay ex"}, "smtproutes", "not a domain name"),
        ({"me": "h.ex", "smtproutes": "a.ex:r.ex:x"}, "smtproutes", "not a port"),
        ({"me": "h.ex", "smtproutes": "a.ex::25"}, "smtproutes", "cannot be empty"),
        ({"me": "h.ex", "smtpgreeting": "a\x01b"}, "smtpgreeting", "not text"),
        ({"me": "h.ex", "rcpthosts": "", "morercpthosts.cdb": "x"}, "", "not a cdb file"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, files: dict[str, str], file: str, wrong: str) -> None:
    write(tmp_path, **files)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path)
    assert caught.value.file == f"{tmp_path}/control"
    assert [problem.key for problem in caught.value.problems] == [file]
    assert wrong in caught.value.problems[0].wrong


def test_a_file_that_cannot_be_read_is_no_default(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex")
    (tmp_path / "control/virtualdomains").mkdir()
    with pytest.raises(ConfigError, match="directory"):
        read(tmp_path)


CHANGED = {name: text.replace(".ex", ".org") for name, text in FILES.items()} | {
    "concurrencylocal": "30",
    "concurrencyremote": "40",
    "databytes": "50000",
    "queuelifetime": "1",
    "timeoutconnect": "31",
    "timeoutremote": "301",
    "timeoutsmtpd": "201",
    "bouncefrom": "other",
    "doublebounceto": "other",
    "smtpgreeting": "other",
}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Config, Config]:
    """The settings before and after every file was changed."""
    write(tmp_path, **FILES)
    former = read(tmp_path)
    write(tmp_path, **CHANGED)
    return former, read(tmp_path)


def test_13_hup_rereads_locals_and_virtualdomains(two: tuple[Config, Config]) -> None:
    former, now = two
    found = after_hup(former, now)
    assert (found.local.domains, found.virtual) == (("h.org", "local.org"), {"v.org": "u"})
    assert found.queue == former.queue
    assert found.bounce == former.bounce
    assert found.hostname == former.hostname
    assert (found.local.default_domain, found.local.percent_hack) == ("env.ex", ("p.ex",))
    assert (found.receive, found.relay, found.routes, found.remote) == (now.receive, now.relay, now.routes, now.remote)


def test_sessions_reread_theirs_without_hup(two: tuple[Config, Config]) -> None:
    former, now = two
    found = after_change(former, now)
    assert (found.receive, found.relay, found.routes, found.remote) == (now.receive, now.relay, now.routes, now.remote)
    unchanged = replace(found, receive=former.receive, relay=former.relay, routes=former.routes, remote=former.remote)
    assert unchanged == former


def test_hup_without_or_with_another_home_takes_everything(two: tuple[Config, Config], tmp_path: Path) -> None:
    former, now = two
    plain = parse('hostname = "toml.ex"\n', "/etc/x")
    assert after_hup(former, plain) == plain
    assert after_hup(plain, now) == now
    other = replace(former, qmail=replace(former.qmail, home="/other"))
    assert after_hup(other, now) == now


def test_a_change_of_a_session_file_is_seen(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex", locals="h.ex")
    home = str(tmp_path)
    state = session_state(home)
    write(tmp_path, locals="other.ex")
    assert session_state(home) == state
    write(tmp_path, rcpthosts="h.ex")
    appeared = session_state(home)
    assert appeared != state
    (tmp_path / "new").write_text("x.ex\n")
    os.utime(tmp_path / "new", ns=(0, os.stat(tmp_path / "control/rcpthosts").st_mtime_ns))
    os.rename(tmp_path / "new", tmp_path / "control/rcpthosts")
    assert session_state(home) != appeared
