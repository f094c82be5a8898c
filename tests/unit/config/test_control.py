"""How control files are read (reference 2.1), what a missing one means (2.2), and who may send where (3.4)."""

import subprocess
import sys
from pathlib import Path

import pytest

from paperpath.base.cdb import build
from paperpath.config.control import LINES, NUMBERS, Control, home, is_bad_sender


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "control").mkdir()
    return tmp_path / "control"


@pytest.fixture
def control(folder: Path) -> Control:
    return Control(str(folder.parent))


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", b""),
        (b"\n", b""),
        (b"a", b"a"),
        (b"a\nb\n", b"a"),
        (b"  a b \t \nb", b"  a b"),
        (b"a\r\n", b"a\r"),
        (b"\na", b""),
        (b"# a\n", b"# a"),
        (b"a\v\n", b"a\v"),
    ],
)
def test_line(folder: Path, control: Control, content: bytes, line: bytes) -> None:
    (folder / "me").write_bytes(content)
    assert control.read_line("me") == line


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b"", 7),
        (b"0\n", 0),
        (b"12\n", 12),
        (b"007", 7),
        (b"12 bottles", 12),
        (b"12.5", 12),
        (b"-1", 7),
        (b" 12", 7),
        (b"x12", 7),
        (b"\n12", 7),
        (b"9" * 5000, 10**18 - 1),
        ("٣".encode(), 7),
    ],
)
def test_int(folder: Path, control: Control, content: bytes, number: int) -> None:
    (folder / "databytes").write_bytes(content)
    assert control.read_int("databytes", 7) == number


def test_list(folder: Path, control: Control) -> None:
    (folder / "locals").write_bytes(b"a \n#b\n\n \t\n # c\n\td\ne # f\ng\0h\n\0i\nj")
    assert control.read_list("locals") == [b"a", b" # c", b"\td", b"e # f", b"g", b"h", b"j"]


def test_map(folder: Path, control: Control) -> None:
    (folder / "smtproutes").write_bytes(b"A.b:1:2 \nno colon\n:all\nempty:\na.B:3\n#x:y\n x:z\n")
    assert control.read_map("smtproutes") == {b"a.b": b"3", b"": b"all", b"empty": b"", b" x": b"z"}


@pytest.mark.parametrize("name", ["read_line", "read_list", "read_map"])
def test_missing_is_not_empty(folder: Path, control: Control, name: str) -> None:
    assert getattr(control, name)("x") is None
    (folder / "x").touch()
    assert getattr(control, name)("x") is not None


def test_what_cannot_be_read_has_no_default(folder: Path, control: Control) -> None:
    (folder / "rcpthosts").mkdir()
    with pytest.raises(IsADirectoryError):
        control.rcpthosts()
    (folder / "concurrencylocal").mkdir()
    with pytest.raises(IsADirectoryError):
        control.number("concurrencylocal")


def test_no_folder_is_no_files(tmp_path: Path) -> None:
    assert Control(str(tmp_path / "nowhere")).locals() is None


@pytest.mark.parametrize(
    ("name", "alone", "with_me"),
    [
        ("me", None, b"h.ex"),
        ("bouncefrom", b"MAILER-DAEMON", b"MAILER-DAEMON"),
        ("bouncehost", b"bouncehost", b"h.ex"),
        ("defaultdomain", b"defaultdomain", b"h.ex"),
        ("defaulthost", b"defaulthost", b"h.ex"),
        ("doublebouncehost", b"doublebouncehost", b"h.ex"),
        ("doublebounceto", b"postmaster", b"postmaster"),
        ("envnoathost", b"envnoathost", b"h.ex"),
        ("helohost", None, b"h.ex"),
        ("idhost", b"idhost", b"h.ex"),
        ("localiphost", None, b"h.ex"),
        ("plusdomain", b"plusdomain", b"h.ex"),
        ("smtpgreeting", None, b"h.ex"),
    ],
)
def test_defaults_of_lines(
    folder: Path, control: Control, name: str, alone: bytes | None, with_me: bytes | None
) -> None:
    assert control.line(name) == alone
    (folder / "me").write_bytes(b"h.ex\n")
    assert control.line(name) == with_me
    (folder / name).write_bytes(b"")
    assert control.line(name) == b""


