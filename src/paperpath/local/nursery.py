"""The nursery: copies itself into workers of system users.  ``python -I -m paperpath.local.nursery FD``.

Runs as: root, since its copies become other users.  Holds: nothing; all that a worker needs is loaded, and none of
it is used here.  Reads: `local`'s requests, and no mail, no file and no address.  Believes: `local`, which started
it and has the other end of FD.  It is there from the first worker of a system user on, and ends with `local`.
"""

import gc
import os
import select
import socket
import sys
from collections.abc import Callable

import msgspec

from paperpath.local import worker_main
from paperpath.system.forking import fork_as
from paperpath.system.spawn import heed_interrupts
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.nursery import Grown, NotReared, Rear, Reared

FRAME_MOST_BYTES = 256 * 1024
_READ_BYTES = 64 * 1024
_DESCRIPTORS_MOST = 16


class Nursery:
    """One conversation, and the workers that came of it."""

    def __init__(self, control: socket.socket, work: Callable[[list[str]], None]) -> None:
        self._control, self._work = control, work
        self._decode = msgspec.msgpack.Decoder(Rear).decode
        self._frames = FrameBuffer(FRAME_MOST_BYTES)
        self._descriptors: list[int] = []
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._living: dict[int, int] = {}
        """Process ids by pidfd."""

    def run(self) -> None:
        """Serve until `local` hangs up."""
        while True:
            for ready, _ in self._poll.poll():
                if ready in self._living:
                    self._reap(ready)
                elif not self._hear():
                    return

    def _hear(self) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, _READ_BYTES, _DESCRIPTORS_MOST)
        self._descriptors += descriptors
        for body in self._frames.feed(data) if data else ():
            self._rear(self._decode(body), self._descriptors.pop(0))
        return bool(data)

    def _rear(self, asked: Rear, descriptor: int) -> None:
        title = "\0".join(["paperpath", "-m", "paperpath.local.worker_main", "3", *asked.arguments[:2]])
        try:
            pid = fork_as(asked.uid, asked.gid, asked.environment, descriptor, self._be(asked), title)
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            self._control.sendall(encode(NotReared(asked.ticket, error.strerror or str(error))))
            return
        finally:
            os.close(descriptor)
        self._living[pidfd] = pid
        self._poll.register(pidfd, select.POLLIN)
        socket.send_fds(self._control, [encode(Reared(asked.ticket, pid))], [pidfd])

    def _be(self, asked: Rear) -> Callable[[int], None]:
        return lambda descriptor: self._work([str(descriptor), *asked.arguments])

    def _reap(self, pidfd: int) -> None:
        pid = self._living.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._control.sendall(encode(Grown(pid, status)))


def main() -> None:
    """Load what a worker needs, and serve."""
    heed_interrupts()
    import uvloop  # noqa: F401  (its copies run on it)

    gc.collect()
    gc.freeze()
    Nursery(socket.socket(fileno=int(sys.argv[1])), worker_main.main).run()


if __name__ == "__main__":
    main()
