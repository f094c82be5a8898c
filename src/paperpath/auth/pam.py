"""A process that asks PAM, one question after the other; `auth.outside` ends it where it takes too long.

Started as ``python -I -m paperpath.auth.pam FD``; on FD come `JudgePam` frames, and go `Checked`.
"""

import socket
import sys

import msgspec

from paperpath.system.pam import PamError, check_password
from paperpath.system.spawn import heed_interrupts
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.outside import OUTSIDE_FRAME_MOST_BYTES, Checked, JudgePam


def judge(question: JudgePam) -> Checked:
    """Ask PAM."""
    try:
        account, reason = check_password(question.service, question.name, question.password, question.peer)
    except PamError as error:
        return Checked(0, "unknown", reason=f"PAM: {error.strerror}")
    if account is None:
        return Checked(0, "no", reason=reason)
    return Checked(0, "yes", account=account)


def main() -> None:
    """Serve until the other side hangs up."""
    heed_interrupts()
    conversation = socket.socket(fileno=int(sys.argv[1]))
    frames = FrameBuffer(OUTSIDE_FRAME_MOST_BYTES)
    decode = msgspec.msgpack.Decoder(JudgePam).decode
    while data := conversation.recv(OUTSIDE_FRAME_MOST_BYTES):
        for body in frames.feed(data):
            conversation.sendall(encode(judge(decode(body))))


if __name__ == "__main__":
    main()
