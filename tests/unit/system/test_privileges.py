"""Bounds on resources, tried by children that bound themselves."""

from tests.unit.system.children import run_child


def test_limits_hold_and_cannot_be_raised() -> None:
    told = run_child(
        """
import resource as r
from paperpath.system.privileges import limit_resources
if os.geteuid() == 0:
    os.setresuid(65534, 65534, 65534)
got = limit_resources(files=64, address_space=1 << 40)
more = limit_resources(files=100, address_space=1 << 40)
tell(
    got=got, more=more, files=r.getrlimit(r.RLIMIT_NOFILE), core=r.getrlimit(r.RLIMIT_CORE),
    space=r.getrlimit(r.RLIMIT_AS), too_many=attempt(lambda: [os.dup(0) for _ in range(64)]),
)
"""
    )
    assert told == {
        "got": 64,
        "more": 64,
        "files": [64, 64],
        "core": [0, 0],
        "space": [1 << 40, 1 << 40],
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
