"""Confinement: what the kernel refuses to a child that confined itself, and what it still grants."""

import os
import re
import struct
from pathlib import Path

import pytest

from paperpath.system import confine
from tests.unit.system.children import run_child

has_landlock = pytest.mark.skipif(
    confine._landlock_version() not in range(2, 100), reason="the kernel has no Landlock, or too old a one"
)

_FILES = """
import threading
from paperpath.system.confine import _landlock_version, confine_files
readable, writable, other = sys.argv[1:]
"""


@pytest.fixture
def folders(tmp_path: Path) -> list[str]:
    names = []
    for name in ("readable", "writable", "other"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "file").write_text("text")
        (folder / "sub").mkdir()
        (folder / "sub" / "deep").write_text("text")
        names.append(str(folder))
    return names


@has_landlock
def test_files_are_confined(folders: list[str]) -> None:
    told = run_child(
        _FILES
        + """
held = open(other + "/file")
version = _landlock_version()
done = confine_files(read=[readable, "/no/such/path"], write=[writable])
listening = socket.socket(socket.AF_UNIX)
tell(
    version=version, done=done,
    granted=[
        attempt(open, readable + "/sub/deep"), attempt(os.listdir, readable), attempt(open, writable +
        "/file"), attempt(open, writable + "/new", "w"), attempt(os.truncate, writable + "/new", 5),
        attempt(os.rename, writable + "/new", writable + "/sub/new"), attempt(os.mkdir, writable + "/made"),
        attempt(os.link, writable + "/sub/new", writable + "/again"), attempt(os.unlink, writable + "/again"),
        attempt(os.rmdir, writable + "/made"), attempt(listening.bind, writable + "/socket"),
        attempt(held.read),
    ],
    refused=[
        attempt(open, other + "/file"), attempt(os.listdir, other), attempt(open, "/etc/passwd"),
        attempt(open, other + "/new", "w"), attempt(os.unlink, other + "/file"), attempt(os.mkdir, other +
        "/x"), attempt(open, readable + "/file", "r+"), attempt(open, readable + "/new", "w"),
        attempt(os.unlink, readable + "/file"), attempt(os.truncate, readable + "/file", 0),
        attempt(os.symlink, "x", writable + "/link"), attempt(os.mkfifo, writable + "/fifo"),
        attempt(os.execv, sys.executable, [sys.executable, "-c", ""]),
    ],
    moved_in=attempt(os.rename, readable + "/file", writable + "/stolen"),
)
""",
        *folders,
    )
    assert told["done"] is True
    assert told["granted"] == ["done"] * 12
    assert told["refused"][:9] + told["refused"][10:] == ["EACCES"] * 12
    if told["version"] >= 3:  # version 2 does not know truncation by name
        assert told["refused"][9] == "EACCES"
    assert told["moved_in"] in ("EACCES", "EXDEV")
    assert sorted(os.listdir(folders[2])) == ["file", "sub"]


@has_landlock
def test_a_single_file_can_be_granted(folders: list[str]) -> None:
    told = run_child(
        _FILES
        + """
confine_files(read=[readable + "/file"], write=[writable + "/file"])
tell(
    granted=[attempt(open, readable + "/file"), attempt(open, writable + "/file", "r+")],
    refused=[attempt(open, readable + "/sub/deep"), attempt(open, writable + "/new", "w")],
)
""",
        *folders,
    )
    assert told["granted"] == ["done"] * 2 and told["refused"] == ["EACCES"] * 2


@has_landlock
def test_threads_started_later_are_confined_and_earlier_ones_forbid_it(folders: list[str]) -> None:
    told = run_child(
        _FILES
        + """
gate = threading.Event()
early = threading.Thread(target=gate.wait)
early.start()
try:
    confine_files(read=[], write=[])
    refused = ""
except RuntimeError as error:
    refused = str(error)
gate.set()
early.join()
while len(os.listdir("/proc/self/task")) > 1:  # the kernel takes a moment to forget a thread that has ended
    os.sched_yield()
confine_files(read=[readable], write=[])
found = []
late = threading.Thread(target=lambda: found.append(attempt(open, other + "/file")))
late.start()
late.join()
tell(refused=refused, found=found)
""",
        *folders,
    )
    assert told == {"refused": "a process is confined before its threads start", "found": ["EACCES"]}


