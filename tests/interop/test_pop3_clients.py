"""Programs that fetch mail, over POP3 with STLS and over POP3S, from a whole service."""

import email
import email.policy
import poplib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.interop.pop3 import OTHER, PASSWORD, Fetched, pop3_service
from tests.peers import require_peer
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


@pytest.fixture(autouse=True)
def _empty(fetched: Fetched) -> None:
    for account in (ACCOUNT, OTHER):
        for path in [*fetched.service.maildir(account).glob("new/*"), *fetched.service.maildir(account).glob("cur/*")]:
            path.unlink()


def test_poplib_with_apop(fetched: Fetched) -> None:
    fetched.deliver("one")
    client = poplib.POP3("127.0.0.1", fetched.port, timeout=30)
    client.apop(ACCOUNT, PASSWORD)
    assert client.stat()[0] == 1
    client.quit()


def test_poplib_over_pop3s(fetched: Fetched) -> None:
    context = fetched.authority.client_context()
    client = poplib.POP3_SSL("127.0.0.1", fetched.tls_port, context=context, timeout=30)
    with pytest.raises(poplib.error_proto, match="AUTH"):
        client.user(ACCOUNT)
        client.pass_("wrong")
    client.user(ACCOUNT)
    client.pass_(PASSWORD)
    client.close()
    line = fetched.service.wait_for("login.failed", service="pop3s")
    assert line["user"] == ACCOUNT


def test_poplib_with_utf8(fetched: Fetched) -> None:
    """A client that says UTF8 has a message as it is, another its header in ASCII; a password may hold any letters."""
    (fetched.service.maildir(ACCOUNT) / "new/1.utf8").write_text(
        "From: Ås <å@bølge.test>\nSubject: Smørrebrød\n\nBøf\n"
    )
    fetched.service.run("account", "password", ACCOUNT, "--password", "Bröd \u2160")
    try:
        for reads_utf8 in (True, False):
            client = poplib.POP3_SSL(
                "127.0.0.1", fetched.tls_port, context=fetched.authority.client_context(), timeout=30
            )
            assert client.capa()["UTF8"] == ["USER"]
            if reads_utf8:
                client.utf8()
            client.user(ACCOUNT)
            client.pass_("Bro\u0308d I" if not reads_utf8 else "Bröd \u2160")
            message = email.message_from_string(b"\n".join(client.retr(1)[1]).decode(), policy=email.policy.default)
            assert message["subject"] == "Smørrebrød"
            (sender,) = message["from"].addresses
            assert sender.display_name == "Ås"
            assert sender.addr_spec == ("å@bølge.test" if reads_utf8 else "invalid@internationalized-address.invalid")
            client.quit()
    finally:
        fetched.service.run("account", "password", ACCOUNT, "--password", PASSWORD)


@pytest.mark.parametrize("scheme", ["pop3", "pop3s"])
def test_curl(fetched: Fetched, scheme: str) -> None:
    curl = require_peer("curl")
    fetched.deliver("one", "two")
    port = fetched.port if scheme == "pop3" else fetched.tls_port
    common: list[str | Path] = [curl, "-sS", "--ssl-reqd", "--cacert", fetched.ca_file, "-u", f"{ACCOUNT}:{PASSWORD}"]
    url = f"{scheme}://127.0.0.1:{port}/"
    assert len(fetched.run([*common, url]).splitlines()) == 2
    message = fetched.run([*common, url + "2"])
    assert "Subject: two" in message and message.endswith("two text\n.dot\n")
    fetched.run([*common, url + "1", "-X", "DELE", "-I"])
    assert len(fetched.run([*common, url]).splitlines()) == 1


@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256", "login", "cram-md5", "apop", "user"])
def test_mpop(fetched: Fetched, tmp_path: Path, mechanism: str) -> None:
    """It pipelines, and deletes what it has delivered."""
    mpop = require_peer("mpop")
    fetched.deliver("one", "two", "three")
    box = tmp_path / "box"
    for name in ("tmp", "new", "cur"):
        (box / name).mkdir(parents=True)
    rc = tmp_path / "mpoprc"
    rc.write_text(
        f"account default\nhost 127.0.0.1\nport {fetched.port}\ntls on\ntls_starttls on\n"
        f"tls_trust_file {fetched.ca_file}\nauth {mechanism}\nuser {ACCOUNT}\npassword {PASSWORD}\n"
        f"pipelining on\nkeep off\ndelivery maildir {box}\nuidls_file {tmp_path}/uidls\n"
    )
    rc.chmod(0o600)
    fetched.run([mpop, f"--file={rc}", "--quiet"])
    fetched_mail = [path.read_bytes() for path in (box / "new").iterdir()]
    assert len(fetched_mail) == 3 and all(
        b"Subject: " in mail and mail.endswith(b"text\n.dot\n") for mail in fetched_mail
    )
    fetched.service.wait_for("mailbox.closed", result="quit", removed=3, account=ACCOUNT)
    assert not any(fetched.service.messages(ACCOUNT))


