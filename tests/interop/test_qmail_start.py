"""The service as a qmail host's boot script starts it: qmail-start with a logger, ALRM, HUP and TERM."""

import os
import subprocess
import threading
from pathlib import Path
from signal import SIGALRM

import pytest

from tests.service import HOSTNAME, Service, free_port


class BootedService(Service):
    """Started by qmail-start, its log through the logger that the script names."""

    def start(self) -> None:
        """Start it and wait until it serves."""
        self.run("programs", str(self.folder / "bin"), config=False)
        reading, writing = os.pipe()
        self._pipe = f"pipe:[{os.fstat(writing).st_ino}]"
        self._process = subprocess.Popen(
            [self.folder / "bin/qmail-start", "./Mailbox", "cat"],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.defpath, "PAPERPATH_CONFIG": str(self.config)},
            start_new_session=True,
        )
        os.close(writing)
        self._reader = threading.Thread(target=self._read, args=(os.fdopen(reading, "rb"),), daemon=True)
        self._reader.start()
        self.wait_for("service.ready", since=0)


@pytest.fixture
def service(tmp_path: Path) -> Service:
    settings = {"routes": {"far.test": f"smtp://127.0.0.1:{free_port()}"}, "relay": {"networks": ["127.0.0.0/8"]}}
    return BootedService(tmp_path, [], settings)


def test_a_boot_script_of_qmail(service: Service) -> None:
    try:
        service.start()
        service.send(f"from@{HOSTNAME}", ["to@far.test"], "Subject: x\n\ny\n")
        service.wait_for("delivery.deferred", recipient="to@far.test")
        since = service.mark()
        service.signal(SIGALRM)
        service.wait_for("queue.operated", since=since, verb="retry", operator="SIGALRM")
        service.wait_for("delivery.deferred", since=since, recipient="to@far.test")
        assert service.reload()["event"] == "service.reloaded"
        service.stop()
    finally:
        service.kill()


def test_what_cannot_be_started(tmp_path: Path) -> None:
    service = BootedService(tmp_path, [], {})
    service.run("programs", str(tmp_path / "bin"), config=False)
    for name in ("qmail-start", "qmail-send"):
        done = subprocess.run(
            [tmp_path / "bin" / name], env={"PAPERPATH_CONFIG": str(tmp_path / "none.toml")}, capture_output=True
        )
        assert done.returncode == 100
        log = done.stdout if name == "qmail-start" else done.stderr
        assert b"none.toml" in log


def test_qmail_send_logs_where_qmails_own_does(tmp_path: Path) -> None:
    service = BootedService(tmp_path, [], {})
    service.run("programs", str(tmp_path / "bin"), config=False)
    with open(tmp_path / "log", "wb") as log:
        environment = {"PAPERPATH_CONFIG": str(tmp_path / "none.toml")}
        subprocess.run([tmp_path / "bin/qmail-send"], env=environment, stdin=log, check=False)
    assert b"none.toml" in (tmp_path / "log").read_bytes()
