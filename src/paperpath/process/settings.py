"""What each process is told of the configuration: its own part and nothing else.

The supervisor cuts these from the whole; a process never sees the file.
"""

import msgspec

from paperpath.config.routing import RoutingTable
from paperpath.wire.tls import TlsSettings


class Common(msgspec.Struct, frozen=True, kw_only=True):
    """What every process knows."""

    hostname: str
    run: str
    """Folder of the sockets between processes."""
    log_as_json: bool
    writable: tuple[str, ...] = ()
    """Folders that the process may change; of the rest of the host it may read what Python needs."""
    readable: tuple[str, ...] = ()
    """Files and folders that it may read besides."""


class SessionLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one session, and one client, may have; times in seconds."""

    sessions_per_network: int = 200
    """From one stranger's IPv4 /24 or IPv6 /48."""
    reserved_percent: int = 20
    """Of the sessions: half for clients that are known, half for relay networks alone."""
    commands_most: int = 100
    """In a row, that bring no message on."""
    messages_most: int = 1000
    content_timeout_s: int = 180
    throughput: int = 256
    """Bytes of content a second, on average over ``content_timeout_s``."""
    strained_timeout_s: int = 20
    """For a stranger's command or content while sessions run short."""
    greeting_delay_s: int = 1
    error_delay_s: int = 1
    account_recipients_per_hour: int = 500
    """Of one account; 0: any number."""
    account_recipients_per_day: int = 2000

    @property
    def progress_bytes(self) -> int:
        """Content that counts as getting on: less of it in ``content_timeout_s`` is too slow."""
        return self.throughput * self.content_timeout_s


class ReceiveSettings(Common, frozen=True, kw_only=True):
    """For `receive`."""

    routing: RoutingTable
    relay_networks: tuple[str, ...]
    message_size_bytes: int
    recipients_most: int
    relay_recipients_most: int
    sessions_most: int
    """Of this process alone."""
    sessions_per_address: int
    """Of this process alone, from one address that may not relay."""
    command_timeout_s: int
    proxied: frozenset[str] = frozenset()
    """Names of the listening sockets on which connections begin with a PROXY header."""
    proxy_networks: tuple[str, ...] = ()
    """Who may send one."""
    xclient_networks: tuple[str, ...] = ()
    tls: TlsSettings | None = None
    """None: there is no certificate, and so no TLS with clients."""
    greeting: str = ""
    """What stands after the code in greetings; empty: ``hostname``."""
    refused_senders: frozenset[bytes] = frozenset()
    """Addresses and ``@domain``, in lower case."""
    spool: str
    """Folder for large messages while they arrive; files there have no name."""
    inject_size_bytes: int
    """Largest message taken from programs of this host."""
    trusted_users: frozenset[int]
    """User ids that may inject mail with any sender."""
    drop: str
    """Folder of mail that was injected while the service was stopped; empty where another process takes it."""
    guard: str = ""
    """Socket of `guard`; empty where there is none."""
    limits: SessionLimits = SessionLimits()
    auth: str = ""
    """Socket of `auth`; empty where there is none, and nobody logs in."""
    mechanisms: tuple[str, ...] = ()
    """That `auth` knows, in the order in which they are offered."""
    plain_in_clear: str = "never"
    """Where mechanisms that show the password work without TLS: ``never`` or ``loopback``."""


class Pop3Settings(Common, frozen=True, kw_only=True):
    """For `pop3`."""

    tls: TlsSettings | None = None
    """None: there is no certificate to show."""
    mechanisms: tuple[str, ...] = ()
    """What clients may log in with; those that show a listener something only where ``plain_in_clear`` says so."""
    plain_in_clear: str = "never"
    """Or ``loopback``: clients on this host need no TLS."""
    proxied: frozenset[str] = frozenset()
    """Names of the listening sockets on which connections begin with a PROXY header."""
    proxy_networks: tuple[str, ...] = ()
    """Who may send one."""
    sessions_most: int
    sessions_per_address: int
    timeout_s: int
    relay_networks: tuple[str, ...] = ()
    """Who may connect as often as it likes."""
    strained_timeout_s: int = 20
    """What logging in may take while sessions run short."""
    guard: str = ""
    """Socket of `guard`; empty where there is none."""


