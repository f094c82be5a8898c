"""What every process is told, and what several are."""

from collections.abc import Callable
from typing import TypedDict

from paperpath.config.schema import Config
from paperpath.system.users import own_uid


class CommonFields(TypedDict):
    """The fields of `process.settings.Common` that follow from the configuration alone."""

    hostname: str
    run: str
    log_as_json: bool


def common(config: Config) -> CommonFields:
    """Return what every process is told."""
    return {"hostname": config.hostname, "run": config.paths.run, "log_as_json": config.log.format == "json"}


def operator_users(uid: Callable[[str], int]) -> frozenset[int]:
    """Return the ids of those who may operate the service; ``uid`` names the user of a role."""
    return frozenset((0, own_uid(), uid("admin")))
