"""Processes are killed under load: nothing that was acknowledged is lost, and the log knows of every duplicate."""

import os
import random
import signal

import pytest

from tests.crash.service_load import Load, check_nothing_lost, empty_the_queue, owned_up, send_by_lmtp, send_by_qmtp
from tests.service import Service, free_port, running_service
from tests.sink import Sink, running_sink

pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(150)]

ALICE, BOB, FAR = "alice@here.test", "bob@here.test", "far@sink.test"
RECIPIENTS = (ALICE, BOB, FAR)
VICTIMS = ("receive", "queue", "local", "local.worker_main", "remote")


def delivered(service: Service, sink: Sink) -> list[bytes]:
    """Return everything that arrived anywhere."""
    mailboxes = [path.read_bytes() for name in (ALICE, BOB) for path in service.messages(name)]
    return mailboxes + sink.contents


def kill_one(service: Service, dice: random.Random) -> str:
    """Kill one process of the service, but the supervisor; return what it was."""
    living = service.processes()
    role = dice.choice([role for role in VICTIMS if role in living.values()])
    pid = dice.choice(sorted(pid for pid, module in living.items() if module == role))
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    return role


def test_processes_killed_one_by_one() -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    print(f"seed {seed}")
    with running_sink() as sink:
        routes = {"routes": {"sink.test": sink.route}}
        with running_service(accounts=[ALICE, BOB], settings=routes) as service, Load(service, RECIPIENTS) as load:
            for _ in range(12):
                load.wait_for(len(load.acknowledged) + dice.randrange(10, 50))
                print(f"{len(load.acknowledged)} acknowledged; killed {kill_one(service, dice)}")
            load.wait_for(len(load.acknowledged) + 50)
            load.stop()
            empty_the_queue(service)
            check_nothing_lost(load, delivered(service, sink), service)
            assert load.failures, "no kill hit a session: the test is too gentle"
            service.stop()


def test_all_killed_at_once_and_started_again() -> None:
    with running_sink() as sink:
        routes = {"routes": {"sink.test": sink.route}}
        with running_service(accounts=[ALICE, BOB], settings=routes) as service, Load(service, RECIPIENTS) as load:
            for _ in range(3):
                load.wait_for(len(load.acknowledged) + 60)
                load.serving.clear()
                service.kill()
                service.start()
                load.serving.set()
            load.stop()
            empty_the_queue(service)
            check_nothing_lost(load, delivered(service, sink), service)
            service.stop()


@pytest.mark.parametrize("spoken", ["qmtp", "lmtp"])
def test_killed_under_other_services(spoken: str) -> None:
    """``K`` and LMTP's ``250`` are worth what SMTP's is."""
    dice = random.Random(spoken)
    with running_service(accounts=[ALICE, BOB], start=False) as service:
        port, path = free_port(), str(service.folder / "lmtp")
        address = f"127.0.0.1:{port}" if spoken == "qmtp" else f"unix:{path}"
        service.configure({"listen": [{"service": spoken, "address": address}]})
        service.start()

        def send(recipient: str, number: int) -> None:
            if spoken == "qmtp":
                send_by_qmtp(port, recipient, number)
            else:
                send_by_lmtp(path, recipient, number)

        with Load(service, (ALICE, BOB), send=send) as load:
            for _ in range(4):
                load.wait_for(len(load.acknowledged) + dice.randrange(10, 50))
                kill_one(service, dice)
            load.wait_for(len(load.acknowledged) + 30)
            load.serving.clear()
            service.kill()
            service.start()
            load.serving.set()
            load.wait_for(len(load.acknowledged) + 30)
            load.stop()
            empty_the_queue(service)
            mailboxes = [path.read_bytes() for name in (ALICE, BOB) for path in service.messages(name)]
            check_nothing_lost(load, mailboxes, service)
            assert load.failures, "no kill hit a session: the test is too gentle"
            service.stop()


def test_supervisor_killed_alone_takes_the_others_with_it() -> None:
    with running_sink() as sink:
        routes = {"routes": {"sink.test": sink.route}}
        with running_service(accounts=[ALICE, BOB], settings=routes) as service, Load(service, RECIPIENTS) as load:
            load.wait_for(100)
            load.serving.clear()
            service.signal(signal.SIGKILL)
            service.ended(-signal.SIGKILL)
            service.start()
            load.serving.set()
            load.wait_for(len(load.acknowledged) + 50)
            load.stop()
            empty_the_queue(service)
            check_nothing_lost(load, delivered(service, sink), service)
            service.stop()


def test_stopped_under_load() -> None:
    with running_sink() as sink:
        routes = {"routes": {"sink.test": sink.route}}
        with running_service(accounts=[ALICE, BOB], settings=routes) as service, Load(service, RECIPIENTS) as load:
            for _ in range(2):
                load.wait_for(len(load.acknowledged) + 100)
                load.serving.clear()
                service.stop()
                service.start()
                load.serving.set()
            load.stop()
            empty_the_queue(service)
            check_nothing_lost(load, delivered(service, sink), service)
            assert owned_up(service) == 0
            service.stop()