class QueueSettings(Common, frozen=True, kw_only=True):
    """For `queue`."""

    routing: RoutingTable
    folder: str
    lifetime_s: int
    local_concurrency: int
    remote_concurrency: int
    local_destination_concurrency: int
    remote_destination_concurrency: int
    transaction_recipients: int
    bounce_local_part: str
    bounce_host: str = ""
    """Domain that reports come from; empty: ``hostname``."""
    double_bounce_to: str
    intake_users: tuple[int, ...]
    """User ids that may hand in mail and ask for deliveries; the kernel names who is at the other end."""
    remote_users: tuple[int, ...]
    operator_users: tuple[int, ...]


class Instructions(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker is told that obeys dot-qmail files; it is started with this, in JSON."""

    default_delivery: str
    """Content of the dot-qmail file that counts where an account has none."""
    program_timeout_s: int
    aliases: str = ""
    """The table of aliases (``.cdb``), for the alias user; empty: there is none."""
    forward_files: bool = False
    completion: tuple[bytes, bytes, bytes] = (b"", b"", b"")
    """Default host, default domain and ``plusdomain``, for addresses in .forward files."""


class LocalSettings(Common, frozen=True, kw_only=True):
    """For `local`'s root half."""

    mail: str
    """Folder of the mailboxes of `paperpath account`."""
    mail_user: str
    """System account that owns them."""
    change_user: bool
    """Workers run as the recipient; else all as the caller, who then delivers to its own account and mailboxes only."""
    mailbox_domains: frozenset[bytes]
    qmail_home: str = ""
    """Where ``users/cdb`` lies; empty: this is no qmail host."""
    instructions: Instructions
    lookup_users: tuple[int, ...]
    worker_users: tuple[int, ...]
    opener_users: tuple[int, ...] = ()
    """User ids that may ask for mailboxes to be opened."""
    pass_key: bytes = b""
    """What door passes are judged by (`process.passes`); empty: none is good."""


class GuardSettings(Common, frozen=True, kw_only=True):
    """For `guard`."""

    folder: str
    """Where it keeps the bans."""
    rates: dict[str, int]
    """How many ``connections``, ``messages`` and ``recipients`` an address may have in a minute; 0: any number."""
    sessions_per_address: int
    sessions_per_network: int
    points: int
    window_s: int
    first_s: int
    most_s: int
    trusted: tuple[str, ...]
    """Networks that are never banned, the relay networks among them."""
    client_users: tuple[int, ...]
    """User ids that may tell what they see; the kernel names who is at the other end."""
    operator_users: tuple[int, ...]


class AuthSettings(Common, frozen=True, kw_only=True):
    """For `auth`."""

    accounts_file: str
    uses_file: str
    """Where it notes when application passwords were used."""
    backends: tuple[str, ...]
    mechanisms: frozenset[str]
    """That can work with these backends."""
    default_domain: str
    timeout_s: int
    cache_s: int
    dovecot: str
    dovecot_mechanisms: tuple[str, ...]
    """Those that users without keys here speak with Dovecot."""
    takes_tokens: bool
    pass_key: bytes
    """What door passes are made with (`process.passes`)."""
    system_domains: tuple[str, ...]
    """Where a system account's name is its address."""
    senders: dict[str, tuple[str, ...]]
    """Account to what it may send as besides itself."""
    client_users: tuple[int, ...]
    """User ids that may ask."""


class OutsideSettings(Common, frozen=True, kw_only=True):
    """For `auth.outside`."""

    pam_service: str
    checkpassword: tuple[str, ...]
    timeout_s: int
    client_users: tuple[int, ...]


class TokensSettings(Common, frozen=True, kw_only=True):
    """For `auth.tokens`."""

    introspection: str
    client_id: str
    client_secret: str
    jwks: str
    issuer: str
    audience: str
    account_claim: str
    ca_file: str
    timeout_s: int
    client_users: tuple[int, ...]


class RemoteSettings(Common, frozen=True, kw_only=True):
    """For `remote`."""

    helo: str
    connect_timeout_s: int
    timeout_s: int = 1200
    """The most that any step may take."""
    resolver: str
    port: int
    tls: str
    trusted_certificates: str = ""
    """PEM of who vouches for servers that must prove who they are; empty: those whom the system trusts."""
    connections_most: int
    """Connections open at once, of this process alone."""
    routing: RoutingTable
