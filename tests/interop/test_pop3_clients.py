"""Programs that fetch mail, over POP3 with STLS and over POP3S, from a whole service."""

import poplib
from collections.abc import Iterator

import pytest

from tests.interop.pop3 import PASSWORD, Fetched, pop3_service
from tests.service import ACCOUNT

pytestmark = [pytest.mark.interop, pytest.mark.xdist_group("pop3")]


@pytest.fixture(scope="module")
def fetched() -> Iterator[Fetched]:
    with pop3_service(
        {"auth": {"mechanisms": ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "CRAM-MD5", "APOP"]}}
    ) as fetched:
        yield fetched


def test_poplib_over_stls(fetched: Fetched) -> None:
    fetched.deliver("one", "two", "three")
    client = poplib.POP3("127.0.0.1", fetched.port, timeout=30)
    assert "USER" not in client.capa()
    client.stls(fetched.authority.client_context())
    capabilities = client.capa()
    assert "USER" in capabilities and "STLS" not in capabilities
    client.user(ACCOUNT)
    client.pass_(PASSWORD)
    assert client.stat()[0] == 3
    _, lines, _ = client.retr(2)
    assert b"Subject: two" in lines and lines[-2:] == [b"two text", b".dot"]
    assert len(client.uidl()[1]) == 3
    assert client.top(1, 0)[1][-1] == b""
    for number in (1, 2, 3):
        client.dele(number)
    client.quit()
    assert fetched.service.messages(ACCOUNT) == []
    line = fetched.service.wait_for("mailbox.closed", service="pop3", result="quit")
    assert (line["account"], line["removed"], line["retrieved"]) == (ACCOUNT, 3, 1)
    assert line["tls"].startswith("TLSv1.3 ")