def test_getmail(fetched: Fetched, tmp_path: Path) -> None:
    getmail = require_peer("getmail")
    fetched.deliver("one", "two")
    rc = tmp_path / "getmailrc"
    rc.write_text(
        "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = localhost\n"
        f"port = {fetched.tls_port}\nusername = {ACCOUNT}\npassword = {PASSWORD}\nca_certs = {fetched.ca_file}\n"
        f"[destination]\ntype = MDA_external\npath = /usr/bin/tee\narguments = ('-a', '{tmp_path}/mbox')\n"
        "allow_root_commands = true\n[options]\ndelete = true\nverbose = 0\n"
    )
    fetched.run([getmail, f"--getmaildir={tmp_path}", f"--rcfile={rc}", "--quiet"])
    assert (tmp_path / "mbox").read_text().count("\nSubject: ") == 2
    assert not any(fetched.service.messages(ACCOUNT))


def test_fetchmail(fetched: Fetched, tmp_path: Path) -> None:
    fetchmail = require_peer("fetchmail")
    fetched.deliver("one", "two")
    rc = tmp_path / "fetchmailrc"
    rc.write_text(
        f'poll localhost service {fetched.port} proto pop3 uidl user "{ACCOUNT}" password "{PASSWORD}"\n'
        f'  sslproto "TLS1.2+" no sslcertck nokeep\n'
        f'  mda "cat >> {tmp_path}/mbox; echo >> {tmp_path}/mbox"\n'
    )
    rc.chmod(0o600)
    fetched.run([fetchmail, "-f", rc, "--pidfile", tmp_path / "pid", "-i", tmp_path / "ids", "-s"])
    assert (tmp_path / "mbox").read_text().count("\nSubject: ") == 2
    assert not any(fetched.service.messages(ACCOUNT))


def test_s_nail(fetched: Fetched, tmp_path: Path) -> None:
    nail = require_peer("s-nail")
    fetched.deliver("one", "two")
    user, password = quote(ACCOUNT, safe=""), quote(PASSWORD)
    url = f"pop3s://{user}:{password}@localhost:{fetched.tls_port}"
    options = [
        "-S",
        "v15-compat=yes",
        "-S",
        f"tls-ca-file={fetched.ca_file}",
        "-S",
        "tls-verify=strict",
        "-S",
        "pop3-auth=plain",
    ]
    said = fetched.run([nail, "-:/", "-#", *options, "-f", url], given="headers\ntype 2\ndelete 1\nquit\n")
    assert "two text" in said
    fetched.service.wait_for("mailbox.closed", service="pop3s", account=ACCOUNT, removed=1)


def test_mutt(fetched: Fetched, tmp_path: Path) -> None:
    """In a terminal, by keys that it is given: copy all messages to a file, delete them, leave.

    Left to itself it begins with SCRAM-SHA-256-PLUS, cannot bind to this channel, and loses count of the replies.
    """
    mutt, script = require_peer("mutt"), require_peer("script")
    fetched.deliver("one", "two")
    settings = {
        "pop_pass": f'"{PASSWORD}"', "certificate_file": fetched.ca_file, "pop_authenticators": "scram-sha-256",
        "folder": tmp_path, "spoolfile": tmp_path / "box", "mbox_type": "mbox", "pop_delete": "yes",
        "confirmappend": "no", "confirmcreate": "no", "wait_key": "no", "delete": "yes", "quit": "yes",
    }  # fmt: skip
    keys = "<delete-pattern>~A<enter><undelete-pattern>~A<enter><tag-pattern>~A<enter><tag-prefix><decode-save>"
    rc = tmp_path / "muttrc"
    rc.write_text(
        "".join(f"set {name}={value}\n" for name, value in settings.items())
        + f'push "{keys}{tmp_path}/copy<enter><sync-mailbox><quit>"\n'
    )
    url = f"pops://{quote(ACCOUNT, safe='')}@localhost:{fetched.tls_port}/"
    fetched.run([script, "-qec", f"env TERM=vt100 {mutt} -n -F {rc} -f {url}", tmp_path / "typescript"])
    assert (tmp_path / "copy").read_text().count("\nSubject: ") == 2
    fetched.service.wait_for("mailbox.closed", service="pop3s", account=ACCOUNT, removed=2)
