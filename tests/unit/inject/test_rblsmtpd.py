"""rblsmtpd: what lists say, with name servers that are a table."""

import pytest

from paperpath.dns.answers import Answer, Found, NoSuchName, TemporaryTrouble
from paperpath.inject import rblsmtpd

LISTED = Found(("Blocked: see http://x.ex/",), 60)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[bytes, str], Answer]:
    table: dict[tuple[bytes, str], Answer] = {}
    monkeypatch.setattr(rblsmtpd, "_look_up", lambda name, kind: table.get((name, kind), NoSuchName()))
    monkeypatch.setattr("paperpath.system.helpers.become_or_say", lambda words, _: 0)
    monkeypatch.setenv("TCPREMOTEIP", "192.0.2.1")
    monkeypatch.delenv("RBLSMTPD", raising=False)
    return table


def run(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """Return what the client was told, or nothing where it was let in."""
    code = rblsmtpd.main(["rblsmtpd", "-t0", *words, "smtpd"])
    told = capfd.readouterr().out
    assert code == (0 if told else 111)
    return told


def test_lists(names: dict[tuple[bytes, str], Answer], capfd: pytest.CaptureFixture[str]) -> None:
    names[b"1.2.0.192.b.ex", "TXT"] = LISTED
    assert run(capfd, "-r", "a.ex") == ""
    assert run(capfd, "-ra.ex", "-rb.ex") == "451 Blocked: see http://x.ex/\r\n"
    assert run(capfd, "-b", "-ra.ex", "-rb.ex") == "553 Blocked: see http://x.ex/\r\n"
    names[b"1.2.0.192.good.ex", "A"] = Found(("127.0.0.2",), 60)
    assert run(capfd, "-a", "good.ex", "-r", "b.ex") == ""
    assert run(capfd, "-r", "b.ex", "-a", "good.ex") != ""


def test_the_default_list(names: dict[tuple[bytes, str], Answer], capfd: pytest.CaptureFixture[str]) -> None:
    names[b"1.2.0.192.rbl.maps.vix.com", "TXT"] = LISTED
    assert run(capfd) != ""
    assert run(capfd, "-r", "a.ex") == ""


def test_trouble(names: dict[tuple[bytes, str], Answer], capfd: pytest.CaptureFixture[str]) -> None:
    names[b"1.2.0.192.a.ex", "TXT"] = TemporaryTrouble("x")
    names[b"1.2.0.192.b.ex", "TXT"] = LISTED
    assert run(capfd, "-r", "a.ex") == ""
    assert run(capfd, "-c", "-r", "a.ex") == "451 temporary RBL lookup error\r\n"
    assert run(capfd, "-b", "-r", "a.ex", "-r", "b.ex").startswith("451 "), "one that cannot be asked makes none final"
    names[b"1.2.0.192.good.ex", "A"] = TemporaryTrouble("x")
    assert run(capfd, "-a", "good.ex", "-r", "b.ex") == ""
    assert run(capfd, "-c", "-a", "good.ex", "-r", "b.ex").startswith("451 ")


def test_long_texts_are_cut(names: dict[tuple[bytes, str], Answer], capfd: pytest.CaptureFixture[str]) -> None:
    names[b"1.2.0.192.a.ex", "TXT"] = Found(("x" * 150, "y" * 150), 60)
    assert run(capfd, "-r", "a.ex") == "451 " + "x" * 150 + "y" * 50 + "\r\n"


def test_addresses_of_the_sixth_version(
    names: dict[tuple[bytes, str], Answer], capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TCPREMOTEIP", "2001:db8::1")
    names[b"1." + b"0." * 23 + b"8.b.d.0.1.0.0.2.a.ex", "TXT"] = LISTED
    assert run(capfd, "-r", "a.ex") != ""
