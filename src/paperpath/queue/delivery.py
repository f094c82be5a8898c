"""The one door into the queue, and the way of every recipient from there to its end.

Everything that becomes mail goes through ``admit``: submissions, forwards, reports.  Everything that an agent reports,
or fails to report, goes through ``_settle``: the outcome and what follows from it are one transaction.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence

from paperpath.base.ids import show_id
from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.base.terms import RecipientTerms
from paperpath.config.routing import remembering_route
from paperpath.message.report import ORIGINAL_MOST_BYTES
from paperpath.process.directory import Answer
from paperpath.process.settings import QueueSettings
from paperpath.queue.agent import Running
from paperpath.queue.contents import Contents
from paperpath.queue.endings import Ending, Settlement
from paperpath.queue.jobs import NO_TERMS, Admission, Consignment, Work, admit
from paperpath.queue.journal import NO_REPORT_ON_DOUBLE_BOUNCE, Journal
from paperpath.queue.local_agents import LocalAgents
from paperpath.queue.notices import forwarded, inherited, is_termed
from paperpath.queue.remote_agents import RemoteAgents
from paperpath.queue.retry import after_lost_agent
from paperpath.queue.schedule import Schedule
from paperpath.queue.settlement import (
    compose_report,
    put_off,
    settle_results,
    too_late,
    without_follow_up,
    without_virtual_prefix,
)
from paperpath.queue.window import Limits, Window
from paperpath.queue.writer import Writer
from paperpath.store.contract import StoreFull
from paperpath.system.chance import chance
from paperpath.system.clock import monotonic, now, now_microseconds
from paperpath.wire.accounts import Found, NotFound, Unknown
from paperpath.wire.delivery import Forward, Result

_SWEEP_S = 15.0
"""How often agents are looked through for those that idle or hang."""

_COMPOSE_AGAIN_S = 3600
"""How long a recipient waits whose report or forward could not be composed: a defect does not go away by itself."""

_SETTLE_AGAIN_S = 5.0
"""How long an outcome waits that could not be written because the disk is full; it is kept until it can."""

OnAdmitted = Callable[[Exception | None], None]


def limits_of(settings: QueueSettings) -> dict[str, Limits]:
    """Return the window's limits."""
    return {
        "local": Limits(settings.local_concurrency, settings.local_destination_concurrency),
        "remote": Limits(settings.remote_concurrency, settings.remote_destination_concurrency),
    }