@pytest.mark.parametrize("version", [0, 1])
def test_a_kernel_without_landlock_is_told_apart(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(confine, "_landlock_version", lambda: version)
    monkeypatch.setattr(os, "listdir", lambda path: ["1"])
    assert confine.confine_files(read=["/"], write=[]) is False


_CALLS = """
import ctypes, signal, subprocess, threading
from paperpath.system import confine
libc = ctypes.CDLL(None, use_errno=True)
column = confine._MACHINES[os.uname().machine].column
def call(name):
    number = confine._NEVER[name][column]
    if libc.syscall(number, -1, -1, -1, -1, -1, -1) < 0:
        return errno.errorcode[ctypes.get_errno()]
    return "done"
"""

has_seccomp = pytest.mark.skipif(
    os.uname().machine not in confine._MACHINES, reason="seccomp filters are for x86_64 and aarch64"
)


@has_seccomp
def test_calls_are_refused_and_threads_still_start() -> None:
    told = run_child(
        _CALLS
        + """
confined = confine.confine_calls()
found = []
thread = threading.Thread(target=lambda: found.append(call("ptrace")))
thread.start()
thread.join()
tell(
    confined=confined, never={name: call(name) for name in confine._NEVER}, in_thread=found,
    fork=attempt(os.fork), exec=attempt(os.execv, sys.executable, [sys.executable, "-c", ""]),
    spawn=attempt(os.posix_spawn, sys.executable, [sys.executable], {}),
    clone3=(libc.syscall(435, None, 0), errno.errorcode[ctypes.get_errno()]),
)
"""
    )
    assert told["confined"] is True
    assert set(told["never"].values()) == {"EPERM"}
    assert told["in_thread"] == ["EPERM"]
    assert (told["fork"], told["exec"], told["spawn"]) == ("EPERM", "EPERM", "EPERM")
    assert told["clone3"] == [-1, "ENOSYS"]


@has_seccomp
def test_threads_that_run_already_are_bound_too() -> None:
    told = run_child(
        _CALLS
        + """
gate, found = threading.Event(), []
thread = threading.Thread(target=lambda: (gate.wait(), found.append(call("ptrace"))))
thread.start()
confine.confine_calls()
gate.set()
thread.join()
tell(found=found)
"""
    )
    assert told == {"found": ["EPERM"]}


@has_landlock
@has_seccomp
def test_both_in_the_order_that_processes_use(folders: list[str]) -> None:
    told = run_child(
        _CALLS
        + """
confine.confine_files(read=[sys.argv[1]], write=[])
confined = confine.confine_calls()
tell(confined=confined, passwd=attempt(open, "/etc/passwd"), ptrace=call("ptrace"))
""",
        *folders,
    )
    assert told == {"confined": True, "passwd": "EACCES", "ptrace": "EPERM"}


def test_another_machine_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confine, "_MACHINES", {})
    assert confine.confine_calls() is False


# The filter itself, run by a small interpreter: also for the machine that the tests do not run on.


def judge(program: bytes, number: int, audit: int, flags: int = 0) -> int:
    """Run a filter as the kernel does (man 2 seccomp); return its verdict."""
    data = struct.pack("=IIQ6Q", number, audit, 0, flags, 0, 0, 0, 0, 0)
    steps = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, if_true, if_false, operand = steps[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, operand)
            continue
        truth = {
            0x15: accumulator == operand,
            0x35: accumulator >= operand,
            0x45: bool(accumulator & operand),
        }[code]
        at += if_true if truth else if_false


HEADERS = {"x86_64": "x86_64-linux-gnu/asm/unistd_64.h", "aarch64": "asm-generic/unistd.h"}


@pytest.mark.parametrize("name", HEADERS)
def test_numbers_are_those_of_the_kernel(name: str) -> None:
    header = Path("/usr/include") / HEADERS[name]
    if not header.exists():
        pytest.skip("the kernel's headers are not installed: apt-get install linux-libc-dev")
    numbers = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    machine = confine._MACHINES[name]
    calls = {call: row[machine.column] for call, row in confine._NEVER.items()}
    calls |= {"seccomp": machine.seccomp, "clone": machine.clone, "clone3": confine._CLONE3}
    calls |= {"landlock_create_ruleset": 444, "landlock_add_rule": 445, "landlock_restrict_self": 446}
    calls |= dict(zip(("fork", "vfork"), machine.forks, strict=False))
    assert {call: int(numbers[call]) for call in calls} == calls


ALLOWED, KILLED, NO_PERMISSION, NO_CALL = 0x7FFF0000, 0x80000000, 0x50001, 0x50026
READ, WRITE = {"x86_64": 0, "aarch64": 63}, {"x86_64": 1, "aarch64": 64}


@pytest.mark.parametrize("name", confine._MACHINES)
def test_filter_on_each_machine(name: str) -> None:
    machine = confine._MACHINES[name]
    program = b"".join(confine._filter(machine))

    def verdict(number: int, flags: int = 0) -> int:
        return judge(program, number, machine.audit, flags)

    for call in (READ, WRITE):
        assert verdict(call[name]) == ALLOWED
    assert {verdict(call[machine.column]) for call in confine._NEVER.values()} == {NO_PERMISSION}
    assert verdict(0x40000000 + READ[name]) == NO_PERMISSION
    assert judge(program, READ[name], 0x40000003) == KILLED  # the 32-bit convention of x86
    assert {verdict(number) for number in (machine.clone, *machine.forks)} == {NO_PERMISSION}
    assert verdict(machine.clone, flags=0x3D0F00) == ALLOWED  # what pthread_create asks for
    assert verdict(435) == NO_CALL
