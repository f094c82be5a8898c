"""What becomes of mail that another server does not take at once: retries, reports, reports on reports."""

import email
import email.policy
from collections.abc import Iterator
from email.message import EmailMessage
from functools import partial
from pathlib import Path

import pytest

from tests.service import ACCOUNT, HOSTNAME, Service, free_port, running_service
from tests.sink import Sink, Verdict, running_sink

pytestmark = pytest.mark.interop

SENDER = "sender@here.test"
NO_SUCH_USER = "550 5.1.1 No such user"
MESSAGE = "Subject: original\nMessage-ID: <original@here.test>\n\nthe words of the original\n"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with running_sink() as sink:
        yield sink


@pytest.fixture
def service(sink: Sink) -> Iterator[Service]:
    settings = {"routes": {"sink.test": sink.route}}
    with running_service(accounts=[ACCOUNT, SENDER], settings=settings) as service:
        yield service


def refuse(*addresses: str, verb: str = "RCPT", reply: str = NO_SUCH_USER) -> Verdict:
    """Return a verdict that says ``reply`` to these addresses."""
    return lambda said, address: reply if said == verb and (address in addresses or not addresses) else ""


def report_in(path: Path) -> EmailMessage:
    """Return a report as Python's email package reads it."""
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert not message.defects
    return message


def text_of(report: EmailMessage) -> str:
    """Return the part that is for people."""
    return str(next(report.iter_parts()).get_content())


def qsbmf(text: str) -> dict[str, str]:
    """Read a text as qmail-send's bounces are read (QSBMF): each failed recipient with the reason."""
    paragraphs = text.split("\n\n")
    assert paragraphs[0].startswith("Hi. This is ")
    found: dict[str, str] = {}
    for paragraph in paragraphs[1:]:
        if paragraph.startswith("-"):
            return found
        first, _, rest = paragraph.partition("\n")
        assert first.startswith("<") and first.endswith(">:"), paragraph
        found[first[1:-2]] = rest
    raise AssertionError("no paragraph begins with a dash")


def test_recipient_refused_by_the_next_server_is_reported_to_the_sender(service: Service, sink: Sink) -> None:
    sink.verdict = refuse("nobody@sink.test")
    service.send(SENDER, ["nobody@sink.test", "somebody@sink.test"], MESSAGE)
    service.wait_for("delivery.delivered", recipient=SENDER)
    (path,) = service.messages(SENDER)
    report = report_in(path)
    text, status, original = report.iter_parts()
    assert report["From"].addresses[0].addr_spec == f"MAILER-DAEMON@{HOSTNAME}"
    assert report["Return-Path"] == "<>"
    assert {address: "No such user" in reason for address, reason in qsbmf(text.get_content()).items()} == {
        "nobody@sink.test": True
    }
    about_message, about_recipient = status.iter_parts()
    assert about_message["Reporting-MTA"] == f"dns; {HOSTNAME}"
    assert about_recipient["Final-Recipient"] == "rfc822; nobody@sink.test"
    assert about_recipient["Action"] == "failed"
    assert about_recipient["Status"] == "5.1.1"
    assert about_recipient["Diagnostic-Code"].startswith("smtp; 550 5.1.1")
    assert original.get_content()["Message-ID"] == "<original@here.test>"
    assert [taken.recipients for taken in sink.taken] == [("somebody@sink.test",)]
    assert service.queue_empty()


@pytest.mark.parametrize("verb", ["MAIL", "DATA", "."])
def test_message_refused_by_the_next_server_is_reported_for_every_recipient(
    service: Service, sink: Sink, verb: str
) -> None:
    sink.verdict = refuse(verb=verb, reply="554 5.7.1 Not this one")
    recipients = ["one@sink.test", "two@sink.test"]
    service.send(SENDER, recipients, MESSAGE)
    service.wait_for("delivery.delivered", recipient=SENDER)
    (path,) = service.messages(SENDER)
    assert sorted(qsbmf(text_of(report_in(path)))) == recipients


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
def test_temporary_refusal_is_tried_again(service: Service, sink: Sink, verb: str) -> None:
    sink.verdict = refuse(verb=verb, reply="451 4.7.1 Come back later")
    service.send(SENDER, ["slow@sink.test"], MESSAGE)
    deferred = service.wait_for("delivery.deferred", recipient="slow@sink.test")
    assert "Come back later" in deferred["text"]
    assert deferred["next_s"] > 0
    (waiting,) = service.queue("list")
    (why,) = service.queue("why", waiting["id"])
    assert "Come back later" in why["reason"]
    sink.verdict = refuse("other@sink.test")
    service.queue("retry", waiting["id"])
    service.wait_for("message.done", message=waiting["id"])
    assert [taken.recipients for taken in sink.taken] == [("slow@sink.test",)]
    assert service.messages(SENDER) == []


