"""A submission service behind proxies that judge the logins: XCLIENT with LOGIN, as Dovecot and swaks send it."""

import smtplib
import subprocess
from typing import Any

import pytest

from tests.interop.dovecot import running_front
from tests.interop.submission import Submission, submission
from tests.peers import require_peer
from tests.service import ACCOUNT, PATIENCE_S

pytestmark = pytest.mark.interop

FRONTS = {"xclient": ["127.0.0.1/32"]}


def sent(server: Submission, subject: str) -> bytes:
    server.service.wait_for("delivery.delivered", recipient=ACCOUNT)
    return server.service.message(ACCOUNT, f"Subject: {subject}\n")


@pytest.mark.root
def test_dovecot_judges_the_login_and_the_account_is_bound_as_here() -> None:
    """Its passwords are other ones, and its users need not all be known here."""
    users = {ACCOUNT: "dovecot's own", "elsewhere@other.test": "x"}
    with submission(fronts=FRONTS) as server, running_front(passwords=users, behind=server.port) as port:
        with smtplib.SMTP("127.0.0.1", port, local_hostname="laptop.test", timeout=PATIENCE_S) as client:
            client.login(ACCOUNT, users[ACCOUNT])
            assert client.mail("other@here.test")[0] == 553
            client.rset()
            client.sendmail(ACCOUNT, [ACCOUNT], f"From: {ACCOUNT}\nSubject: by Dovecot\n\nx\n")
        with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE_S) as client:
            client.login("elsewhere@other.test", "x")
            assert client.mail("elsewhere@other.test")[0] == 250
            client.rset()
            assert client.mail(ACCOUNT)[0] == 553
        service = server.service
        assert b" ([127.0.0.1])\n\tby mx.here.test with ESMTPA " in sent(server, "by Dovecot")
        service.wait_for("message.accepted", origin=f"submission 127.0.0.1 {ACCOUNT}")
        assert [line["account"] for line in service.events("login.succeeded", mechanism="XCLIENT")] == [
            ACCOUNT,
            "elsewhere@other.test",
        ]
        service.wait_for("session.closed", account=ACCOUNT, messages=1)


@pytest.mark.parametrize("auth", [{}, {"backends": []}])
def test_swaks_says_which_account_it_is(auth: dict[str, Any]) -> None:
    """Also to a service that has no passwords of its own."""
    words = [str(require_peer("swaks")), "--helo", "swaks.test", "--xclient-addr", "192.0.2.78", "--from", ACCOUNT]
    words += ["--to", ACCOUNT, "--header", "Subject: by swaks", "--server"]
    with submission(fronts=FRONTS, auth=auth) as server:
        told = [*words, f"127.0.0.1:{server.port}", "--xclient-login"]
        done = subprocess.run([*told, ACCOUNT], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stdout
        assert b"([192.0.2.78])\n\tby mx.here.test with ESMTPA " in sent(server, "by swaks")
        for nobody in ([*told, "[UNAVAILABLE]"], [*words, f"127.0.0.1:{server.port}"]):
            done = subprocess.run(nobody, capture_output=True, text=True, timeout=PATIENCE_S)
            assert "530 5.7.0 Log in first" in done.stdout
