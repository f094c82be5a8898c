"""A process that the supervisor starts, played: ``python stub.py BEHAVIOUR FD``.

``ready`` takes all settings, ``rejects`` none, ``once`` the first only; ``dies`` ends at once with status 3; ``stays``
takes settings and ignores that it is to drain.  What it was told last is in its answers' reasons.
"""

import socket
import sys

import msgspec

from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.supervision import Configure, Drain, FromSupervisor, Listener, Ready, Rejected


def main(behaviour: str, descriptor: int) -> int:
    """Play the part; return the exit status."""
    if behaviour == "dies":
        return 3
    decode = msgspec.msgpack.Decoder(FromSupervisor).decode
    frames, names, configured = FrameBuffer(), list[str](), 0
    with socket.socket(fileno=descriptor) as control:
        while data := control.recv(65536):
            for body in frames.feed(data):
                frame = decode(body)
                if isinstance(frame, Listener):
                    names.append(frame.name)
                elif isinstance(frame, Configure):
                    configured += 1
                    takes = behaviour in ("ready", "stays") or (behaviour == "once" and configured == 1)
                    reason = f"{frame.settings.decode()} on {' '.join(names)}"
                    control.sendall(encode(Ready() if takes else Rejected(reason)))
                    names.clear()
                elif isinstance(frame, Drain) and behaviour != "stays":
                    return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
