"""How a job is written into Paperpath's configuration."""

import tomllib

import pytest

from bench.paperpath import with_job, with_setting
from bench.peers import Job

PLAIN = 'hostname = "mx.test"\n'
FULL = (
    PLAIN + '[queue]  # the store\nengine = "sqlite"\nlocal_concurrency = 7\n\n[routes]\n"a.test" = "smtp://b.test"\n'
)


@pytest.mark.parametrize("text", [PLAIN, FULL, FULL.rstrip()])
def test_setting_is_added_or_replaced_and_the_rest_stays(text: str) -> None:
    was = tomllib.loads(text)
    now = tomllib.loads(with_setting(text, "queue", "local_concurrency", "0"))
    assert now["queue"].pop("local_concurrency") == 0
    was.get("queue", {}).pop("local_concurrency", None)
    assert now == was | {"queue": was.get("queue", {})}


def test_section_in_a_comment_is_not_the_section() -> None:
    assert tomllib.loads(with_setting("# [routes]\n", "routes", "a", "1")) == {"routes": {"a": 1}}


def test_job_becomes_settings() -> None:
    job = Job(deliver=False, relay_port=2626, sessions=5)
    config = tomllib.loads(with_job(FULL, job))
    assert config["queue"]["local_concurrency"] == 0
    assert config["routes"] == {"a.test": "smtp://b.test", "sink.test": "smtp://127.0.0.1:2626"}
    assert config["receive"]["sessions"] == 5


def test_plain_job_leaves_the_defaults() -> None:
    assert with_job(FULL, Job()) == FULL
