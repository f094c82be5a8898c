"""qmail-inject, sendmail and the small programs, each story of `inject/*.txt` as a process of its own.

Cases 79 to 85 of the interop list have their numbers in the titles.
"""

from pathlib import Path

import pytest

from tests.transcripts.inject.story import Stage, Story, read

STORIES = [story for path in sorted((Path(__file__).parent / "inject").glob("*.txt")) for story in read(path)]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(tmp_path_factory.mktemp("inject"))


@pytest.mark.parametrize("story", STORIES, ids=[story.title for story in STORIES])
def test_story(stage: Stage, story: Story) -> None:
    assert stage.play(story) == story


def test_the_numbered_cases_are_there() -> None:
    numbers = {story.title.partition(":")[0] for story in STORIES}
    assert {str(number) for number in range(79, 86)} <= numbers
