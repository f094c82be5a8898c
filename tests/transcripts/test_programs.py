"""The small qmail programs as `paperpath programs` installs them: each story of `programs/*.txt`."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from paperpath.cli.main import main
from tests.transcripts.programs.story import Story, play, read

STORIES = [story for path in sorted((Path(__file__).parent / "programs").glob("*.txt")) for story in read(path)]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs") / "bin"
    result = CliRunner().invoke(main, ["programs", str(folder)])
    assert result.exit_code == 0, result.output
    return folder


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.program}: {story.title}" for story in STORIES])
def test_story(tmp_path: Path, programs: Path, story: Story) -> None:
    assert play(story, tmp_path, programs) == story.expected
