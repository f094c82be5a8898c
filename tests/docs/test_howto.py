"""How-to pages: the reasons for waiting are those that the queue gives, and the settings shown are taken."""

import re
from pathlib import Path

import pytest

from paperpath.config.load import parse
from tests.docs.pages import ROOT, Block, blocks, read, rows
from tests.service import Service, free_port, running_service

LATE = "late@closed.test"


def reasons() -> list[str]:
    """Return the reasons on the page, each up to where it names numbers or processes."""
    return [cells[0] for cells in rows(read("docs/howto/hold-and-retry.md"))]


def why(service: Service) -> str:
    """Return why the youngest message waits."""
    message = service.queue("list")[-1]
    (answer,) = service.queue("why", message["id"])
    return str(answer["reason"])


def test_reasons_for_waiting() -> None:
    held, _, _, deferred, down, no_process, _ = reasons()
    routes = {"closed.test": f"smtp://127.0.0.1:{free_port()}"}
    with running_service(settings={"routes": routes}) as service:
        service.send("from@there.test", [LATE], "Subject: x\n\ny\n")
        service.wait_for("delivery.deferred", recipient=LATE)
        assert why(service).startswith(deferred.removesuffix(" so many attempts"))
        service.send("from@there.test", [LATE], "Subject: the second waits for what the first found out\n\ny\n")
        assert down.removeprefix("the destination ") in why(service)
        service.run("queue", "hold", "--all")
        assert why(service) == held
        service.run("queue", "release", "--all")
        service.run("queue", "retry", "--all")
        service.wait_for("delivery.deferred", recipient=LATE, count=2)
        service.stop()
        service.configure({"queue": {"remote_concurrency": 0}})
        service.start()
        service.run("queue", "retry", "--all")
        assert why(service) == no_process


def test_settings_shown_are_taken() -> None:
    shown = [block.text for page in sorted((ROOT / "docs/howto").glob("*.md")) for block in _toml(page)]
    assert len(shown) >= 3
    for text in shown:
        parse(f'hostname = "mx.example.org"\n{text}', "/etc/paperpath/paperpath.toml")


def _toml(page: Path) -> list[Block]:
    return list(blocks(page.read_text("utf-8"), "toml"))


@pytest.mark.parametrize("page", sorted((ROOT / "docs").rglob("*.md")), ids=lambda page: page.name)
def test_verbs_of_make_exist(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)) <= verbs
