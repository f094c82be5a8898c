"""The dialogues in tests/transcripts/smtp_client, played to the real shell over a real socket."""

import pytest

from paperpath.wire.delivery import Job, Target
from tests.transcripts.smtp_client.story import Begin, Expect, Happen, Hear, Say, Story, stories
from tests.unit.remote.scene import Bench, Server, Session, job_for


def over_a_socket(story: Story) -> bool:
    """Tell whether a script and a job can play the story: no handshake, no clock, no second connection."""
    kinds = {step.kind for step in story.steps if isinstance(step, Expect)}
    happenings = {step.what for step in story.steps if isinstance(step, Happen)}
    begins = sum(isinstance(step, Begin) for step in story.steps)
    streamed = any(isinstance(step, Begin) and "stream" in step.options for step in story.steps)
    timed = any(isinstance(step, Begin) and "BY=" in step.options.get("mail", "") for step in story.steps)
    return (
        "tls" not in story.session
        and "together" not in story.session
        and not streamed
        and not timed
        and "exhausted" not in kinds
        and happenings <= {"lost"}
        and not ("untouched" in kinds and begins > 1)
        and (begins > 0 or "refused" in kinds)
    )


def job_of(begin: Begin, route: str) -> Job:
    content = begin.content
    return Job(
        job=1,
        message=1,
        sender=begin.sender,
        targets=tuple(
            Target(number, address, terms=dict(enumerate(begin.recipient_terms)).get(number))
            for number, address in enumerate(begin.recipients)
        ),
        trace=content[:5],
        content=content[5:],
        size=len(content) - 5,
        destination="d.test",
        route=route,
        smtputf8="smtputf8" in begin.options,
        terms=begin.terms,
    )


@pytest.mark.parametrize("story", [story for story in stories() if over_a_socket(story)], ids=lambda story: story.name)
async def test_story(story: Story) -> None:
    async def script(session: Session) -> None:
        for step in story.steps:
            if isinstance(step, Say):
                session.writer.write(step.data)
            elif isinstance(step, Hear):
                assert await session.reader.readexactly(len(step.data)) == step.data
            elif isinstance(step, Happen):
                return
        await session.reader.readline()  # QUIT, or the end

    async with Server(script) as server, Bench() as bench:
        route = server.route.replace("smtp:", "lmtp:") if "lmtp" in story.session else server.route
        begins = [step for step in story.steps if isinstance(step, Begin)]
        reports = [await bench.deliver(job_of(begin, route)) for begin in begins]
        outcomes = [result.outcome for report in reports for result in report.results]
        expected = [step for step in story.steps if isinstance(step, Expect)]
        if not begins:
            report = await bench.deliver(job_for(route))
            outcomes = [result.outcome for result in report.results]
            assert getattr(outcomes[0], "destination_down", False)
        expected = [step for step in expected if step.kind in ("delivered", "deferred", "failed", "refused")]
        assert len(outcomes) == len(expected)
        for outcome, wanted in zip(outcomes, expected, strict=True):
            kind = "deferred" if wanted.kind == "refused" else wanted.kind
            assert type(outcome).__name__.lower() == kind
            assert outcome.code == wanted.code and wanted.fits(outcome.text)
        assert bench.lines == []