class Deliveries:
    """Mail on its way: from the door through the agents to the outcome."""

    def __init__(
        self, settings: QueueSettings, writer: Writer, contents: Contents, journal: Journal, last_message: int
    ) -> None:
        self._settings, self._route = settings, remembering_route(settings.routing)
        self._writer, self._contents, self._journal = writer, contents, journal
        self.window = Window(limits_of(settings))
        self.window.shut("remote")
        self.schedule = Schedule(self.window, writer, journal, self._begin, settings.transaction_recipients)
        self._local = LocalAgents(settings.run, contents, self._reported, self._lost, self._without_worker)
        self._remote = RemoteAgents(contents, self._reported, self._lost, self._remote_changed)
        self._last_message = last_message
        self._draining = False
        self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._let_go)
        self._drained = asyncio.Event()
        self.window.on_idle = self._drained.set

    def configure(self, settings: QueueSettings) -> None:
        """Go over to other settings; what is under way stays as it is."""
        self._settings, self._route = settings, remembering_route(settings.routing)
        self.window.set_limits(limits_of(settings))
        self.schedule.transaction_recipients = settings.transaction_recipients
        self.schedule.look()

    def remote_connected(self, sock: socket.socket) -> None:
        """A `remote` process came."""
        self._remote.connected(sock)

    async def drain(self, grace_s: float) -> None:
        """Start nothing more; wait for what is under way, at most ``grace_s``; the rest is tried after the restart."""
        self._draining = True
        self.schedule.stop()
        self.window.shut("local")
        self.window.shut("remote")
        self._drained.clear()
        if self.window.under_way:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._drained.wait(), grace_s)

    def close(self) -> None:
        """Let the agents go."""
        self._sweep.cancel()
        self._draining = True
        self._local.close()
        self._remote.close()

    # In

    def new_message_id(self) -> int:
        """Return an id that was never used: the microsecond, or the next above the last."""
        self._last_message = max(self._last_message + 1, now_microseconds())
        return self._last_message

    def admit(
        self,
        consignment: Consignment,
        recipients: tuple[bytes, ...],
        origin: str,
        done: OnAdmitted,
        recipient_terms: Mapping[int, RecipientTerms] = NO_TERMS,
    ) -> None:
        """Store a message; ``done`` is called with None once it is durable, else with the reason."""
        admission = self._admission(consignment, recipients, origin, recipient_terms=recipient_terms)

        def stored(error: Exception | None) -> None:
            if error is None:
                self._journal.accepted(admission.message)
                self._set_out(admission)
            else:
                self._abandon(admission)
            done(error)

        self._writer.accept(admission.message, stored)

    def _admission(
        self,
        consignment: Consignment,
        recipients: tuple[bytes, ...],
        origin: str,
        shares: int = 0,
        recipient_terms: Mapping[int, RecipientTerms] = NO_TERMS,
    ) -> Admission:
        most = self._settings.transaction_recipients
        return admit(
            consignment,
            recipients,
            origin,
            self._route,
            self.window,
            most,
            shares=shares,
            recipient_terms=recipient_terms,
        )

    def _set_out(self, admission: Admission) -> None:
        if admission.held_until:
            self.schedule.wake(admission.held_until)
            return
        for work in admission.works:
            self._begin(work)
        for key in admission.waiting:
            self.window.wait(key, int(now()))
        if admission.waiting:
            self.schedule.pump()

    def _abandon(self, admission: Admission) -> None:
        for work in admission.works:
            self.window.end(work.key)

    # Out

    def _begin(self, work: Work) -> None:
        """Hand claimed work to its agent; its place in the window is taken already."""
        late = too_late(work, int(now())) if work.consignment.terms is not None else None
        if late is not None:
            self._settle(work, late, monotonic())
            return
        try:
            if work.key[0] == "local":
                self._local.deliver(work)
            else:
                self._remote.deliver(work, self._settings.routing)
        except OSError as error:
            self._put_off(work, str(error), monotonic())

    def _reported(self, running: Running, results: Sequence[Result]) -> None:
        work, moment = running.work, int(now())
        self._note_reachability(work, results, moment)
        settings = self._settings
        settlement = settle_results(work, results, settings.lifetime_s, running.began, moment, chance())
        self._settle(work, settlement, running.began_monotonic)

    def _note_reachability(self, work: Work, results: Sequence[Result], moment: int) -> None:
        if any(isinstance(result.outcome, Deferred) and result.outcome.destination_down for result in results):
            self.schedule.wake(self.window.mark_down(work.key, moment))
        else:
            self.window.mark_up(work.key)

    def _without_worker(self, work: Work, answer: Answer) -> None:
        """No worker took it: the recipient is nobody, does not exist any more, or could not be looked up."""
        outcome = _outcome_of(answer)
        results = [Result(recipient.number, outcome) for recipient in work.recipients]
        moment = int(now())
        settlement = settle_results(work, results, self._settings.lifetime_s, moment, moment, chance())
        self._settle(work, settlement, monotonic())

    def _lost(self, agent: str, running: Sequence[Running]) -> None:
        """An agent went with work under way: whether it was delivered will never be known."""
        if running and not self._draining:
            self._journal.agent_gone(agent, len(running))
        for one in running:
            self._put_off(one.work, f"the {agent} process ended during the delivery", one.began_monotonic)

    def _put_off(self, work: Work, reason: str, began: float) -> None:
        moment = int(now())
        attempts = max(recipient.attempts for recipient in work.recipients)
        due = after_lost_agent(work.key[0], work.consignment.released, moment, attempts, chance())
        self._settle(work, put_off(work, due, reason), began)

    def _remote_changed(self, there: bool) -> None:
        if there and not self._draining:
            self.window.unshut("remote")
            self.schedule.look()
        else:
            self.window.shut("remote")

    def _let_go(self) -> None:
        self._local.close_idle_and_hung()
        self._remote.close_hung()
        self._sweep = asyncio.get_running_loop().call_later(_SWEEP_S, self._let_go)

    # Settled

    def _settle(self, work: Work, settlement: Settlement, began: float) -> None:
        follow_up: list[Admission] = []
        report = ""
        try:
            report = self._follow_up(work, settlement, follow_up)
        except Exception as error:  # our own doing: it must bounce nothing, lose nothing, repeat nothing delivered
            self._journal.broken("composing what follows from an outcome", error)
            for admission in follow_up:
                self._abandon(admission)
            follow_up = []
            settlement = without_follow_up(settlement, int(now()) + _COMPOSE_AGAIN_S, "internal error")
        # The slot is free from here on: what is claimed for it shares the transaction that settles this.
        self.window.end(work.key)
        if not self._draining:
            self.schedule.pump()
        self._write(work, settlement, follow_up, report, began)

    def _write(
        self, work: Work, settlement: Settlement, follow_up: Sequence[Admission], report: str, began: float
    ) -> None:
        def written(ended: list[int] | Exception) -> None:
            if isinstance(ended, StoreFull):
                self._journal.room.lacks(str(ended))
                again = asyncio.get_running_loop().call_later
                again(_SETTLE_AGAIN_S, self._write, work, settlement, follow_up, report, began)
                return
            if isinstance(ended, Exception):
                # The rows stay claimed, so nothing is delivered twice by this process; the next opening frees them.
                self._journal.broken("settling an outcome", ended)
                for admission in follow_up:
                    self._abandon(admission)
                return
            self._journal.settled(work, settlement, report, bool(ended), monotonic() - began)
            for admission in follow_up:
                self._journal.accepted(admission.message)
                self._set_out(admission)
            for defer in settlement.defers:
                self.schedule.wake(defer.due)
                if work.consignment.terms is not None and work.consignment.terms.by_mode:
                    self.window.decide_at(work.key, defer.due, int(now()))

        messages = [admission.message for admission in follow_up]
        self._writer.settle(messages, settlement.defers, settlement.finishes, written)

    def _follow_up(self, work: Work, settlement: Settlement, admissions: list[Admission]) -> str:
        """Add the messages that the outcomes bring forth; return for the log the bounce's id or why there is none."""
        for ending in settlement.endings:
            for forward in ending.forwards:
                admissions.append(self._forward(work, ending, forward))
        said = ""
        for endings in settlement.reports:
            report = self._report(work.consignment, endings)
            if report is not None:
                admissions.append(report)
            if endings[0].action == "":
                said = show_id(report.message.message) if report else NO_REPORT_ON_DOUBLE_BOUNCE
        return said

    def _forward(self, work: Work, ending: Ending, forward: Forward) -> Admission:
        origin = work.consignment
        terms, recipient_terms = None, NO_TERMS
        if is_termed(work):
            address = without_virtual_prefix(ending.recipient.address, self._settings.routing)
            terms, recipient_terms = forwarded(work, ending, forward, address)
        consignment = Consignment(
            message=self.new_message_id(),
            sender=forward.sender,
            trace=forward.trace,
            content=origin.content,
            size=origin.size,
            birth=int(now()),
            smtputf8=origin.smtputf8,
            file=origin.file,
            terms=terms,
        )
        source = f"forward of {show_id(origin.message)}"
        return self._admission(consignment, forward.recipients, source, origin.message, recipient_terms)

    def _report(self, origin: Consignment, endings: Sequence[Ending]) -> Admission | None:
        settings = self._settings
        message = self.new_message_id()
        report = compose_report(
            origin,
            self._contents.head(origin.file, ORIGINAL_MOST_BYTES) if origin.file else origin.content,
            endings,
            hostname=(settings.bounce_host or settings.hostname).encode(),
            reporter=settings.bounce_local_part.encode(),
            double_to=settings.double_bounce_to.encode(),
            table=settings.routing,
            lifetime_s=settings.lifetime_s,
            now=int(now()),
            token=show_id(message),
        )
        if report is None:
            return None
        consignment = Consignment(
            message=message,
            sender=report.sender,
            trace=b"",
            content=report.content,
            size=len(report.content),
            birth=int(now()),
            smtputf8=not report.recipient.isascii(),
            file="",
            terms=inherited(origin.terms),
        )
        return self._admission(consignment, (report.recipient,), f"report on {show_id(origin.message)}")


def _outcome_of(answer: Answer) -> Outcome:
    """Return what an answer about a recipient comes to where no worker is needed for it."""
    match answer:
        case NotFound():
            return Failed("no mailbox here by that name", code="1.1")
        case Unknown(reason=reason, ours=ours):
            return Deferred(reason, code="3.0", ours=ours)
        case Found():
            return Delivered("mail for an empty local part is thrown away")
