"""`paperpath import qmail`: the printed configuration routes and limits as the control files do."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from paperpath.cli.import_qmail import import_qmail
from paperpath.config.load import parse, routing_table
from paperpath.config.qmail import with_control
from paperpath.config.schema import Qmail
from paperpath.config.schema_delivery import Local
from tests.unit.cli.conftest import Run
from tests.unit.config.test_qmail import FILES, write


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write(tmp_path, **FILES)
    return tmp_path


def test_it_says_the_same(home: Path) -> None:
    write(home, databytes="70000", defaultdelivery="./Maildir/")
    text, warnings = import_qmail(str(home))
    config = parse(text, "/etc/paperpath.toml")
    live = with_control(parse(f'hostname = "x.ex"\n[qmail]\nhome = "{home}"\n', "/etc/paperpath.toml"))
    assert config == replace(live, qmail=Qmail(), paths=config.paths)
    assert routing_table(config) == routing_table(live)
    assert not any("control/" in warning for warning in warnings)


def test_defaults_are_said_and_named(tmp_path: Path) -> None:
    write(tmp_path, me="h.ex")
    text, _ = import_qmail(str(tmp_path))
    lines = text.splitlines()
    assert lines[lines.index("local_concurrency = 10") - 1] == "# control/concurrencylocal is not there: the default"
    assert lines[lines.index('hostname = "h.ex"') - 1] == "# control/me"
    assert parse(text, "/x").local == Local(domains=("h.ex",), default_domain="h.ex", default_delivery="./Mailbox")


def test_what_cannot_be_said_is_left_out_and_told(tmp_path: Path) -> None:
    write(
        tmp_path,
        me="h.ex",
        locals=".h.ex\na b\nh.ex",
        badmailfrom="plain\nx@y.ex",
        databytes="100",
        virtualdomains="v.ex:u\nbad key:u\nv.ex.:dot",
        badrcptto="x@h.ex",
        defaulthost="h.ex",
    )
    (tmp_path / "control/percenthack").write_bytes(b"\xff\np.ex\n")
    (tmp_path / "users").mkdir()
    (tmp_path / "users/cdb").touch()
    text, warnings = import_qmail(str(tmp_path))
    config = parse(text, "/x")
    assert config.local.domains == ("h.ex",)
    assert config.local.percent_hack == ("p.ex",)
    assert config.receive.refused_senders == ("x@y.ex",)
    assert config.virtual.get("v.ex") is not None
    for part in (
        "control/locals: '.h.ex' is left out",
        "control/locals: 'a b' is left out",
        "control/badmailfrom: 'plain' is left out",
        "control/databytes: is left out",
        "control/virtualdomains: 'bad key' is left out",
        "control/percenthack: '\\udcff' is left out: it is not UTF-8",
        "control/rcpthosts is not there, so qmail relays",
        "control/badrcptto: has no equivalent",
        "control/defaulthost: for the injecting programs",
        "users/cdb: counts only under",
        "RELAYCLIENT",
    ):
        assert [part in warning for warning in warnings].count(True) == 1, part
    assert all(f"# {warning}" in text for warning in warnings if warning.isprintable())


def test_the_command(run: Run, home: Path) -> None:
    done = run("import", "qmail", str(home))
    assert done.exit_code == 0, done.output
    assert parse(done.stdout, "/x").hostname == "h.ex"
    assert "paperpath: who may relay" in done.stderr
    assert run("import", "qmail", str(home / "nowhere")).exit_code == 64
    (home / "control/me").unlink()
    (home / "control/locals").unlink()
    done = run("import", "qmail", str(home))
    assert (done.exit_code, done.stderr.strip()) == (
        100,
        f"paperpath: {home}/control: locals: is missing, and so is me; write this host's name into control/me",
    )
