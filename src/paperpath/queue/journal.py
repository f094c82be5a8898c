"""What the queue writes to the log."""

from paperpath.base.ids import show_id
from paperpath.base.outcome import Deferred, Delivered, Outcome
from paperpath.base.text import describe, one_line, show
from paperpath.process.room import Room
from paperpath.queue.endings import Ending, Settlement
from paperpath.queue.jobs import Work
from paperpath.store.contract import Interrupted, NewMessage
from paperpath.system.clock import now
from paperpath.telemetry import events
from paperpath.telemetry.event import Event
from paperpath.telemetry.log import Log

NO_REPORT_ON_DOUBLE_BOUNCE = "none: a report on a report on a report is dropped"
_NOT_WANTED = "none: the sender asked for no report of failure"


class Journal:
    """One line for everything that happens to a message, written once it is durable."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.room = Room(log)

    def accepted(self, message: NewMessage) -> None:
        """A message is in."""
        self.room.is_there()
        self.log.emit(
            events.MessageAccepted(
                message=show_id(message.message),
                sender=show(message.sender),
                recipients=len(message.recipients),
                size_bytes=message.size,
                origin=message.origin,
            )
        )

    def settled(self, work: Work, settlement: Settlement, report: str, done: bool, duration_s: float) -> None:
        """One line a recipient of a job, and one for the message where it is done."""
        for ending in settlement.endings:
            self.log.emit(_ending(work, ending, report, duration_s))
        message = show_id(work.consignment.message)
        for ending in settlement.endings:
            if ending.is_withheld:
                self.log.emit(
                    events.ReportWithheld(
                        message=message,
                        recipient=show(ending.recipient.address),
                        notify=ending.recipient.terms.notify if ending.recipient.terms else "",
                        text=one_line(ending.outcome.text),
                    )
                )
        if report == NO_REPORT_ON_DOUBLE_BOUNCE:
            for ending in settlement.failures:
                recipient, text = show(ending.recipient.address), one_line(ending.outcome.text)
                self.log.emit(events.BounceDropped(message=message, recipient=recipient, text=text))
        if done:
            age = max(0, int(now()) - work.consignment.birth)
            self.log.emit(events.MessageDone(message=message, age_s=age))

    def agent_gone(self, agent: str, jobs: int) -> None:
        """An agent ended with work under way."""
        self.log.emit(events.AgentGone(agent=agent, jobs=jobs))

    def interrupted(self, delivery: Interrupted) -> None:
        """A delivery of the process before this one may happen twice."""
        self.log.emit(
            events.DeliveryInterrupted(
                message=show_id(delivery.message),
                recipient=show(delivery.address),
                destination=delivery.destination,
            )
        )

    def broken(self, where: str, error: BaseException) -> None:
        """A defect of ours."""
        self.log.emit(events.ProcessBroken(where=where, error=describe(error)))


def _ending(work: Work, ending: Ending, report: str, duration_s: float) -> Event:
    outcome: Outcome = ending.outcome
    message, recipient = show_id(work.consignment.message), show(ending.recipient.address)
    channel, destination = work.key
    text = one_line(outcome.text)
    if isinstance(outcome, Delivered):
        return events.Delivered(
            message=message,
            recipient=recipient,
            channel=channel,
            destination=destination,
            host=outcome.host or None,
            duration_s=duration_s,
            text=text,
        )
    if isinstance(outcome, Deferred):
        return events.DeliveryDeferred(
            message=message,
            recipient=recipient,
            channel=channel,
            destination=destination,
            host=outcome.host or None,
            status=outcome.status,
            attempts=ending.recipient.attempts + 1,
            next_s=max(0, ending.due - int(now())),
            duration_s=duration_s,
            text=text,
        )
    return events.DeliveryFailed(
        message=message,
        recipient=recipient,
        channel=channel,
        destination=destination,
        host=outcome.host or None,
        status=outcome.status,
        duration_s=duration_s,
        report=_NOT_WANTED if ending.is_withheld else report,
        text=text,
    )
