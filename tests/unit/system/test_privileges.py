"""Bounds on resources, tried by children that bound themselves."""

from tests.unit.system.children import run_child


def test_limits_hold_and_cannot_be_raised() -> None:
    told = run_child(
        """
import resource as r
from paperpath.system.privileges import limit_resources
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
limit_resources(64)
limit_resources(100)
tell(
    files=r.getrlimit(r.RLIMIT_NOFILE), core=r.getrlimit(r.RLIMIT_CORE),
    too_many=attempt(lambda: [os.dup(0) for _ in range(64)]),
)
"""
    )
    assert told == {
        "files": [64, 64],
        "core": [0, 0],
        "too_many": "EMFILE",
    }


def test_file_limit_goes_up_to_what_is_allowed() -> None:
    told = run_child(
        """
import resource as r
from paperpath.system.privileges import raise_file_limit
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
r.setrlimit(r.RLIMIT_NOFILE, (50, 100))
raise_file_limit(200)
tell(files=r.getrlimit(r.RLIMIT_NOFILE))
"""
    )
    assert told == {"files": [100, 100]}
