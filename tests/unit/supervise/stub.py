"""A process that the supervisor starts, played: ``python stub.py BEHAVIOUR FD``.

``ready`` takes all settings, ``rejects`` none, ``once``, ``twice`` and ``thrice`` the first; ``late`` is as ``thrice``
but answers the second with the third only; ``picky`` takes ``good`` alone and ends where it is told others first;
``dies`` ends at once with status 3; ``stays`` takes settings and ignores that it is to drain.  What it was told last is
in its answers' reasons; ``late`` and ``thrice`` tell all.
"""

import socket
import sys

import msgspec

from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.supervision import Configure, Drain, FromSupervisor, Listener, Ready, Rejected

TAKEN = {"once": 1, "twice": 2, "thrice": 3, "late": 3}
"""How many of the settings that it is told each takes."""


def main(behaviour: str, descriptor: int) -> int:
    """Play the part; return the exit status."""
    if behaviour == "dies":
        return 3
    decode = msgspec.msgpack.Decoder(FromSupervisor).decode
    frames, names, told, configured = FrameBuffer(), list[str](), list[str](), 0
    with socket.socket(fileno=descriptor) as control:
        while data := control.recv(65536):
            for body in frames.feed(data):
                frame = decode(body)
                if isinstance(frame, Listener):
                    names.append(frame.name)
                elif isinstance(frame, Configure):
                    configured += 1
                    told.append(frame.settings.decode())
                    takes = behaviour in ("ready", "stays") or configured <= TAKEN.get(behaviour, 0)
                    takes = takes or (behaviour == "picky" and told[-1] == "good")
                    reason = " ".join(told) if TAKEN.get(behaviour) == 3 else f"{told[-1]} on {' '.join(names)}"
                    if not (behaviour == "late" and configured == 2):
                        control.sendall(encode(Ready() if takes else Rejected(reason)))
                    if behaviour == "late" and configured == 3:
                        control.sendall(encode(Ready()))
                    if behaviour == "picky" and configured == 1 and not takes:
                        return 111
                    names.clear()
                elif isinstance(frame, Drain) and behaviour != "stays":
                    return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
