"""Whatever a client of any service can be told: a code, an enhanced code that agrees with it, one plain sentence.

The constants are found by looking for them, so a reply that is added is judged too.
"""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import paperpath.protocol
import paperpath.receive
from paperpath.base.reply import Reply
from paperpath.protocol.smtp_events import Refusal

WITHOUT_STATUS = {220, 221, 334, 354}
"""RFC 2034 4: no enhanced code in the greeting, in a challenge, before content."""


def replies() -> Iterator[tuple[str, Reply]]:
    """Yield every reply that a module of these folders keeps as a constant, with its name."""
    for package in (paperpath.protocol, paperpath.receive):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            if found.name.endswith("__main__"):
                continue
            for name, value in vars(importlib.import_module(found.name)).items():
                if isinstance(value, Refusal):
                    value = value.reply
                if isinstance(value, Reply):
                    yield f"{found.name.removeprefix('paperpath.')}.{name}", value


ALL = dict(replies())


def test_they_are_found() -> None:
    assert {"protocol.smtp_refusals.UNKNOWN_COMMAND", "receive.replies.BANNED", "receive.words.TOO_LARGE"} <= set(ALL)
    assert len(ALL) > 60


@pytest.mark.parametrize("name", ALL)
def test_code_and_enhanced_code(name: str) -> None:
    given = ALL[name]
    if given.code in WITHOUT_STATUS:
        return
    assert re.fullmatch(r"[245]\.[0-7]\.[0-9]{1,2}", given.status), given
    assert given.status[0] == str(given.code)[0]


@pytest.mark.parametrize("name", [name for name, given in ALL.items() if given.code >= 400])
def test_one_plain_sentence(name: str) -> None:
    (sentence,) = ALL[name].lines
    if not sentence.startswith("Syntax: "):
        assert re.fullmatch(r"[A-Z][ -~]{7,90}[^ .]", sentence), sentence
        assert not re.search(r"[_{}%\[\]/]|Error|Exception|None|paperpath", sentence), (
            "it tells strangers of our insides"
        )


@pytest.mark.parametrize("name", [name for name, given in ALL.items() if given.code == 421])
def test_who_is_hung_up_on_is_told_so_or_to_come_back(name: str) -> None:
    assert re.search(r"closing|again|later|a while", ALL[name].lines[0]), ALL[name]