def test_every_line_is_tested() -> None:
    marks = test_defaults_of_lines.pytestmark  # type: ignore[attr-defined]
    assert {name for name, _, _ in marks[0].args[1]} == LINES.keys()


def test_defaults_of_numbers(folder: Path, control: Control) -> None:
    assert {name: control.number(name) for name in NUMBERS} == {
        "concurrencylocal": 10,
        "concurrencyremote": 20,
        "databytes": 0,
        "queuelifetime": 604800,
        "timeoutconnect": 60,
        "timeoutremote": 1200,
        "timeoutsmtpd": 1200,
    }
    for name in NUMBERS:
        (folder / name).write_bytes(b"0\n")
    assert {control.number(name) for name in NUMBERS if name != "timeoutsmtpd"} == {0}
    assert control.number("timeoutsmtpd") == 1


def test_locals(folder: Path, control: Control) -> None:
    assert control.locals() is None
    (folder / "me").write_bytes(b"H.ex\n")
    assert control.locals() == frozenset({b"h.ex"})
    (folder / "locals").write_bytes(b"A.ex\nb.ex\n")
    assert control.locals() == frozenset({b"a.ex", b"b.ex"})
    (folder / "locals").write_bytes(b"")
    assert control.locals() == frozenset()


def test_no_rcpthosts_takes_everything(control: Control) -> None:
    assert control.rcpthosts().accept(b"x@far.ex")


@pytest.mark.parametrize(
    ("address", "taken"),
    [
        (b"x@H.EX", True),
        (b"x@y@h.ex", True),
        (b"joe", True),
        (b"x@a.h.ex", False),
        (b"x@a.b.ex", True),
        (b"x@b.ex", False),
        (b"x@more.ex", True),
        (b"x@a.more.ex", False),
        (b"x@a.b.sub.ex", True),
        (b"x@", False),
    ],
)
def test_rcpthosts(folder: Path, control: Control, address: bytes, taken: bool) -> None:
    (folder / "rcpthosts").write_bytes(b"h.ex\n.b.ex\n")
    (folder / "morercpthosts.cdb").write_bytes(build([(b"more.ex", b""), (b".sub.ex", b"")]))
    assert control.rcpthosts().accept(address) is taken


def test_morercpthosts_alone_means_nothing(folder: Path, control: Control) -> None:
    (folder / "morercpthosts.cdb").write_bytes(b"no cdb")
    assert control.rcpthosts().accept(b"x@far.ex")
    (folder / "rcpthosts").touch()
    with pytest.raises(ValueError, match="cdb"):
        control.rcpthosts()


@pytest.mark.parametrize(
    ("sender", "bad"),
    [
        (b"Spam@Bad.ex", True),
        (b"x@all.ex", True),
        (b"x@y@ALL.ex", True),
        (b"x@bad.ex", False),
        (b"x@sub.all.ex", False),
        (b"", False),
        (b"all.ex", False),
        (b"plain", True),
    ],
)
def test_bad_senders(folder: Path, control: Control, sender: bytes, bad: bool) -> None:
    (folder / "badmailfrom").write_bytes(b"spam@bad.ex\n@All.ex\nplain\n")
    assert is_bad_sender(sender, control.badmailfrom()) is bad


def test_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAPERPATH_QMAIL_HOME", raising=False)
    assert (home(), home("/given")) == ("/var/qmail", "/given")
    monkeypatch.setenv("PAPERPATH_QMAIL_HOME", "/env")
    assert home("/given") == "/env"


def test_it_loads_next_to_nothing() -> None:
    tell = "import sys; before = set(sys.modules); import paperpath.config.control; print(*set(sys.modules) - before)"
    source = str(Path(__file__).parents[3] / "src")
    prepared = f"import sys; sys.path.insert(0, {source!r}); {tell}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", prepared], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert "errno" in loaded and "paperpath.base.domains" in loaded
    assert not loaded & {"collections", "dataclasses", "enum", "functools", "msgspec", "re", "typing"}
