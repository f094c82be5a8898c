import pytest

from paperpath.process import passes
from paperpath.process.passes import PASS_GOOD_FOR_S, is_good_pass, make_pass

KEY, NONCE, NOW = bytes(range(32)), bytes(16), 1_800_000_000.5


def made(account: str = "you@example.test", key: bytes = KEY) -> bytes:
    return make_pass(key, account, now=NOW, nonce=NONCE)


def test_a_pass_opens_its_account_for_a_while() -> None:
    assert is_good_pass(KEY, "you@example.test", made(), now=NOW)
    assert is_good_pass(KEY, "you@example.test", made(), now=NOW + PASS_GOOD_FOR_S - 1)
    assert not is_good_pass(KEY, "you@example.test", made(), now=NOW + PASS_GOOD_FOR_S)


def test_it_opens_no_other_account_and_none_with_another_key() -> None:
    assert not is_good_pass(KEY, "me@example.test", made(), now=NOW)
    assert not is_good_pass(bytes(32), "you@example.test", made(), now=NOW)


def test_any_change_spoils_it() -> None:
    door_pass = made()
    for at in range(len(door_pass)):
        changed = door_pass[:at] + bytes([door_pass[at] ^ 1]) + door_pass[at + 1 :]
        assert not is_good_pass(KEY, "you@example.test", changed, now=NOW)
    assert not is_good_pass(KEY, "you@example.test", door_pass[:-1], now=NOW)
    assert not is_good_pass(KEY, "you@example.test", b"", now=NOW)


def test_a_pass_from_a_clock_far_ahead_is_not_good() -> None:
    assert not is_good_pass(KEY, "you@example.test", made(), now=NOW - 3600)


def test_without_a_key_there_are_no_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        make_pass(b"", "you@example.test", now=NOW, nonce=NONCE)
    assert not is_good_pass(b"", "you@example.test", made(), now=NOW)
    with monkeypatch.context() as patch:
        patch.setattr(passes, "PASS_KEY_BYTES", 0)
        forged = made(key=b"")  # by somebody who knows how, and that there is no key
        assert is_good_pass(b"", "you@example.test", forged, now=NOW)
    assert not is_good_pass(b"", "you@example.test", forged, now=NOW)
