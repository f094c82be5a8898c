"""Every event that Paperpath logs, declared once.

`docs/reference/events.md` is printed from these declarations.  Addresses and other bytes from strangers are
put in through `base.text.show`, so a line stays a line.  ``message`` is the queue's id as `base.ids.show_id`
writes it.
"""

from typing import ClassVar

from paperpath.telemetry.event import Event, Level


class ServiceReady(Event, frozen=True):
    """All processes are up and the listening sockets are open."""

    name: ClassVar[str] = "service.ready"
    level: ClassVar[Level] = "notice"
    listeners: str
    privileges: str
    """``separate users`` or ``all as USER``."""


class ServiceStopping(Event, frozen=True):
    """The supervisor was asked to stop; what is under way is finished first."""

    name: ClassVar[str] = "service.stopping"
    level: ClassVar[Level] = "notice"
    signal: str


class ServiceStopped(Event, frozen=True):
    """Everything has ended."""

    name: ClassVar[str] = "service.stopped"
    level: ClassVar[Level] = "notice"
    duration_s: float


class ServiceReloaded(Event, frozen=True):
    """The configuration was read again and is in force in every process."""

    name: ClassVar[str] = "service.reloaded"
    level: ClassVar[Level] = "notice"
    file: str


class ReloadRefused(Event, frozen=True):
    """The new configuration is not usable; the former stays in force."""

    name: ClassVar[str] = "service.reload-refused"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Mend the file (`paperpath check-config` names the line), then send HUP again."
    reason: str


class RetryRefused(Event, frozen=True):
    """The queue could not be asked to try everything now (ALRM)."""

    name: ClassVar[str] = "service.retry-refused"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "`paperpath queue retry --all` does the same; the log tells what is wrong with the queue."
    reason: str


class CertificatesReloaded(Event, frozen=True):
    """A certificate or key file changed, and what is in the files now is shown to every new session."""

    name: ClassVar[str] = "tls.reloaded"
    level: ClassVar[Level] = "notice"
    certificate: str


class CertificatesRefused(Event, frozen=True):
    """A certificate or key file changed, and what is in the files now cannot be used; the former ones stay."""

    name: ClassVar[str] = "tls.reload-refused"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Put a certificate and its key in place (`paperpath tls` looks at them); it is noticed."
    reason: str


class ProcessStarted(Event, frozen=True):
    """The supervisor started a process."""

    name: ClassVar[str] = "process.started"
    role: str
    pid: int


class ProcessEnded(Event, frozen=True):
    """A process ended without being asked to; it is started again after ``restart_s``."""

    name: ClassVar[str] = "process.ended"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Nothing accepted is lost. If it repeats, the lines before this one say why."
    role: str
    pid: int
    how: str
    restart_s: float


class SettingsRejected(Event, frozen=True):
    """A process that was started cannot work with its settings; it ends and is started again, later each time."""

    name: ClassVar[str] = "process.settings-rejected"
    level: ClassVar[Level] = "alert"
    advice: ClassVar[str] = "What this process does is not done meanwhile: mend what the reason names, then send HUP."
    role: str
    reason: str


class ProcessBroken(Event, frozen=True):
    """An error that this program does not expect; the process ends or drops what it was doing."""

    name: ClassVar[str] = "process.broken"
    level: ClassVar[Level] = "alert"
    advice: ClassVar[str] = "This is a defect of Paperpath: please report the line."
    where: str
    error: str


class SessionClosed(Event, frozen=True):
    """The one line of a session with a client."""

    name: ClassVar[str] = "session.closed"
    service: str
    peer: str
    helo: str
    messages: int
    recipients: int
    refused: int
    bytes_in: int
    duration_s: float
    result: str
    """``quit``, ``closed``, ``timeout``, ``refused``, ``tls-failed``, ``error`` …"""
    reason: str | None = None
    account: str | None = None
    """Who has logged in."""
    tls: str | None = None
    """Version, cipher and bits of its key."""
    server_name: str | None = None
    """The name that the client asked for in the handshake."""
    client_certificate: str | None = None
    """SHA-256 of the certificate that the client holds; nobody vouches for it."""


class TurnedAway(Event, frozen=True):
    """Connections were refused before anything was said in them: since the last such line, for this reason and from
    this network."""

    name: ClassVar[str] = "session.turned-away"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = (
        "If one knows these clients, [relay] networks or the setting that the reason names lets them in. Where the "
        'reason is a PROXY header, see to it that the balancer sends one, or write proxy = "never" in [[listen]].'
    )
    network: str
    peer: str
    """The last of them."""
    connections: int
    code: int
    status: str
    reason: str


class SessionsFewer(Event, frozen=True):
    """The process may not open enough files for as many sessions as are set; it takes fewer."""

    name: ClassVar[str] = "session.fewer"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = (
        "Raise the limit of open files (LimitNOFILE in the systemd unit), or lower [receive] sessions."
    )
    wanted: int
    sessions: int


