"""qmail-start and qmail-send: start the service where qmail's would start (qmail-interfaces 1.4).

    qmail-start [defaultdelivery [logger arg...]]

There is no queue of qmail's to be served, so the service stands in the place of qmail-send and its helpers: the same
boot scripts, the same logger, the same TERM and HUP.
"""

import os
import pwd

from paperpath.config.program_values import DEFAULT_DELIVERY_VARIABLE
from paperpath.inject.command import TEMPORARY
from paperpath.system import helpers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

_SERVE = ["-I", "-m", "paperpath", "serve"]
_LOG_USER = "qmaill"
_LOG, _OUTPUT, _FIRST_PIPE, _LAST_PIPE = 0, 1, 1, 6


def main(argv: list[str]) -> int:
    """Become the service; return 111 where that cannot be."""
    try:
        if os.path.basename(argv[0]) == "qmail-send":
            _be_qmail_send()
        words = [os.fsencode(word) for word in argv[1:]]
        if words:
            os.environb[DEFAULT_DELIVERY_VARIABLE.encode()] = words.pop(0)
        _serve(_start_logger(words) if words else _OUTPUT)
    except OSError:
        return TEMPORARY


def _serve(log: int) -> "NoReturn":
    """Become the service, its log on a descriptor.  Raises OSError."""
    os.dup2(log, 2)
    helpers.become_this_python(_SERVE)


def _be_qmail_send() -> "NoReturn":
    """As qmail's own qmail-start starts it: the log on descriptor 0, helpers on 1 to 6, which end when we let go."""
    log = _LOG if helpers.is_writable(_LOG) else 2
    os.dup2(log, 2)
    for descriptor in (1, *range(3, _LAST_PIPE + 1)):
        helpers.point_nowhere(descriptor)
    helpers.become_this_python(_SERVE)


def _start_logger(words: list[bytes]) -> int:
    """Start the logger as its own user, where there is one and we are root; return where it reads from."""

    def be() -> int:
        try:
            user = pwd.getpwnam(_LOG_USER)
            helpers.give_up_root_for(user.pw_uid, user.pw_gid)
        except KeyError:
            pass
        return helpers.become(words)

    return helpers.start_reader(be)
