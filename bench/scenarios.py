"""What is measured, one function a scenario: a server comes in, named figures come out.

A figure's name ends in its unit.  Every measurement begins with a fresh server, warmed up with some mail, and with
a look at what the machine does by itself.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from bench import bulk, load, measure
from bench import sendmail as sendmail_program
from bench import submission as submissions
from bench import users as system_users
from bench.machine import BUSY_LOAD
from bench.peers import PASSWORD, SINK_DOMAIN, Job, Running, Server
from bench.sessions import idle_sessions
from bench.sink import Sink
from bench.tls import handshakes_per_s

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of everything."""

    messages: int
    warm_up: int
    sessions: int
    users: int
    users_messages: int
    recipients: int
    backlog: int
    idle_s: float
    """How long to watch the idle machine before each measurement."""


FULL: Final = Scale(
    messages=5000,
    warm_up=300,
    sessions=10_000,
    users=200,
    users_messages=10_000,
    recipients=100_000,
    backlog=1_000_000,
    idle_s=3,
)
QUICK: Final = Scale(
    messages=500, warm_up=50, sessions=500, users=20, users_messages=500, recipients=2000, backlog=10_000, idle_s=1
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One thing to measure, and the servers (by name) that take part."""

    name: str
    about: str
    servers: tuple[str, ...]
    measure: Callable[[Server, Sink, Scale], Figures]
    turns_most: int = 100
    """Turns after which more would teach nothing that is worth the time."""


def accept(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Accept and commit, with nothing else going on: delivery is stopped."""
    with server.running(Job(deliver=False)) as running:
        load.send(running.port, running.recipient, scale.warm_up)
        began_s = time.monotonic()
        took_s = load.send(running.port, running.recipient, scale.messages) - began_s
    return {"accepted_per_s": scale.messages / took_s}


def maildir(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Accept and deliver to a synced Maildir, as by default; with the processor time of the whole machine."""
    with server.running(Job()) as running:
        send_and_await(running, scale.warm_up)
        idle_cores = measure.idle_cores(scale.idle_s)
        cpu = measure.CpuMeter(idle_cores)
        began_s = time.monotonic()
        accepted_s, delivered_s = send_and_await(running, scale.messages)
        cpu_s = cpu.used_s()
    return {
        "accepted_while_delivering_per_s": scale.messages / (accepted_s - began_s),
        "maildir_per_s": scale.messages / (delivered_s - began_s),
        # What neighbours use cannot be told from what the servers use once they compete for it.
        **({"maildir_cpu_s": cpu_s / scale.messages} if idle_cores <= BUSY_LOAD else {}),
    }


def users(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Accept and deliver to the Maildirs of many system users, each under its own rights."""
    with (
        system_users.system_users(scale.users, server.folder / "homes") as made,
        server.running(Job(system_users=True)) as running,
    ):
        _send_to_users(running, made, scale.users)
        time.sleep(scale.idle_s)
        began_s = time.monotonic()
        delivered_s = _send_to_users(running, made, scale.users_messages)
    return {"users_per_s": scale.users_messages / (delivered_s - began_s)}


def _send_to_users(running: Running, made: system_users.Users, messages: int) -> float:
    """Send mail to the users in turn; return the moment (monotonic) when all of it is in their Maildirs."""
    wanted = made.delivered() + messages
    system_users.send(running.port, made, running.users_domain, messages)
    return measure.wait_for_count(made.delivered, wanted, load.limit_s(messages), "deliveries to users")


def relay(server: Server, sink: Sink, scale: Scale) -> Figures:
    """Accept and pass on to a remote server, until the queue is empty."""
    with sink.running(Job()) as remote, server.running(Job(relay_port=remote.port)) as running:
        send_and_await(running, scale.warm_up, remote)
        time.sleep(scale.idle_s)
        began_s = time.monotonic()
        _, relayed_s = send_and_await(running, scale.messages, remote)
        measure.wait_for_count(lambda: -running.queued(), 0, 30, "queue empty")
    return {"relayed_per_s": scale.messages / (relayed_s - began_s)}


def idle(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Memory of the whole server when it has seen some mail and has nothing to do."""
    with server.running(Job()) as running:
        send_and_await(running, scale.warm_up)
        time.sleep(scale.idle_s)
        return {"idle_bytes": measure.tree_pss_bytes(running.pid)}


def sessions(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Memory that one more idle session takes, with very many of them."""
    with server.running(Job(sessions=2 * scale.sessions)) as running:
        send_and_await(running, scale.warm_up)
        time.sleep(scale.idle_s)
        return {"session_bytes": asyncio.run(_session_bytes(running, scale, scale.sessions))}


def tls(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """TLS handshakes with several clients at once, whole ones and resumed ones, beside `openssl s_server`."""
    with server.running(Job(tls=True)) as running:
        time.sleep(scale.idle_s)
        for_s = max(2, int(3 * scale.idle_s))
        return {
            "tls13_full_per_s": handshakes_per_s(running.tls_port, "new", "tls1_3", for_s),
            "tls12_full_per_s": handshakes_per_s(running.tls_port, "new", "tls1_2", for_s),
            "tls12_resumed_per_s": handshakes_per_s(running.tls_port, "reuse", "tls1_2", for_s),
        }


def submission(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Submit over TLS with a login for each message, and commit, by either kind of certificate; delivery is stopped."""
    client = submissions.build(server.folder)
    return {
        "submitted_per_s": _submitted_per_s(server, client, scale, rsa=False),
        "submitted_rsa_per_s": _submitted_per_s(server, client, scale, rsa=True),
    }


def _submitted_per_s(server: Server, client: Path, scale: Scale, *, rsa: bool) -> float:
    with server.running(Job(deliver=False, submission=True, rsa=rsa)) as running:
        submissions.send(client, running.tls_port, running.recipient, PASSWORD, scale.warm_up)
        time.sleep(scale.idle_s)
        messages = scale.messages // 2
        return messages / submissions.send(client, running.tls_port, running.recipient, PASSWORD, messages)


def tls_sessions(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """Memory that one more idle session over TLS takes; a tenth as many, because the clients take more."""
    with server.running(Job(tls=True, sessions=2 * scale.sessions)) as running:
        send_and_await(running, scale.warm_up)
        asyncio.run(_shake_hands(running))
        time.sleep(scale.idle_s)
        return {"tls_session_bytes": asyncio.run(_session_bytes(running, scale, scale.sessions // 10, tls=True))}


def recipients(server: Server, sink: Sink, scale: Scale) -> Figures:
    """One message to very many: until its 250, and the rate of deliveries after that."""
    with (
        sink.running(Job()) as remote,
        server.running(Job(relay_port=remote.port, recipients=scale.recipients)) as running,
    ):
        send_and_await(running, scale.warm_up, remote)
        time.sleep(scale.idle_s)
        took_s = bulk.send(running.port, SINK_DOMAIN, scale.recipients)
        accepted_s = time.monotonic()
        limit_s = 60 + scale.recipients / 100
        ended_s = measure.wait_for_quiet(remote.delivered, 2, lambda: running.queued() == 0, limit_s)
    return {
        "recipients_accept_s": took_s,
        "recipients_per_s": scale.recipients / max(ended_s - accepted_s, 1e-3),
    }


def backlog(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """What a very long queue costs: memory of the process that keeps it, and speed of acceptance."""
    with server.running(Job(deliver=False)) as running:
        load.send(running.port, running.recipient, scale.warm_up)
        without = _accepted_per_s(running, scale)
    with server.running(Job(deliver=False, backlog=scale.backlog)) as running:
        load.send(running.port, running.recipient, scale.warm_up)
        slowed = _accepted_per_s(running, scale)
        held_bytes = measure.tree_pss_bytes(running.pid, "paperpath.queue")
    return {"backlog_bytes": held_bytes, "backlog_slowdown": without / slowed}


def sendmail(server: Server, _sink: Sink, scale: Scale) -> Figures:
    """One call of the `sendmail` program, with nothing else going on, against an empty Python."""
    with server.running(Job()) as running:
        send_and_await(running, scale.warm_up)
        time.sleep(scale.idle_s)
        return sendmail_program.measure(running, max(20, scale.messages // 50))


def send_and_await(running: Running, messages: int, remote: Running | None = None) -> tuple[float, float]:
    """Send mail and wait until all of it is delivered, to the mailbox or to `remote`.

    Return the moments (monotonic) of the last acceptance and of the last delivery.
    """
    goal = remote or running
    before = goal.delivered()
    accepted_s = load.send(running.port, goal.recipient, messages)
    wanted = before + messages
    return accepted_s, measure.wait_for_count(goal.delivered, wanted, load.limit_s(messages), "deliveries")


def _accepted_per_s(running: Running, scale: Scale) -> float:
    """Return the median rate of several rounds; unlike the others, this figure is compared within one turn."""
    rates = []
    for _ in range(_ROUNDS):
        began_s = time.monotonic()
        rates.append(scale.messages / (load.send(running.port, running.recipient, scale.messages) - began_s))
    return median(rates)


async def _shake_hands(running: Running) -> None:
    """Have the server bring in what the first handshakes need, which is megabytes of OpenSSL and not a session's."""
    async with idle_sessions(running.tls_port, 50, tls=True):
        pass


async def _session_bytes(running: Running, scale: Scale, count: int, *, tls: bool = False) -> float:
    before = measure.tree_pss_bytes(running.pid)
    async with idle_sessions(running.tls_port if tls else running.port, count, tls=tls):
        await asyncio.sleep(scale.idle_s)
        return (measure.tree_pss_bytes(running.pid) - before) / count


_ROUNDS: Final = 3

PAPERPATH: Final = "Paperpath"
POSTFIX: Final = "Postfix"
SINK: Final = "smtp-sink"
OPENSSL: Final = "openssl"

SCENARIOS: Final = (
    Scenario(name="accept", about="accept and commit", servers=(PAPERPATH, POSTFIX, SINK), measure=accept),
    Scenario(name="maildir", about="accept to synced Maildir", servers=(PAPERPATH, POSTFIX), measure=maildir),
    Scenario(name="users", about="to many system users", servers=(PAPERPATH, POSTFIX), measure=users, turns_most=3),
    Scenario(name="relay", about="accept to relay", servers=(PAPERPATH, POSTFIX), measure=relay),
    Scenario(name="idle", about="idle memory", servers=(PAPERPATH, POSTFIX), measure=idle),
    # Postfix holds a process per session, a hundred of them by default: it has no part in this.
    Scenario(name="sessions", about="idle sessions", servers=(PAPERPATH,), measure=sessions),
    Scenario(name="tls", about="TLS handshakes", servers=(PAPERPATH, OPENSSL), measure=tls),
    Scenario(name="submission", about="submission with TLS and AUTH", servers=(PAPERPATH, POSTFIX), measure=submission),
    Scenario(name="tls-sessions", about="idle sessions over TLS", servers=(PAPERPATH,), measure=tls_sessions),
    Scenario(
        name="recipients", about="one message to many", servers=(PAPERPATH, POSTFIX), measure=recipients, turns_most=3
    ),
    Scenario(name="backlog", about="a million deferred", servers=(PAPERPATH,), measure=backlog, turns_most=1),
    Scenario(name="sendmail", about="one sendmail call", servers=(PAPERPATH,), measure=sendmail),
)