def test_server_that_is_down_is_tried_again(service: Service) -> None:
    port = free_port()
    service.configure({"routes": {"down.test": f"smtp://127.0.0.1:{port}"}})
    assert service.reload()["event"] == "service.reloaded"
    service.send(SENDER, ["someone@down.test"], MESSAGE)
    service.wait_for("delivery.deferred", recipient="someone@down.test")
    with running_sink(port) as sink:
        service.queue("retry", "--all")
        service.wait_for("delivery.delivered", recipient="someone@down.test")
        assert len(sink.taken) == 1


def test_message_that_is_too_old_is_reported(service: Service, sink: Sink) -> None:
    service.configure({"queue": {"lifetime": 0}})
    assert service.reload()["event"] == "service.reloaded"
    sink.verdict = refuse(reply="451 4.7.1 Come back later")
    service.send(SENDER, ["slow@sink.test"], MESSAGE)
    # Ages are whole seconds: an attempt within the first is not too late yet.
    service.wait_for("delivery.deferred", recipient="slow@sink.test")
    while not service.events("delivery.failed"):
        tried = len(service.events("delivery.deferred"))
        service.queue("retry", "--all")
        service.wait_until(partial(was_tried, service, tried), "another attempt")
    service.wait_for("delivery.delivered", recipient=SENDER)
    (path,) = service.messages(SENDER)
    text, status, _ = report_in(path).iter_parts()
    assert "Come back later" in qsbmf(text.get_content())["slow@sink.test"]
    assert list(status.iter_parts())[1]["Status"] == "5.4.7"


def was_tried(service: Service, deferrals: int) -> bool:
    """Tell whether there was another outcome since so many deferrals."""
    return len(service.events("delivery.deferred")) > deferrals or bool(service.events("delivery.failed"))


@pytest.mark.parametrize("sender", ["gone@sink.test", ""])
def test_report_that_fails_is_reported_to_postmaster(service: Service, sink: Sink, sender: str) -> None:
    sink.verdict = refuse("nobody@sink.test", "gone@sink.test")
    service.send(sender, ["nobody@sink.test"], MESSAGE)
    service.wait_for("delivery.delivered", recipient=ACCOUNT)
    (path,) = service.messages(ACCOUNT)
    report = report_in(path)
    assert report["Return-Path"] == "<#@[]>"
    assert list(qsbmf(text_of(report))) == [sender or "nobody@sink.test"]
    assert b"the words of the original" in path.read_bytes()
    assert service.queue_empty()


def test_report_on_a_report_that_fails_is_dropped_and_logged(service: Service, sink: Sink) -> None:
    service.configure({"bounce": {"double_to": "postmaster@sink.test"}})
    assert service.reload()["event"] == "service.reloaded"
    sink.verdict = refuse()
    service.send("gone@sink.test", ["nobody@sink.test"], MESSAGE)
    dropped = service.wait_for("bounce.dropped")
    assert dropped["recipient"] == "postmaster@sink.test"
    service.wait_for("message.done", message=dropped["message"])
    assert service.queue_empty()
    assert sink.taken == []


def test_account_removed_while_its_mail_waits(service: Service) -> None:
    service.configure({"queue": {"local_concurrency": 0}})
    assert service.reload()["event"] == "service.reloaded"
    service.send("far@sink.test", [ACCOUNT], MESSAGE)
    assert not service.queue_empty()
    service.run("account", "remove", ACCOUNT)
    service.configure({"queue": {"local_concurrency": 100}})
    assert service.reload()["event"] == "service.reloaded"
    failed = service.wait_for("delivery.failed", recipient=ACCOUNT)
    assert failed["status"] == "5.1.1"
    service.wait_for("delivery.delivered", recipient="far@sink.test")