class MessageRefused(Event, frozen=True):
    """A message, or one of its recipients, was turned away in a session."""

    name: ClassVar[str] = "message.refused"
    service: str
    peer: str
    sender: str
    recipient: str | None
    code: int
    status: str
    reason: str
    """In full; the peer saw one plain sentence."""


class GuardAway(Event, frozen=True):
    """The conversation with `guard` ended: until it is back no new ban and no rate is in force."""

    name: ClassVar[str] = "guard.away"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "It is started again by itself; if it stays away, the lines of `guard` say why."


class BanBegan(Event, frozen=True):
    """A network is not served for a while, or until an operator says otherwise."""

    name: ClassVar[str] = "ban.began"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = (
        "`paperpath ban why` tells more, `paperpath ban remove` lifts it; [bans] trusted prevents it."
    )
    network: str
    reason: str
    by: str
    """``guard``, or the operator."""
    for_s: int
    """0: until an operator removes it."""
    times: int
    """The how manieth ban of this network it is, as far as that is remembered."""
    evidence: str
    """What it did last, the latest first."""


class BanEnded(Event, frozen=True):
    """A network is served again."""

    name: ClassVar[str] = "ban.ended"
    level: ClassVar[Level] = "notice"
    network: str
    how: str
    """``expired``, ``trusted now``, or the operator who removed it."""
    turned_away: int
    """Connections that it refused."""


class BansNotKept(Event, frozen=True):
    """Bans, or what accounts sent, could not be read or written: they hold, but do not outlive this process."""

    name: ClassVar[str] = "ban.not-kept"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Mend what the error names; `paperpath init --system` makes the folder."
    error: str


class RateExceeded(Event, frozen=True):
    """A client network did more than its rate allows; it is told to try later until that is over."""

    name: ClassVar[str] = "rate.exceeded"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = "If it is a server one knows, add it to [relay] networks or raise the rate in [limits]."
    network: str
    what: str
    """``connections``, ``messages`` or ``recipients``, in a minute."""
    for_s: int


class LoginSucceeded(Event, frozen=True):
    """Somebody logged in."""

    name: ClassVar[str] = "login.succeeded"
    service: str
    peer: str
    account: str
    mechanism: str
    app_password: str | None
    """Label of the application password that was used."""
    duration_s: float


class LoginFailed(Event, frozen=True):
    """Somebody did not get in; the client was told one sentence, whatever the reason."""

    name: ClassVar[str] = "login.failed"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = (
        "Many from one address are guesses. With `temporary`, it says nothing about the password: the reason names "
        "what could not be asked."
    )
    service: str
    peer: str
    user: str
    """As the client said it; empty where it did not come that far."""
    mechanism: str
    temporary: int
    """1 where whoever knows could not be asked, else 0."""
    reason: str
    duration_s: float


class MailboxClosed(Event, frozen=True):
    """The one line of a session that fetched mail, or tried to."""

    name: ClassVar[str] = "mailbox.closed"
    service: str
    peer: str
    account: str | None
    messages: int
    """In the mailbox when it was opened."""
    retrieved: int
    removed: int
    """Marked in a session that ended as it should; those that could not be removed have a line of their own."""
    bytes_in: int
    bytes_out: int
    duration_s: float
    result: str
    """``quit``, ``closed``, ``timeout``, ``failed logins``, ``stopping``, ``tls-failed``, ``error`` …"""
    reason: str | None = None
    tls: str | None = None
    """Version, cipher and bits of its key; left out in clear text."""


class MailboxesTurnedAway(Event, frozen=True):
    """Connections to fetch mail were refused: since the last such line, for this reason and from this network."""

    name: ClassVar[str] = "mailbox.turned-away"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = (
        "[pop3] has the numbers of sessions; `paperpath ban` tells of bans, and lifts them. Where the reason is a "
        'PROXY header, see to it that the balancer sends one, or write proxy = "never" in [[listen]].'
    )
    network: str
    peer: str
    """The last of them."""
    connections: int
    reason: str


class MailboxTrouble(Event, frozen=True):
    """A mailbox, or a message in it, could not be opened, read or changed for the session that wanted it."""

    name: ClassVar[str] = "mailbox.trouble"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Nothing is lost: what was to be removed is still there. Mend what the reason names."
    account: str
    reason: str


class SenderReplaced(Event, frozen=True):
    """A program of this host asked for an envelope sender that its user may not have, and got the user's address."""

    name: ClassVar[str] = "sender.replaced"
    level: ClassVar[Level] = "notice"
    advice: ClassVar[str] = "If the user may send for others, name the account in [inject] trusted_users."
    user: str
    asked: str
    sender: str


class DropRefused(Event, frozen=True):
    """What lies in the drop folder is not a message, or not one that is taken; it was moved aside and stays there."""

    name: ClassVar[str] = "drop.refused"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "Look at it, and remove it; a program that was interrupted leaves half a message."
    file: str
    place: str
    reason: str


