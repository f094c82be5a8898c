"""A mailing list of a system user, all by dot-qmail files: VERP to its subscribers, and a bounce that comes back.

The whole service runs as that user, so that the account is its own and nobody's real home is touched.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.peers import require_peer, require_root
from tests.service import running_service
from tests.sink import running_sink
from tests.unit.local.service import require_interpreter_for_others

pytestmark = [pytest.mark.root, pytest.mark.xdist_group("system-users")]

DOMAIN = "users.test"


@pytest.fixture
def user() -> Iterator[pwd.struct_passwd]:
    """A system account of its own with a home where it can get to."""
    require_root()
    require_interpreter_for_others()
    name, folder = f"pp-list-{os.getpid()}", Path(tempfile.mkdtemp(prefix="paperpath-"))
    folder.chmod(0o755)
    (folder / name).mkdir()
    subprocess.run([require_peer("useradd"), "--home-dir", folder / name, "--no-create-home", name], check=True)
    found = pwd.getpwnam(name)
    shutil.chown(folder / name, found.pw_uid, found.pw_gid)
    yield found
    subprocess.run([require_peer("userdel"), "--force", name], check=True)
    shutil.rmtree(folder)


def as_user(name: str, play: Callable[[], None]) -> None:
    """Call ``play`` in a process that is this user's for good; it must not fail."""
    child = os.fork()
    if not child:
        status = 1
        try:
            account = pwd.getpwnam(name)
            os.initgroups(name, account.pw_gid)
            os.setresgid(account.pw_gid, account.pw_gid, account.pw_gid)
            os.setresuid(account.pw_uid, account.pw_uid, account.pw_uid)
            os.environ["HOME"] = account.pw_dir
            play()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def instruct(home: Path, **files: str) -> None:
    """Write dot-qmail files; an underscore in a name stands for a dash."""
    for name, content in files.items():
        (home / f".qmail-{name.replace('_', '-')}").write_text(content)


def test_verp_list_and_its_bounce(user: pwd.struct_passwd) -> None:
    name, home = user.pw_name, Path(user.pw_dir)

    def play() -> None:
        settings = {"local": {"domains": [DOMAIN]}, "log": {"format": "json"}}
        with running_sink() as sink:
            sink.verdict = lambda verb, address: "550 gone" if (verb, address) == ("RCPT", "bad@far.test") else ""
            instruct(
                home,
                list="+list\n" + "".join(f"&{one}@far.test\n" for one in ("good", "bad", "better")),
                list_owner="&postmaster@far.test\n",
                list_owner_default='|printf "%s|%s" "$DEFAULT" "$SENDER" >> bounces; grep "^<.*>:$" >> bounces\n',
            )
            with running_service(settings={**settings, "routes": {"far.test": sink.route}}) as service:
                service.send("writer@else.test", [f"{name}-list@{DOMAIN}"], "Subject: news\n\nhello\n")
                service.wait_for("message.done", count=3)
                assert service.queue_empty()
            senders = {recipient: one.sender for one in sink.taken for recipient in one.recipients}
            assert senders == {
                f"{one}@far.test": f"{name}-list-owner-{one}=far.test@{DOMAIN}" for one in ("good", "better")
            }
            for one in sink.taken:
                assert one.content.startswith(f"Delivered-To: {name}-list@{DOMAIN}\r\n".encode())
            assert (home / "bounces").read_text() == "|<bad@far.test>:\n"

    as_user(name, play)


def test_bounce_from_afar_comes_to_the_subscribers_own_address(user: pwd.struct_passwd) -> None:
    name, home = user.pw_name, Path(user.pw_dir)

    def play() -> None:
        instruct(home, list_owner="#\n", list_owner_default='|printf "%s|%s" "$DEFAULT" "$SENDER" >> bounces\n')
        with running_service(settings={"local": {"domains": [DOMAIN]}}) as service:
            service.send("", [f"{name}-list-owner-bad=far.test@{DOMAIN}"], "Subject: failure notice\n\nno\n")
            service.wait_for("message.done")
        assert (home / "bounces").read_text() == "bad=far.test|"

    as_user(name, play)


def test_failing_program_is_quoted_in_the_bounce_and_forwards_nothing(user: pwd.struct_passwd) -> None:
    name, home = user.pw_name, Path(user.pw_dir)

    def play() -> None:
        with running_sink() as sink:
            instruct(home, x="&good@far.test\n|echo no such thing; echo; echo at all >&2; exit 100\n")
            routes = {"far.test": sink.route}
            with running_service(settings={"local": {"domains": [DOMAIN]}, "routes": routes}) as service:
                service.send("writer@far.test", [f"{name}-x@{DOMAIN}"], "Subject: x\n\nhello\n")
                service.wait_for("message.done", count=2)
            (report,) = sink.taken
            assert (report.sender, report.recipients) == ("", ("writer@far.test",))
            paragraph = f"<{name}-x@{DOMAIN}>:\r\nno such thing\r\n/at all\r\n\r\n"
            assert paragraph.encode() in report.content

    as_user(name, play)
