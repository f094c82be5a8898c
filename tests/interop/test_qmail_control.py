"""A running service on a qmail host's control files: what counts at once, what at HUP, and what at the next start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service import ACCOUNT, Service, running_service

CONTROL = {"me": "h.ex", "rcpthosts": "here.test", "badmailfrom": "@bad.test", "smtpgreeting": "mx.h.ex welcome"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    for name, text in CONTROL.items():
        write(tmp_path, name, text)
    return tmp_path


@pytest.fixture
def service(home: Path) -> Iterator[Service]:
    settings = {"qmail": {"home": str(home)}, "relay": {"networks": []}, "receive": {"processes": 1}}
    with running_service(settings=settings) as service:
        yield service


def write(home: Path, name: str, text: str) -> None:
    """Change a control file as an administrator's editor does."""
    new = home / "control" / f"{name}.new"
    new.write_text(text + "\n")
    new.rename(home / "control" / name)


def rcpt(service: Service, recipient: str, sender: str = "from@there.test") -> int:
    """Return the code of the reply to a recipient; MAIL is always taken."""
    with service.client() as client:
        client.ehlo()
        assert client.mail(sender)[0] == 250
        return client.rcpt(recipient)[0]


def test_senders_and_domains_that_are_refused(service: Service) -> None:
    assert rcpt(service, ACCOUNT) == 250
    assert rcpt(service, ACCOUNT, "x@Bad.test") == 553
    assert rcpt(service, "x@other.test") == 550
    with service.client() as client:
        assert client.ehlo()[1].startswith(b"mx.h.ex welcome\n")


def test_what_sessions_read_counts_without_hup(service: Service, home: Path) -> None:
    since = service.mark()
    write(home, "rcpthosts", "here.test\nother.test")
    service.wait_for("service.reloaded", since=since, file=f"{home}/control")
    assert rcpt(service, "x@other.test") == 250


def test_what_cannot_be_read_leaves_the_former(service: Service, home: Path) -> None:
    since = service.mark()
    write(home, "smtproutes", "x.test:no such host")
    service.wait_for("service.reload-refused", since=since)
    assert rcpt(service, ACCOUNT) == 250
    since = service.mark()
    write(home, "smtproutes", "x.test:such.test")
    service.wait_for("service.reloaded", since=since)


def test_locals_count_at_hup_only(service: Service, home: Path) -> None:
    write(home, "locals", "other.test")
    since = service.mark()
    write(home, "rcpthosts", "here.test\nother.test")
    service.wait_for("service.reloaded", since=since)
    assert rcpt(service, "nobody-at-all@other.test") == 250  # passed on: not local yet
    assert service.reload()["event"] == "service.reloaded"
    assert rcpt(service, "nobody-at-all@other.test") in {451, 550}  # 451 on a host without alias user
