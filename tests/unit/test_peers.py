"""How tests ask for foreign programs, and that CI installs what they may ask for."""

from pathlib import Path

import pytest

from tests import peers


def test_a_program_that_is_there_is_found() -> None:
    assert peers.require_peer("sh").name == "sh"


def test_a_missing_program_skips_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_peer", lambda command: None)
    monkeypatch.setenv("CI", "")
    with pytest.raises(pytest.skip.Exception, match="apt-get install postfix"):
        peers.require_peer("smtp-sink")


def test_a_missing_program_fails_under_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_peer", lambda command: None)
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="swaks is not installed"):
        peers.require_peer("swaks")


def test_ci_installs_every_package_that_tests_may_ask_for() -> None:
    lists = [Path(__file__).parents[2] / ".ci" / name for name in ("packages", "unpacked")]
    listed = [line for path in lists for line in path.read_text().splitlines()]
    packages = {line.partition("#")[0].strip() for line in listed} - {""}
    assert set(peers.PACKAGES.values()) <= packages
    assert all(line.partition("#")[2].strip() for line in listed), "each package says why it is needed"
