"""What senders ask for beside the delivery, end to end: with Postfix, which speaks DSN, on both sides; with aiosmtpd,
which does not; and over TLS between two of our own."""

import email
import email.policy
import re
import smtplib
import subprocess
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from typing import cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from tests.certificates import Authority
from tests.interop.postfix import Postfix, running_postfix
from tests.service import ACCOUNT, PATIENCE_S, Service, free_port, running_service

pytestmark = pytest.mark.interop

SENDER = "sender@here.test"
NEXT, THROUGH = "user@next.test", "user@through.test"
PASSWORD = "a password of twenty"
NAMED = ["ENVID=order+2B7"]


@pytest.fixture(scope="module")
def plain_port() -> Iterator[int]:
    """A server that takes everything and offers no DSN."""
    controller = Controller(Sink(), hostname="127.0.0.1", port=free_port())
    controller.start()
    yield controller.port
    controller.stop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def service(authority: Authority, plain_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("certificates")
    certificate, key = authority.issue("localhost").write(folder, "server")
    settings = {
        "tls": {"certificate": str(certificate), "key": str(key)},
        "remote": {"trusted_certificates": str(authority.write(folder))},
        "routes": {"plain.test": f"smtp://127.0.0.1:{plain_port}"},
    }
    with running_service(accounts=[ACCOUNT, SENDER], settings=settings, start=False) as service:
        service.run("programs", str(service.folder / "bin"), config=False)
        service.run("account", "password", SENDER, "--password", PASSWORD)
        submission = {"service": "submission", "address": f"127.0.0.1:{free_port()}"}
        service.configure({"listen": [{"service": "smtp", "address": f"127.0.0.1:{service.port}"}, submission]})
        service.start()
        yield service


@pytest.fixture(scope="module")
def following(service: Service, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A second service, behind the first, or behind a Postfix between the two."""
    certificate, key = authority.issue("localhost").write(tmp_path_factory.mktemp("certificates"), "next")
    settings = {
        "tls": {"certificate": str(certificate), "key": str(key)},
        "routes": {"here.test": f"smtp://127.0.0.1:{service.port}"},
    }
    with running_service(accounts=[NEXT, THROUGH], settings=settings) as following:
        service.configure({"routes": {"next.test": f"smtp://localhost:{following.port}"}})
        assert service.reload()["event"] == "service.reloaded"
        yield following


@pytest.fixture(scope="module")
def postfix(service: Service, following: Service) -> Iterator[Postfix]:
    """Knows one recipient, who is an account here, and the way to the second service."""
    relays = {"here.test": service.port, "through.test": following.port}
    with running_postfix(aliases={"round@postfix.test": ACCOUNT}, relays=relays) as postfix:
        service.configure({"routes": {"postfix.test": postfix.route, "through.test": postfix.route}})
        assert service.reload()["event"] == "service.reloaded"
        yield postfix


def say(
    port: int, recipients: Sequence[str], mail: Sequence[str] = (), rcpt: Sequence[str] = (), text: str = "hello"
) -> None:
    """Send one message with these parameters of MAIL and RCPT."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=PATIENCE_S) as client:
        _transact(client, recipients, mail, rcpt, text)


def _transact(
    client: smtplib.SMTP, recipients: Sequence[str], mail: Sequence[str], rcpt: Sequence[str], text: str
) -> None:
    client.ehlo()
    assert client.has_extn("dsn")
    code, said = client.mail(SENDER, list(mail))
    assert code == 250, said
    for recipient in recipients:
        code, said = client.rcpt(recipient, list(rcpt))
        assert code == 250, said
    code, said = client.data(f"Subject: {text}\n\nThe body of {text}.\n")
    assert code == 250, said


def report_on(service: Service, since: int, subject: str) -> tuple[bytes, dict[str, str], bytes]:
    """Wait for a report in the sender's mailbox; return it, the fields of its status part, and what it returns."""
    service.wait_for("delivery.delivered", since=since, recipient=SENDER)
    content = service.message(SENDER, f"Subject: {subject}\n")
    parsed = email.message_from_bytes(content, policy=email.policy.default)
    _, status, returned = cast(list[EmailMessage], list(parsed.iter_parts()))
    groups = cast(list[EmailMessage], list(status.iter_parts()))
    fields = {name: str(value) for group in groups for name, value in group.items()}
    return content, fields, returned.as_bytes()


@pytest.fixture(autouse=True)
def empty_mailbox(service: Service) -> Iterator[None]:
    yield
    for message in service.messages(SENDER):
        message.unlink()


def test_success_here_is_reported(service: Service) -> None:
    since = service.mark()
    say(service.port, [ACCOUNT], [*NAMED, "RET=FULL"], ["NOTIFY=SUCCESS", "ORCPT=rfc822;old+2Bname@here.test"])
    content, fields, returned = report_on(service, since, "delivery notice")
    assert (fields["Action"], fields["Status"]) == ("delivered", "2.0.0")
    assert fields["Original-Envelope-Id"] == "order+7"
    assert fields["Original-Recipient"] == "rfc822; old+name@here.test"
    assert fields["Final-Recipient"] == f"rfc822; {ACCOUNT}"
    assert b"Subject: hello" in returned and b"The body" not in content


def test_sendmail_asks_too(service: Service) -> None:
    since = service.mark()
    words = ["-N", "success", "-R", "hdrs", "-V", "from-a-program", "-f", SENDER, ACCOUNT]
    environment = {"PAPERPATH_CONFIG": str(service.config), "USER": "tester", "PATH": "/usr/bin:/bin"}
    call = [str(service.folder / "bin" / "sendmail"), *words]
    subprocess.run(call, input=b"Subject: x\n\ny\n", env=environment, check=True, timeout=PATIENCE_S)
    _, fields, _ = report_on(service, since, "delivery notice")
    assert (fields["Action"], fields["Original-Envelope-Id"]) == ("delivered", "from-a-program")


def test_server_without_dsn_makes_a_relayed_report(service: Service) -> None:
    since = service.mark()
    say(service.port, ["a@plain.test"], NAMED, ["NOTIFY=SUCCESS,FAILURE"])
    _, fields, _ = report_on(service, since, "delivery notice")
    assert (fields["Action"], fields["Remote-MTA"]) == ("relayed", "dns; [127.0.0.1]")
    assert fields["Original-Envelope-Id"] == "order+7"


@pytest.mark.root
def test_the_request_goes_through_postfix_to_the_last_who_reports(service: Service, postfix: Postfix) -> None:
    """Ours to Postfix to ours: nobody on the way says "relayed"."""
    since = service.mark()
    say(service.port, [THROUGH], NAMED, ["NOTIFY=SUCCESS", "ORCPT=rfc822;first@name.test"])
    content, fields, _ = report_on(service, since, "delivery notice")
    assert (fields["Action"], fields["Final-Recipient"]) == ("delivered", f"rfc822; {THROUGH}")
    assert fields["Reporting-MTA"] == "dns; mx.here.test"
    assert fields["Original-Recipient"] == "rfc822; first@name.test"
    assert fields["Original-Envelope-Id"] == "order+7"
    assert len(service.messages(SENDER)) == 1, content


@pytest.mark.root
def test_postfix_reports_under_our_names(service: Service, postfix: Postfix) -> None:
    """It expands an alias, and says so itself."""
    since = service.mark()
    say(service.port, ["round@postfix.test"], NAMED, ["NOTIFY=SUCCESS", "ORCPT=rfc822;first@name.test"])
    _, fields, _ = report_on(service, since, "Successful Mail Delivery Report")
    assert fields["Original-Recipient"] == "rfc822;first@name.test"
    assert fields["Original-Envelope-Id"] == "order+7"
    assert not [path for path in service.messages(SENDER) if b"relayed" in path.read_bytes()]


@pytest.mark.root
def test_postfix_asks_us(service: Service, postfix: Postfix) -> None:
    since = service.mark()
    say(postfix.port, [ACCOUNT], NAMED, ["NOTIFY=SUCCESS"])
    _, fields, _ = report_on(service, since, "delivery notice")
    assert (fields["Action"], fields["Original-Envelope-Id"]) == ("delivered", "order+7")
    assert len(service.messages(SENDER)) == 1


@pytest.mark.root
def test_nobody_is_told_of_a_failure_who_did_not_want_to_be(service: Service, postfix: Postfix) -> None:
    since = service.mark()
    say(service.port, ["nobody@postfix.test"], (), ["NOTIFY=NEVER"])
    line = service.wait_for("report.withheld", since=since)
    assert (line["recipient"], line["notify"]) == ("nobody@postfix.test", "NEVER")
    service.wait_for("message.done", since=since)
    assert not service.events("message.accepted", since=since, sender="")


@pytest.mark.root
@pytest.mark.parametrize(("returns", "whole"), [("RET=FULL", True), ("RET=HDRS", False)])
def test_failure_returns_what_was_asked_for(service: Service, postfix: Postfix, returns: str, whole: bool) -> None:
    since = service.mark()
    say(service.port, ["nobody@postfix.test"], [returns], ["ORCPT=rfc822;who@name.test"], text=f"with {returns}")
    content, fields, _ = report_on(service, since, "failure notice")
    assert (fields["Action"], fields["Original-Recipient"]) == ("failed", "rfc822; who@name.test")
    assert (b"The body of with" in content) is whole
    assert b"\nHi. This is the" in content


def test_what_demands_tls_goes_nowhere_without(service: Service, authority: Authority) -> None:
    since = service.mark()
    demand(service, authority, ["a@plain.test"])
    content, fields, returned = report_on(service, since, "failure notice")
    assert (fields["Action"], fields["Status"]) == ("failed", "5.7.10")
    assert b"The body" not in content and b"Subject: hello" in returned


def test_what_demands_tls_goes_on_over_proven_tls(service: Service, following: Service, authority: Authority) -> None:
    demand(service, authority, [NEXT])
    following.wait_for("delivery.delivered", recipient=NEXT)
    assert b"with ESMTPS" in following.message(NEXT, "Subject: hello\n").split(b"\n\n")[0]


def demand(service: Service, authority: Authority, recipients: Sequence[str]) -> None:
    """Send over TLS, with REQUIRETLS."""
    with smtplib.SMTP("localhost", service.port, local_hostname="client.test", timeout=PATIENCE_S) as client:
        client.ehlo()
        assert not client.has_extn("requiretls")
        client.starttls(context=authority.client_context())
        client.ehlo()
        assert client.has_extn("requiretls")
        _transact(client, recipients, ["REQUIRETLS", "RET=FULL"], (), "hello")


def logged_in(service: Service, authority: Authority) -> smtplib.SMTP:
    """Return a client of the submission port that has proved who it is."""
    (listen,) = re.findall(r'service = "submission"\naddress = "127.0.0.1:(\d+)"', service.config.read_text())
    client = smtplib.SMTP("localhost", int(listen), local_hostname="client.test", timeout=PATIENCE_S)
    client.starttls(context=authority.client_context())
    client.ehlo()
    assert not client.has_extn("futurerelease") and not client.has_extn("mt-priority")
    client.login(SENDER, PASSWORD)
    client.ehlo()
    assert client.has_extn("futurerelease") and client.has_extn("deliverby") and client.has_extn("mt-priority")
    return client


def test_who_has_logged_in_may_have_it_held(service: Service, authority: Authority) -> None:
    since = service.mark()
    with logged_in(service, authority) as client:
        _transact(client, [ACCOUNT], ["HOLDFOR=3600", "MT-PRIORITY=-3"], (), "later")
    message = service.wait_for("message.accepted", since=since, sender=SENDER)["message"]
    shown = service.queue("show", message)
    assert " PRIORITY -3;" in service.run("queue", "show", message, "--content")
    (recipient,) = shown["recipients"]
    assert recipient["state"] == "waiting" and recipient["attempts"] == 0
    assert 3500 < recipient["due"] - shown["birth"] <= 3600
    assert [wish.split()[0] for wish in shown["asks_for"]] == ["no", "MT-PRIORITY=-3"]
    service.run("queue", "retry", message)
    assert service.queue("show", message)["recipients"][0]["due"] == recipient["due"], "its sender was told so"
    service.run("queue", "remove", message)
    since = service.mark()
    with logged_in(service, authority) as client:
        _transact(client, [ACCOUNT], ["HOLDFOR=1"], (), "soon")
    message = service.wait_for("message.accepted", since=since, sender=SENDER)["message"]
    service.wait_for("delivery.delivered", since=since, message=message)


def test_what_is_to_be_back_in_time_is(service: Service, authority: Authority) -> None:
    """Nobody answers there: after the second that it was given, it is not tried again but returned."""
    service.configure({"routes": {"nowhere.test": f"smtp://127.0.0.1:{free_port()}"}})
    assert service.reload()["event"] == "service.reloaded"
    since = service.mark()
    with logged_in(service, authority) as client:
        _transact(client, ["a@nowhere.test"], ["BY=1;R"], (), "in time")
    _, fields, _ = report_on(service, since, "failure notice")
    assert (fields["Action"], fields["Status"]) == ("failed", "5.4.7")
    assert "Deliver-By-Date" in fields


def test_what_was_asked_for_survives_a_kill(service: Service) -> None:
    """Not under way and not yet due: it lies in the store, and says so, after every process was ended at once."""
    service.configure({"routes": {"later.test": f"smtp://127.0.0.1:{free_port()}"}})
    assert service.reload()["event"] == "service.reloaded"
    since = service.mark()
    say(service.port, ["a@later.test"], [*NAMED, "RET=HDRS"], ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;x@y.test"])
    message = service.wait_for("delivery.deferred", since=since, recipient="a@later.test")["message"]
    service.kill()
    service.start()
    shown = service.queue("show", message)
    assert shown["asks_for"] == ["RET=HDRS", "ENVID=order+2B7"]
    assert shown["recipients"][0]["asks_for"] == ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;x@y.test"]
    service.run("queue", "remove", message)
