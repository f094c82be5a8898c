"""Started processes: isolated, with the right descriptors, as the right user, and reaped."""

import os
import select
import signal

import pytest

from paperpath.system import spawn as spawning
from paperpath.system.spawn import how_it_ended, spawn
from paperpath.system.users import User, find_user
from tests.peers import require_root
from tests.unit.local.service import require_interpreter_for_others

_WAIT_S = 30.0


@pytest.fixture
def output() -> tuple[int, int]:
    return os.pipe()


def run(output: tuple[int, int], code: str, **environment: str) -> str:
    """Run Python code in a spawned process, which writes to descriptor ``w``, and return what it wrote."""
    reading, writing = output
    process = spawn("timeit", ["-n1", "-r1", f"w = {writing}; {code}"], [writing], None, environment)
    os.close(writing)
    with os.fdopen(reading) as file:
        told = file.read()
    assert process.wait(_WAIT_S) == 0
    return told


def test_has_its_descriptors_and_no_others(output: tuple[int, int]) -> None:
    spare = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(spare, True)
    told = run(output, "import os; os.write(w, repr([int(n) for n in os.listdir('/proc/self/fd')]).encode())")
    os.close(spare)
    numbers = set(eval(told))
    assert {0, 1, 2, output[1]} <= numbers
    assert spare not in numbers


def test_is_isolated_with_a_session_folder_umask_and_environment_of_its_own(
    output: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/evil")
    told = run(
        output,
        "import os, sys; os.write(w, repr((sys.flags.isolated, os.getsid(0) == os.getpid(), os.getcwd(), "
        "os.umask(0), sorted(os.environ))).encode())",
        EXTRA="x",
    )
    isolated, session, folder, umask, environment = eval(told)
    assert (isolated, session, folder, umask) == (1, True, "/", 0o077)
    assert set(environment) - {"LC_CTYPE"} == {"EXTRA", "LANG", "PATH"}


def test_ending_is_told_by_the_pidfd_and_reaped_once() -> None:
    process = spawn("timeit", ["-n1", "-r1", "import os; os._exit(7)"], [], None, {})
    assert select.select([process.pidfd], [], [], _WAIT_S)[0] == [process.pidfd]
    assert process.poll() == 7
    assert process.poll() == 7
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
    with pytest.raises(OSError):
        os.fstat(process.pidfd)


def test_signal_ends_it_and_is_told_below_zero() -> None:
    process = spawn("timeit", ["-n1", "-r1", "import signal; signal.pause()"], [], None, {})
    assert process.poll() is None
    process.send_signal(signal.SIGKILL)
    assert process.wait(_WAIT_S) == -signal.SIGKILL
    process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("status", "words"),
    [(0, "exit 0"), (3, "exit 3"), (-signal.SIGSEGV, "SIGSEGV"), (-signal.SIGRTMIN - 1, "signal 35")],
)
def test_an_end_in_words_also_by_a_signal_without_a_name(status: int, words: str) -> None:
    assert how_it_ended(status) == words


def test_user_id_zero_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning, "find_user", lambda name: User(name, 0, 0, "/root"))
    with pytest.raises(PermissionError, match="toor has user id 0"):
        spawn("timeit", [], [], "toor", {})


def test_an_account_with_user_id_zero_is_refused() -> None:
    with pytest.raises(PermissionError, match="toor has user id 0"):
        spawn("timeit", [], [], User("toor", 0, 5, "/"), {})


def test_unknown_user_is_refused() -> None:
    with pytest.raises(FileNotFoundError, match="no such user"):
        spawn("timeit", [], [], "no-such-user-here", {})


@pytest.mark.root
@pytest.mark.parametrize("user", ["nobody", User("nobody", 4_200_001, 4_200_002, "/")], ids=["name", "ids"])
def test_becomes_the_user_with_its_group_alone(user: User | str) -> None:
    require_root()
    require_interpreter_for_others()
    reading, writing = os.pipe()
    code = f"import os; os.write({writing}, repr((os.getresuid(), os.getresgid(), os.getgroups())).encode())"
    process = spawn("timeit", ["-n1", "-r1", code], [writing], user, {})
    os.close(writing)
    with os.fdopen(reading) as file:
        uids, gids, groups = eval(file.read())
    process.wait(_WAIT_S)
    account = find_user(user) if isinstance(user, str) else user
    assert account is not None
    assert set(uids) == {account.uid} and set(gids) == {account.gid} and groups in ([], [account.gid])
