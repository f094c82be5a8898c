"""Paperpath, run as anybody would: `paperpath init`, then `paperpath serve`."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import backlog, privileges
from bench.measure import count_files
from bench.peers import PASSWORD, SINK_DOMAIN, Job
from bench.programs import free_port, run, running, wait_for_port, wait_for_text
from bench.tls import Pair, make_pair

_ACCOUNT: Final = "bench"
_DOMAIN: Final = "paperpath.test"
_USERS_DOMAIN: Final = f"users.{_DOMAIN}"
_READY_S: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningPaperpath:
    """A Paperpath that accepts mail."""

    port: int
    pid: int
    program: Path
    config: Path
    maildir: Path
    tls_port: int = 0
    recipient: str = f"{_ACCOUNT}@{_DOMAIN}"
    users_domain: str = _USERS_DOMAIN

    def delivered(self) -> int:
        """Messages in the mailbox."""
        return count_files(self.maildir / "new")

    def queued(self) -> int:
        """Messages in the queue, as `paperpath queue stats` tells."""
        stats = json.loads(run(self.program, "queue", "stats", "--config", self.config, "--json"))
        return int(stats["messages"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Paperpath:
    """How to run Paperpath in `folder`; its log goes to `logs`, which is on no volume under test."""

    folder: Path
    logs: Path
    program: Path = Path(sys.executable).parent / "paperpath"
    name: str = "Paperpath"

    def missing(self) -> str:
        """Say why it cannot run here."""
        return "" if self.program.exists() else f"{self.program} is not installed"

    def version(self) -> str:
        """What `paperpath --version` says, and as whom it runs here."""
        users = "separate users" if privileges.possible(self.folder) else "all processes as the caller"
        return f"{run(self.program, '--version').split()[-1]}, {users}"

    @contextmanager
    def running(self, job: Job) -> Iterator[RunningPaperpath]:
        """Start it with an empty queue and mailbox."""
        home, port, tls_port = self.folder / "home", free_port(), free_port() if job.tls or job.submission else 0
        try:
            config = self._init(home, port, job)
            if tls_port:
                pair = make_pair(home, f"mx.{_DOMAIN}", rsa=job.rsa)
                config.write_text(with_tls(config.read_text(), tls_port, pair))
            users = privileges.separate(config) if privileges.possible(self.folder) else nullcontext()
            with users, self._serving(config, port) as pid:
                maildir = home / "state" / "mail" / _DOMAIN / _ACCOUNT / "Maildir"
                yield RunningPaperpath(
                    port=port, pid=pid, program=self.program, config=config, maildir=maildir, tls_port=tls_port
                )
        finally:
            shutil.rmtree(home, ignore_errors=True)

    def _init(self, home: Path, port: int, job: Job) -> Path:
        account, listen = f"{_ACCOUNT}@{_DOMAIN}", f"smtp=127.0.0.1:{port}"
        run(self.program, "init", home, "--hostname", f"mx.{_DOMAIN}", "--account", account, "--listen", listen)
        config = home / "paperpath.toml"
        config.write_text(with_job(config.read_text(), job))
        if job.submission:
            run(self.program, "account", "password", account, "--password", PASSWORD, "--config", config)
        if job.backlog:
            backlog.fill(home / "state" / "queue", job.backlog)
        return config

    @contextmanager
    def _serving(self, config: Path, port: int) -> Iterator[int]:
        """Run the service; yield the supervisor's process id once it is ready."""
        output, log = self.logs / f"paperpath-{port}.output", self.logs / f"paperpath-{port}"
        with running([self.program, "serve", "--config", config], output=output, errors=log) as process:
            wait_for_text(log, b"service.ready", process, _READY_S)
            wait_for_port(port, _READY_S)
            yield process.pid


def with_job(config: str, job: Job) -> str:
    """Return the configuration with what the job asks for."""
    if not job.deliver:
        config = with_setting(config, "queue", "local_concurrency", "0")
    if job.relay_port is not None:
        config = with_setting(config, "routes", f'"{SINK_DOMAIN}"', f'"smtp://127.0.0.1:{job.relay_port}"')
    if job.system_users:
        config = with_setting(config, "local", "domains", f'["{_USERS_DOMAIN}"]')
    if job.submission:
        # Postfix has no such limits.
        for limit in ("account_recipients_per_hour", "account_recipients_per_day"):
            config = with_setting(config, "limits", limit, "0")
    if job.sessions is not None:
        config = with_setting(config, "receive", "sessions", str(job.sessions))
    return config


def with_tls(config: str, port: int, pair: Pair) -> str:
    """Return the configuration with a certificate, and with a port on which TLS comes first."""
    listener = f'[[listen]]\nservice = "submissions"\naddress = "127.0.0.1:{port}"\n'
    tls = f'[tls]\ncertificate = "{pair.certificate}"\nkey = "{pair.key}"\n'
    return f"{config.rstrip()}\n\n{listener}\n{tls}"


def with_setting(config: str, section: str, key: str, value: str) -> str:
    """Return the TOML text with `key` set in `section`, which is added where it is missing."""
    line = f"{key} = {value}\n"
    head = re.compile(rf"(?m)^\[{re.escape(section)}\][ \t]*(#.*)?\n")
    found = head.search(config)
    if found is None:
        return f"{config.rstrip()}\n\n[{section}]\n{line}"
    before, after = config[: found.end()], config[found.end() :]
    body, bracket, rest = re.match(r"(?s)(.*?)(^\[|\Z)(.*)", after, re.MULTILINE | re.DOTALL).groups()  # type: ignore[union-attr]
    kept = re.sub(rf"(?m)^{re.escape(key)}[ \t]*=.*\n?", "", body)
    return f"{before}{line}{kept}{bracket}{rest}"