class MessageAccepted(Event, frozen=True):
    """A message is durable in the queue and was acknowledged."""

    name: ClassVar[str] = "message.accepted"
    message: str
    sender: str
    recipients: int
    size_bytes: int
    origin: str


class MessageDone(Event, frozen=True):
    """Every recipient has ended; the message left the queue."""

    name: ClassVar[str] = "message.done"
    message: str
    age_s: int


class Delivered(Event, frozen=True):
    """One recipient has the message."""

    name: ClassVar[str] = "delivery.delivered"
    message: str
    recipient: str
    channel: str
    destination: str
    host: str | None
    """The peer; none where the mailbox is here."""
    duration_s: float
    text: str


class DeliveryDeferred(Event, frozen=True):
    """One recipient does not have it yet; ``next_s`` seconds from now it is tried again."""

    name: ClassVar[str] = "delivery.deferred"
    level: ClassVar[Level] = "notice"
    message: str
    recipient: str
    channel: str
    destination: str
    host: str | None
    """The peer; none where the mailbox is here."""
    status: str
    attempts: int
    next_s: int
    duration_s: float
    text: str


class DeliveryFailed(Event, frozen=True):
    """One recipient will never have it; ``report`` is the message that tells the sender."""

    name: ClassVar[str] = "delivery.failed"
    level: ClassVar[Level] = "notice"
    message: str
    recipient: str
    channel: str
    destination: str
    host: str | None
    """The peer; none where the mailbox is here."""
    status: str
    duration_s: float
    report: str
    """Id of the report, or why there is none: ``triple bounce`` …"""
    text: str


class DeliveryInterrupted(Event, frozen=True):
    """A delivery was under way when the queue ended last time; it is repeated, so a duplicate is possible."""

    name: ClassVar[str] = "delivery.interrupted"
    level: ClassVar[Level] = "warning"
    message: str
    recipient: str
    destination: str


class BounceDropped(Event, frozen=True):
    """A report about a report about a report (qmail's triple bounce): it is thrown away."""

    name: ClassVar[str] = "bounce.dropped"
    level: ClassVar[Level] = "warning"
    advice: ClassVar[str] = "The postmaster address of this host cannot be delivered to: see that it can."
    message: str
    recipient: str
    text: str


class ReportWithheld(Event, frozen=True):
    """A recipient failed, and nobody is told: the sender asked for that (NOTIFY of RFC 3461)."""

    name: ClassVar[str] = "report.withheld"
    level: ClassVar[Level] = "notice"
    message: str
    recipient: str
    notify: str
    """``NEVER``, or what the sender did want to hear of."""
    text: str


class AgentGone(Event, frozen=True):
    """A delivery agent ended with work under way; that work is deferred."""

    name: ClassVar[str] = "agent.gone"
    level: ClassVar[Level] = "warning"
    agent: str
    jobs: int


class QueueOpened(Event, frozen=True):
    """The store is open."""

    name: ClassVar[str] = "queue.opened"
    level: ClassVar[Level] = "notice"
    messages: int
    recipients: int
    interrupted: int


class QueueOperated(Event, frozen=True):
    """An operator changed the queue."""

    name: ClassVar[str] = "queue.operated"
    level: ClassVar[Level] = "notice"
    verb: str
    message: str
    operator: str


class StorageFull(Event, frozen=True):
    """There is no room for new mail, or to note a delivery; clients are told to try later, and deliveries wait.  Said
    once, until there is room again."""

    name: ClassVar[str] = "storage.full"
    level: ClassVar[Level] = "alert"
    advice: ClassVar[str] = "Make room on the file system that holds [paths] state; nothing accepted is affected."
    error: str


class StorageFree(Event, frozen=True):
    """There is room again: a message was taken, and for a minute none was refused."""

    name: ClassVar[str] = "storage.free"
    level: ClassVar[Level] = "notice"
    refused: int
    """Messages that this process refused meanwhile; each has its `message.refused`."""
    duration_s: float
    """From the first time that room was missing to the last."""


class StorageUnusable(Event, frozen=True):
    """The store cannot be opened now; it is tried again, and nothing was touched."""

    name: ClassVar[str] = "storage.unusable"
    level: ClassVar[Level] = "alert"
    advice: ClassVar[str] = "Do what the line says. A store in use is free when the service before this one has ended."
    error: str


class StorageBroken(Event, frozen=True):
    """The disk or the database failed; the queue ends and is opened anew, and nothing more was acknowledged."""

    name: ClassVar[str] = "storage.broken"
    level: ClassVar[Level] = "alert"
    advice: ClassVar[str] = "Look at the kernel's log for disk errors."
    error: str


class TlsFailed(Event, frozen=True):
    """A TLS handshake with another server failed; the mail went on in clear text, as it would without the offer."""

    name: ClassVar[str] = "remote.tls-failed"
    level: ClassVar[Level] = "notice"
    host: str
    address: str
    error: str
