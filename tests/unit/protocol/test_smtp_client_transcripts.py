"""The dialogues in tests/transcripts/smtp_client, played to the pure machine, cut in every way."""

import random
from collections.abc import Callable, Iterator

import pytest

from paperpath.base.outcome import Deferred, Delivered, Outcome
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.protocol.smtp_client_events import Event, Finished, Phase, Ready, Refused, Transaction, Upgrade
from tests.transcripts.smtp_client.story import Begin, Expect, Happen, Hear, Say, Story, stories

Cut = Callable[[Say], Iterator[bytes]]


def whole(say: Say) -> Iterator[bytes]:
    yield say.data


def by_line(say: Say) -> Iterator[bytes]:
    yield from say.lines


def by_byte(say: Say) -> Iterator[bytes]:
    yield from (bytes([byte]) for byte in say.data)


def at_random(say: Say) -> Iterator[bytes]:
    chance = random.Random(len(say.data))
    rest = say.data
    while rest:
        size = chance.randint(1, 30)
        yield rest[:size]
        rest = rest[size:]


CUTS: tuple[Cut, ...] = (whole, by_line, by_byte, at_random)


class Player:
    """Plays one story to one machine."""

    def __init__(self, story: Story, cut: Cut) -> None:
        self.story = story
        self.cut = cut
        self.client = SmtpClient(
            "client.test", "mx.test", want_tls="tls" in story.session, lmtp="lmtp" in story.session
        )
        self.sent = b""
        self.outcomes: list[Outcome] = []
        self.refused: Deferred | None = None
        self.untouched = False
        self.seen: list[type[Event]] = []

    def play(self) -> None:
        for step in self.story.steps:
            match step:
                case Say():
                    assert self.sent == b"", "the client sent what the story does not tell"
                    for piece in self.cut(step):
                        self._take(self.client.receive(piece))
                case Hear(data):
                    assert self.sent == data
                    self.sent = b""
                case Begin():
                    self._take(self.client.begin(transaction(step)))
                case Happen(what):
                    self._happen(what)
                case Expect():
                    self._expect(step)
        assert self.sent == b"" and self.outcomes == []

    def _take(self, events: list[Event]) -> None:
        self.sent += self.client.take_output()
        for event in events:
            self.seen.append(type(event))
            if isinstance(event, Finished):
                self.outcomes += event.outcomes
                self.untouched = event.untouched
            elif isinstance(event, Refused):
                self.refused = event.outcome

    def _happen(self, what: str) -> None:
        match what:
            case "tls":
                assert self.seen[-1] is Upgrade and self.client.phase is Phase.UPGRADING
                self.client.tls_started()
                self._take([])
            case "sent":
                assert self.client.phase is Phase.CONTENT
                self.client.content_sent()
            case "lost":
                self._take(self.client.lost("connection lost"))
            case _:
                self._take(self.client.lost(what))

    def _expect(self, expected: Expect) -> None:
        match expected.kind:
            case "ready":
                assert self.client.phase is Phase.READY
                assert self.seen and self.seen[-1] in (Ready, Finished)
            case "closed":
                assert self.client.phase is Phase.CLOSED
            case "untouched":
                assert self.untouched
            case "refused":
                assert self.refused is not None
                assert self.refused.code == expected.code and expected.fits(self.refused.text), self.refused
            case "exhausted":
                assert self.client.is_exhausted
            case kind:
                outcome = self.outcomes.pop(0)
                if isinstance(outcome, Delivered):
                    taken = (("DSN", outcome.takes_dsn), ("DELIVERBY", outcome.takes_deliver_by))
                    assert self.story.taken == [name for name, is_taken in taken if is_taken]
                assert type(outcome).__name__.lower() == kind, outcome
                assert outcome.code == expected.code and expected.fits(outcome.text), outcome


def transaction(begin: Begin) -> Transaction:
    content = begin.content
    return Transaction(
        sender=begin.sender,
        recipients=begin.recipients,
        content=None if "stream" in begin.options else content,
        size=len(content),
        eight_bit="stream" in begin.options or not content.isascii(),
        smtputf8="smtputf8" in begin.options,
        terms=begin.terms,
        recipient_terms=begin.recipient_terms,
        left_s=begin.terms.deliver_by if begin.terms else 0,
    )


def _cases() -> Iterator[tuple[Story, Cut]]:
    for story in stories():
        for cut in (whole,) if "together" in story.session else CUTS:
            yield story, cut


@pytest.mark.parametrize(
    ("story", "cut"), list(_cases()), ids=lambda part: getattr(part, "__name__", None) or part.name
)
def test_story(story: Story, cut: Cut) -> None:
    Player(story, cut).play()
