"""How Postfix's files come about; whether Postfix likes them shows in `make bench ARGS=--quick`."""

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.peers import Job
from bench.postfix import main_cf, master_cf

PACKAGE = """\
# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       y       -       -       smtpd
#smtp      inet  n       -       y       -       1       postscreen
qmgr      unix  n       -       n       300     1       qmgr
smtp      unix  -       -       y       -       -       smtp
"""


def test_only_the_listening_service_moves() -> None:
    expected = PACKAGE.replace("smtp      inet  n       -       y       -       -       smtpd",
                               "127.0.0.1:2525      inet  n       -       y       -       -       smtpd")  # fmt: skip
    assert master_cf(PACKAGE, 2525, deliver=True) == expected


def test_without_delivery_there_is_no_queue_manager() -> None:
    table = master_cf(PACKAGE, 2525, deliver=False)
    assert "qmgr" not in table
    assert table.count("\n") == PACKAGE.count("\n") - 1


def test_unknown_table_is_an_error() -> None:
    with pytest.raises(BenchError, match="no smtp service"):
        master_cf("", 2525, deliver=True)


def _settings(job: Job) -> dict[str, str]:
    folder = Path("/v")
    lines = main_cf(folder / "etc", folder / "queue", folder / "data", job).splitlines()
    return dict(line.split(" = ", 1) for line in lines)


def test_job_becomes_settings() -> None:
    plain = _settings(Job())
    assert _settings(Job(relay_port=2626)) == plain | {"relayhost": "[127.0.0.1]:2626"}
    assert _settings(Job(deliver=False)) == plain | {"in_flow_delay": "0"}
    assert _settings(Job(recipients=9)) == plain | {"smtpd_recipient_limit": "9"}
