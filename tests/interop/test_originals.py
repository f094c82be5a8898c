"""The originals of programs that are here under their names: the same stories, and random input, played by both."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from paperpath.base import tcp_rules
from paperpath.base.cdb import Cdb
from paperpath.inject import setforward
from tests.peers import require_peer
from tests.transcripts.programs.story import Story, play, read

ORIGINALS = (
    "tcprules", "tcprulescheck", "rblsmtpd", "setlock", "setforward", "printforward", "setmaillist", "printmaillist",
)  # fmt: skip
DIFFER = {
    "tcprules: neither allowed nor denied",  # the original leaves its temporary file
}
STORIES = [
    story
    for path in sorted((Path(__file__).parents[1] / "transcripts/programs").glob("*.txt"))
    for story in read(path)
    if story.program in ORIGINALS or (story.program == "fastforward" and " -n" in story.command)
]
RULES = [
    b"1", b"2.", b".", b"-", b"9", b"=", b"@", b":", b"allow", b"deny", b",", b"A=", b'"x"', b"/y/", b"\n", b"#", b" ",
    b":allow\n", b":deny\n",
]  # fmt: skip
ALIASES = [
    b"a", b"b@x.ex", b":", b",", b";", b"|echo\\ x", b"!c", b".l", b"/l", b"?o@x.ex", b"&c@d", b" ", b"\n", b"#x\n",
    b"\\,", b"\t", b'"', b"(", b"::", b"a: b@x.ex;",
]  # fmt: skip
FEW = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds them, and nothing else."""
    folder = tmp_path_factory.mktemp("originals")
    for name in (*ORIGINALS, "fastforward"):
        (folder / name).symlink_to(require_peer(f"/usr/bin/{name}"))
    return folder


@pytest.mark.parametrize("story", STORIES, ids=[f"{story.program}: {story.title}" for story in STORIES])
def test_story(tmp_path: Path, originals: Path, story: Story) -> None:
    same = play(story, tmp_path, originals) == story.expected
    assert same is (f"{story.program}: {story.title}" not in DIFFER)


def table_by(program: Path, source: bytes, folder: Path) -> list[tuple[bytes, bytes]] | None:
    """Return what an original makes of a source, None where it makes nothing."""
    table = folder / "table.cdb"
    table.unlink(missing_ok=True)
    done = subprocess.run([program, table, folder / "table.tmp"], input=source, capture_output=True)
    return list(Cdb(table.read_bytes())) if done.returncode == 0 else None


@FEW
@given(source=st.lists(st.sampled_from(RULES), max_size=20).map(b"".join))
def test_any_rules(tmp_path: Path, originals: Path, source: bytes) -> None:
    made = None
    with contextlib.suppress(tcp_rules.BadRule):
        made = list(tcp_rules.records(source))
    assert made == table_by(originals / "tcprules", source, tmp_path)


@FEW
@given(source=st.lists(st.sampled_from(ALIASES), max_size=12).map(b"".join))
def test_any_aliases(tmp_path: Path, originals: Path, source: bytes) -> None:
    made = None
    with contextlib.suppress(ValueError):
        made = list(setforward.records(source))
    assert made == table_by(originals / "setforward", source, tmp_path)
