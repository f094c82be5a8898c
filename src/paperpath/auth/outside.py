"""`auth.outside`: asks PAM and checkpassword programs, for `auth`, which may start no programs.

Runs as: ``[auth] helper_user``.  Reads and writes: what PAM's modules and the program do.  Believes: the kernel, about
who is asking.  Whoever takes it over has that user's rights, and the passwords that go through here.  It never reads
the network: what comes has been cut into a name and a password by `auth`.

A few questions are under way at once, each in a thread; PAM's modules run in processes of their own, which are ended
when they take too long, and started again when they broke.
"""

import signal
import socket

import msgspec

from paperpath.auth.answering import Answering
from paperpath.process.child import Listeners, run_role
from paperpath.process.settings import OutsideSettings
from paperpath.system.checkpassword import ASKED_MOST_BYTES, CheckpasswordError, run_checkpassword
from paperpath.system.spawn import Process, spawn_with_socket
from paperpath.telemetry.log import Log
from paperpath.wire.frame import FrameBuffer, encode
from paperpath.wire.outside import OUTSIDE_FRAME_MOST_BYTES, Checked, CheckOutside, JudgePam, ToOutside

_ANSWER_BEFORE_S = 0.5
"""How long before `auth` gives up the answer that it took too long is given."""

_GONE_WITHIN_S = 5.0


class PamProcess:
    """A process that asks PAM for one thread; made when it is needed, and again after it was ended."""

    def __init__(self) -> None:
        self._process: Process | None = None
        self._conversation: socket.socket
        self._decode = msgspec.msgpack.Decoder(Checked).decode

    def ask(self, question: JudgePam, timeout_s: float) -> Checked:
        """Return what PAM says.  Blocks, at most so long."""
        try:
            self._start()
            self._conversation.settimeout(timeout_s)
            self._conversation.sendall(encode(question))
            return self._answer()
        except TimeoutError:
            self.end()
            return Checked(0, "unknown", reason="PAM took too long")
        except (OSError, ValueError) as error:
            self.end()
            return Checked(0, "unknown", reason=f"the process that asks PAM broke: {error}")

    def end(self) -> None:
        """Let the process go, by force."""
        process, self._process = self._process, None
        if process is not None:
            self._conversation.close()
            process.send_signal(signal.SIGKILL)
            process.wait(_GONE_WITHIN_S)

    def _start(self) -> None:
        if self._process is None:
            self._process, self._conversation = spawn_with_socket("paperpath.auth.pam", (), None)

    def _answer(self) -> Checked:
        frames = FrameBuffer(OUTSIDE_FRAME_MOST_BYTES)
        while data := self._conversation.recv(OUTSIDE_FRAME_MOST_BYTES):
            for body in frames.feed(data):
                return self._decode(body)
        raise ValueError("it ended")


class OutsideRole:
    """The process between its first settings and its end."""

    def __init__(self, _log: Log) -> None:
        self._answering = Answering[CheckOutside](ToOutside, "outside")
        self._pam: list[PamProcess] = []

    async def configure(self, settings: OutsideSettings, listeners: Listeners) -> None:
        """Ask by these settings from now on."""
        self._answering.serve(listeners, settings.client_users, lambda asked: self._judge(asked, settings))

    async def drain(self, grace_s: float) -> None:
        """Nobody waits any more: `auth` ended before."""
        self._answering.close()
        for process in self._pam:
            process.end()

    def _judge(self, frame: CheckOutside, settings: OutsideSettings) -> Checked:
        """In a thread.  Raises nothing."""
        timeout_s = max(_ANSWER_BEFORE_S, settings.timeout_s - _ANSWER_BEFORE_S)
        if frame.how == "pam":
            return self._judge_by_pam(frame, settings, timeout_s)
        if frame.how == "checkpassword" and settings.checkpassword:
            return _judge_by_program(frame, settings, timeout_s)
        return Checked(0, "unknown", reason=f"{frame.how} is not configured")

    def _judge_by_pam(self, frame: CheckOutside, settings: OutsideSettings, timeout_s: float) -> Checked:
        process = self._pam.pop() if self._pam else PamProcess()
        try:
            return process.ask(JudgePam(settings.pam_service, frame.name, frame.password, frame.peer), timeout_s)
        finally:
            self._pam.append(process)


def _judge_by_program(frame: CheckOutside, settings: OutsideSettings, timeout_s: float) -> Checked:
    asked = b"\0".join((frame.name.encode(), frame.password, b"", b""))
    if len(asked) > ASKED_MOST_BYTES:
        return Checked(0, "no", reason="name and password are too long")
    try:
        right = run_checkpassword(settings.checkpassword, asked, timeout_s)
    except CheckpasswordError as error:
        return Checked(0, "unknown", reason=f"checkpassword: {error.strerror}")
    return Checked(0, "yes", account=frame.name.lower()) if right else Checked(0, "no", reason="wrong password")


if __name__ == "__main__":
    # Not confined: PAM's modules and the program may need anything.  Its user binds it.
    run_role("auth-outside", OutsideSettings, OutsideRole, confined=False)
