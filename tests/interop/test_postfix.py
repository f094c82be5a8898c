"""Postfix as the server before Paperpath, and as the one behind it."""

import email
import email.policy
import smtplib
from collections.abc import Iterator

import pytest

from tests.interop.postfix import Postfix, running_postfix
from tests.service import ACCOUNT, PATIENCE_S, Service, running_service

pytestmark = [pytest.mark.interop, pytest.mark.root]

SENDER = "sender@here.test"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(accounts=[ACCOUNT, SENDER]) as service:
        yield service


@pytest.fixture(scope="module")
def postfix(service: Service) -> Iterator[Postfix]:
    """Knows one recipient, who is an account here: what goes to it comes back."""
    with running_postfix(aliases={"round@postfix.test": ACCOUNT}, relays={"here.test": service.port}) as postfix:
        service.configure({"routes": {"postfix.test": postfix.route}})
        assert service.reload()["event"] == "service.reloaded"
        yield postfix


def test_postfix_relays_to_paperpath(service: Service, postfix: Postfix) -> None:
    since, count = service.mark(), 50
    for number in range(count):
        with smtplib.SMTP("127.0.0.1", postfix.port, timeout=PATIENCE_S) as client:
            client.sendmail("far@client.test", [ACCOUNT], f"Subject: relayed {number}.\n\n.\n..dots\n")
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT, count=count)
    for number in range(count):
        assert service.message(ACCOUNT, f"Subject: relayed {number}.\n").endswith(b"\n\n.\n..dots\n")


def test_postfix_is_told_that_a_recipient_is_unknown(service: Service, postfix: Postfix) -> None:
    since = service.mark()
    with smtplib.SMTP("127.0.0.1", postfix.port, timeout=PATIENCE_S) as client:
        client.sendmail(SENDER, ["nobody@here.test"], "Subject: in vain\n\n")
    service.wait_for("delivery.delivered", since=since, recipient=SENDER)
    report = service.message(SENDER, "Subject: Undelivered Mail Returned to Sender\n")
    assert b"550 5.1.1 No mailbox here by that name" in report


def test_paperpath_delivers_to_postfix_and_back(service: Service, postfix: Postfix) -> None:
    since, count = service.mark(), 50
    for number in range(count):
        service.send("far@client.test", ["round@postfix.test"], f"Subject: round trip {number}.\n\n.\n..dots\n")
    service.wait_for("delivery.delivered", since=since, recipient="round@postfix.test", count=count)
    service.wait_for("delivery.delivered", since=since, recipient=ACCOUNT, count=count)
    for number in range(count):
        message = service.message(ACCOUNT, f"Subject: round trip {number}.\n")
        assert message.endswith(b"\n\n.\n..dots\n")
        assert message.count(b"\nReceived: ") == 3


def test_recipient_that_postfix_refuses_is_reported(service: Service, postfix: Postfix) -> None:
    since = service.mark()
    service.send(SENDER, ["nobody@postfix.test", "round@postfix.test"], "Subject: to two\n\n")
    service.wait_for("delivery.delivered", since=since, recipient="round@postfix.test")
    service.wait_for("delivery.delivered", since=since, recipient=SENDER)
    content = service.message(SENDER, "rfc822; nobody@postfix.test\n")
    text, status, original = email.message_from_bytes(content, policy=email.policy.default).iter_parts()
    assert "\n\n<nobody@postfix.test>:\n" in text.get_content()
    assert [group["Status"] for group in status.iter_parts()] == [None, "5.1.1"]
    assert original.get_content()["Subject"] == "to two"
