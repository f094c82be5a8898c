"""Where messages come in: the conversations with `receive` and whoever else brings mail.

A message is answered once it is durable, and not before.  What a submitter sends is checked as if it came from the
network: out-of-bounds input ends that conversation.
"""

import asyncio
import errno
import os
import socket

from paperpath.base.ids import show_id
from paperpath.base.limits import ENVELOPE_MOST_BYTES, INLINE_CONTENT_BYTES
from paperpath.base.terms import check_message_terms, check_recipient_terms
from paperpath.base.text import one_line
from paperpath.queue.contents import Contents
from paperpath.queue.delivery import Deliveries
from paperpath.queue.envelope import check_envelope
from paperpath.queue.jobs import Consignment
from paperpath.queue.journal import Journal
from paperpath.store.contract import StoreFull
from paperpath.system.channel import Channel
from paperpath.system.clock import now
from paperpath.wire.frame import Hello
from paperpath.wire.intake import Accepted, FromSubmitter, NotAccepted, Submit


def check(submit: Submit) -> None:
    """Raise ValueError where a submission breaks a bound."""
    check_envelope(submit.sender, submit.recipients, submit.trace)
    if submit.terms is not None:
        check_message_terms(submit.terms)
    for number, terms in submit.recipient_terms.items():
        if not 0 <= number < len(submit.recipients):
            raise ValueError("terms of nobody")
        check_recipient_terms(terms)
    originals = sum(len(terms.original) for terms in submit.recipient_terms.values())
    if originals > ENVELOPE_MOST_BYTES:
        raise ValueError("envelope too large")
    if submit.attached != (submit.size > INLINE_CONTENT_BYTES) or (
        len(submit.content) != (0 if submit.attached else submit.size)
    ):
        raise ValueError("content size")


class Intake:
    """The conversations that bring mail."""

    def __init__(self, deliveries: Deliveries, contents: Contents, journal: Journal) -> None:
        self._deliveries, self._contents, self._journal = deliveries, contents, journal
        self._channels: set[Channel] = set()
        self._copies: set[asyncio.Task[None]] = set()

    def connected(self, sock: socket.socket) -> None:
        """Somebody who may submit came."""

        def frame(submit: Hello | Submit, descriptor: int | None) -> None:
            if isinstance(submit, Submit):
                self._submitted(channel, submit, descriptor)

        channel = Channel(sock, FromSubmitter, frame, lambda _: self._channels.discard(channel))
        self._channels.add(channel)

    def close(self) -> None:
        """Take nothing more."""
        for channel in list(self._channels):
            channel.close()

    def _submitted(self, channel: Channel, submit: Submit, descriptor: int | None) -> None:
        try:
            check(submit)
        except ValueError:
            if descriptor is not None:
                os.close(descriptor)
            raise
        message = self._deliveries.new_message_id()
        if descriptor is None:
            self._admit(channel, submit, message, "")
        else:
            task = asyncio.create_task(self._copy_and_admit(channel, submit, message, descriptor))
            self._copies.add(task)
            task.add_done_callback(self._copies.discard)

    async def _copy_and_admit(self, channel: Channel, submit: Submit, message: int, descriptor: int) -> None:
        name = show_id(message)
        try:
            await asyncio.to_thread(self._contents.take, name, descriptor, submit.size)
        except Exception as error:  # whatever it is: who handed it in waits for an answer
            self._refuse(channel, submit, error)
        else:
            self._admit(channel, submit, message, name)
        finally:
            os.close(descriptor)

    def _admit(self, channel: Channel, submit: Submit, message: int, file: str) -> None:
        consignment = Consignment(
            message=message,
            sender=submit.sender,
            trace=submit.trace,
            content=submit.content,
            size=submit.size,
            birth=int(now()),
            smtputf8=submit.smtputf8,
            file=file,
            terms=submit.terms,
        )

        def done(error: Exception | None) -> None:
            if error is None:
                channel.send(Accepted(submit.ticket, message))
                return
            if file:
                self._contents.discard(file)
            self._refuse(channel, submit, error)

        try:
            origin = one_line(submit.origin, 200)
            self._deliveries.admit(consignment, submit.recipients, origin, done, submit.recipient_terms)
        except Exception as error:  # a defect of ours, in routing perhaps: this message waits outside, others go on
            done(error)

    def _refuse(self, channel: Channel, submit: Submit, error: Exception) -> None:
        full = isinstance(error, StoreFull) or (
            isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        )
        if full:
            self._journal.room.lacks(str(error), refused=1)
        else:
            self._journal.broken("accepting a message", error)
        channel.send(NotAccepted(submit.ticket, full))
