"""The supervisor is killed and started again while the processes of before still finish what is under way."""

import subprocess
import threading

import pytest

from tests.service import running_service
from tests.sink import running_sink

pytestmark = [pytest.mark.crash, pytest.mark.timeout(90)]

FAR = "far@sink.test"


def test_second_queue_waits_for_the_first() -> None:
    content_came, go_on = threading.Event(), threading.Event()

    def verdict(verb: str, _address: str) -> str:
        if verb == ".":
            content_came.set()
            go_on.wait(60)
        return ""

    with running_sink() as sink, running_service(settings={"routes": {"sink.test": sink.route}}) as service:
        sink.verdict = verdict
        service.send("from@there.test", [FAR], "Subject: x\n\ny\n")
        assert content_came.wait(60)
        service.kill_supervisor()
        starting = threading.Thread(target=service.start)
        starting.start()
        service.wait_for("storage.unusable")
        service.wait_for("process.ended", role="queue")
        words = [*service.program, "doctor", "--no-dns", "--config", str(service.config)]
        said = subprocess.run(words, capture_output=True, text=True, timeout=10)
        assert "process queue: keeps ending: exit 111: " in said.stdout, said.stdout
        assert said.returncode == 111
        go_on.set()
        service.wait_for("delivery.delivered", recipient=FAR)
        starting.join()
        opened = service.wait_for("queue.opened", count=2)
        assert (opened["messages"], opened["interrupted"], len(sink.taken)) == (0, 0, 1)
        service.stop()
