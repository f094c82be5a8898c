"""What the schema's types cannot say: names and networks that mean something, settings that agree.

Each check takes a setting, returns it in the form in which the programs compare it (lower case, ASCII,
absolute path) and notes what is wrong; so one run names everything.
"""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping

import msgspec

from paperpath.config.endpoints import SOCKET_PATH_MOST_BYTES, parse_listen, parse_route, parse_server
from paperpath.config.logins import auth_problems, oauth_problems, senders_of
from paperpath.config.names import domain_name, domain_pattern, local_part, mail_address
from paperpath.config.places import QUEUE_CONTROL
from paperpath.config.problems import Problem
from paperpath.config.schema import Config, Listen, Paths, Qmail, Relay
from paperpath.config.schema_auth import Auth, OAuth
from paperpath.config.schema_delivery import Bounce, Local, Mailboxes, Remote
from paperpath.config.schema_fronts import Fronts
from paperpath.config.schema_sessions import Receive
from paperpath.config.schema_tls import Certificate, Tls
from paperpath.wire.tls import TLS_FROM_THE_START

_DOMAIN = 'write a name such as "mx.example.org"'
_ROUTE = 'write "smtp://host:port", "lmtp://host:port", "lmtp:unix:/path" or "qmtp://host:port"'
_SENDERS = 'write accounts with blanks between: "ann@example.org bob"'
_FINGERPRINT = re.compile(r"[0-9a-f]{64}")
_RUN_MOST_BYTES = SOCKET_PATH_MOST_BYTES - len("/" + QUEUE_CONTROL)


class Checker:
    """Checks one configuration; ``folder`` is what relative paths are relative to."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.problems: list[Problem] = []

    def check(self, config: Config) -> Config:
        """Return the configuration in its compared form; it may be used only where ``problems`` stays empty."""
        checked = msgspec.structs.replace(
            config,
            hostname=self._try("hostname", config.hostname, domain_name, _DOMAIN),
            postmaster=self._postmaster(config.postmaster),
            listen=self._listeners(config.listen),
            paths=self._paths(config.paths),
            local=self._local(config.local),
            mailboxes=self._mailboxes(config.mailboxes),
            virtual=self._table("virtual", config.virtual, _virtual_key, _virtual_account, "write an account's name"),
            routes=self._table("routes", config.routes, _route_key, _route, _ROUTE),
            relay=self._relay(config.relay),
            receive=self._receive(config.receive),
            auth=self._auth(config.auth),
            oauth=self._oauth(config.oauth),
            senders=self._table("senders", config.senders, _sender, senders_of, _SENDERS),
            bans=msgspec.structs.replace(config.bans, trusted=self._networks("bans.trusted", config.bans.trusted)),
            tls=self._tls(config.tls),
            fronts=self._fronts(config.fronts),
            remote=self._remote(config.remote),
            bounce=self._bounce(config.bounce),
            qmail=self._qmail(config.qmail),
        )
        self._disjoint(checked)
        self._services(checked)
        return checked

    def _note(self, key: str, wrong: str, instead: str) -> None:
        self.problems.append(Problem(key, wrong, instead))

    def _try(self, key: str, text: str, read: Callable[[str], object], instead: str) -> str:
        try:
            return str(read(text))
        except ValueError as error:
            self._note(key, str(error), instead)
            return text

    def _each(self, key: str, texts: tuple[str, ...], read: Callable[[str], object], instead: str) -> tuple[str, ...]:
        return tuple(self._try(f"{key}[{at}]", text, read, instead) for at, text in enumerate(texts))

    def _networks(self, key: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        return self._each(key, texts, _network, 'write "192.0.2.0/24"')

    def _relay(self, relay: Relay) -> Relay:
        return msgspec.structs.replace(
            relay,
            networks=self._networks("relay.networks", relay.networks),
            domains=self._each("relay.domains", relay.domains, domain_pattern, _DOMAIN),
        )

    def _fronts(self, fronts: Fronts) -> Fronts:
        return Fronts(
            proxy=self._networks("fronts.proxy", fronts.proxy),
            xclient=self._networks("fronts.xclient", fronts.xclient),
        )

    def _receive(self, receive: Receive) -> Receive:
        instead = 'write "someone@example.org" or "@example.org"'
        return msgspec.structs.replace(
            receive,
            literal_domain=self._domain_or_none("receive.literal_domain", receive.literal_domain),
            refused_senders=self._each("receive.refused_senders", receive.refused_senders, _sender, instead),
        )

    def _mailboxes(self, mailboxes: Mailboxes) -> Mailboxes:
        return msgspec.structs.replace(mailboxes, domains=self._domains("mailboxes", mailboxes.domains))

    def _local(self, local: Local) -> Local:
        return msgspec.structs.replace(
            local,
            domains=self._domains("local", local.domains),
            aliases=self._path(local.aliases),
            default_domain=self._domain_or_none("local.default_domain", local.default_domain),
            percent_hack=self._each("local.percent_hack", local.percent_hack, domain_name, _DOMAIN),
        )

    def _qmail(self, qmail: Qmail) -> Qmail:
        return Qmail(home=self._path(qmail.home))

    def _domain_or_none(self, key: str, text: str) -> str:
        return self._try(key, text, domain_name, _DOMAIN) if text else ""

    def _domains(self, section: str, texts: tuple[str, ...]) -> tuple[str, ...]:
        return self._each(f"{section}.domains", texts, domain_name, _DOMAIN)

    def _table(
        self,
        section: str,
        table: Mapping[str, str],
        read_key: Callable[[str], str],
        read_value: Callable[[str], str],
        instead: str,
    ) -> dict[str, str]:
        checked: dict[str, str] = {}
        for key, value in table.items():
            where = f"{section}.{key}"
            name = self._try(where, key, read_key, 'write a domain, ".suffix", or "" for all')
            if name in checked:
                self._note(where, "the same entry twice (upper and lower case count as one)", "leave one of them out")
            checked[name] = self._try(where, value, read_value, instead)
        return checked

    def _postmaster(self, text: str) -> str:
        return self._try("postmaster", text, mail_address, 'write an address: "you@example.org"') if text else ""

    def _listeners(self, listeners: tuple[Listen, ...]) -> tuple[Listen, ...]:
        seen: set[str] = set()
        checked: list[Listen] = []
        for at, listener in enumerate(listeners):
            key = f"listen[{at}].address"
            address = self._try(key, listener.address, parse_listen, 'write "host:port", "[v6]:port" or "unix:/path"')
            if address in seen and not address.endswith(":0"):
                self._note(key, f"{address} is listened on twice", "give each [[listen]] an address of its own")
            seen.add(address)
            checked.append(msgspec.structs.replace(listener, address=self._absolute_socket(address)))
        return tuple(checked)

    def _services(self, config: Config) -> None:
        for at, listener in enumerate(config.listen):
            key = f"listen[{at}].service"
            if listener.service in TLS_FROM_THE_START and not config.tls.certificate:
                self._note(key, f"{listener.service} needs a certificate", "set certificate and key in [tls]")
            if listener.proxy == "always":
                self._proxy(at, listener, config)

    def _proxy(self, at: int, listener: Listen, config: Config) -> None:
        key = f"listen[{at}].proxy"
        if listener.address.startswith("unix:"):
            self._note(key, "is for TCP ports", 'write proxy = "never"')
        elif not config.fronts.proxy:
            self._note(key, "nobody may send a PROXY header", "list the load balancers in [fronts] proxy")

    def _tls(self, tls: Tls) -> Tls:
        if bool(tls.certificate) != bool(tls.key):
            self._note("tls", "a certificate and its key come together", "set both certificate and key, or none")
        if tls.certificates and not tls.certificate:
            self._note("tls", "there is no certificate for other names", "set certificate and key in [tls] too")
        return msgspec.structs.replace(
            tls,
            certificate=self._path(tls.certificate),
            key=self._path(tls.key),
            relay_fingerprints=self._each(
                "tls.relay_fingerprints",
                tls.relay_fingerprints,
                _fingerprint,
                "write what `openssl x509 -fingerprint -sha256 -noout` prints after the =",
            ),
            certificates=tuple(self._certificate(at, one) for at, one in enumerate(tls.certificates)),
        )

    def _certificate(self, at: int, one: Certificate) -> Certificate:
        return Certificate(
            names=self._each(f"tls.certificates[{at}].names", one.names, domain_pattern, _DOMAIN),
            certificate=self._absolute(one.certificate),
            key=self._absolute(one.key),
        )

    def _absolute_socket(self, address: str) -> str:
        path = address.removeprefix("unix:")
        return address if path == address else "unix:" + self._absolute(path)

    def _path(self, path: str) -> str:
        """Return an absolute path; nothing where none is set."""
        return self._absolute(path) if path else ""

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._folder, path))

    def _auth(self, auth: Auth) -> Auth:
        for key, wrong, instead in auth_problems(auth):
            self._note(key, wrong, instead)
        return msgspec.structs.replace(
            auth,
            default_domain=self._domain_or_none("auth.default_domain", auth.default_domain),
            dovecot=self._path(auth.dovecot),
        )

    def _oauth(self, oauth: OAuth) -> OAuth:
        for key, wrong, instead in oauth_problems(oauth):
            self._note(key, wrong, instead)
        return msgspec.structs.replace(
            oauth,
            client_secret_file=self._path(oauth.client_secret_file),
            ca_file=self._path(oauth.ca_file),
        )

    def _paths(self, paths: Paths) -> Paths:
        run = self._absolute(paths.run)
        if len(os.fsencode(run)) > _RUN_MOST_BYTES:
            self._note(
                "paths.run",
                f"{run} is too long for the sockets in it (at most {_RUN_MOST_BYTES} bytes, the kernel's limit)",
                "choose a shorter folder",
            )
        return Paths(state=self._absolute(paths.state), run=run)

    def _remote(self, remote: Remote) -> Remote:
        if remote.resolver:
            self._try("remote.resolver", remote.resolver, _name_server, 'write "192.0.2.53" or "192.0.2.53:53"')
        return msgspec.structs.replace(
            remote,
            helo=self._domain_or_none("remote.helo", remote.helo),
            trusted_certificates=self._path(remote.trusted_certificates),
        )

    def _bounce(self, bounce: Bounce) -> Bounce:
        instead = 'write a local part such as "postmaster", or an address'
        read = mail_address if "@" in bounce.double_to else local_part
        return Bounce(
            address=self._try("bounce.address", bounce.address, local_part, 'write a local part: "MAILER-DAEMON"'),
            host=self._domain_or_none("bounce.host", bounce.host),
            double_to=self._try("bounce.double_to", bounce.double_to, read, instead) if bounce.double_to else "",
        )

    def _disjoint(self, config: Config) -> None:
        for domain in sorted(set(config.local.domains) & set(config.mailboxes.domains)):
            self._note(
                f"mailboxes.domains[{config.mailboxes.domains.index(domain)}]",
                f"{domain} is in [local] domains as well",
                "leave it in one: its mailboxes are system accounts, or made by `paperpath account`",
            )


def _fingerprint(text: str) -> str:
    plain = text.replace(":", "").lower()
    if not _FINGERPRINT.fullmatch(plain):
        raise ValueError(f"{text!r} is not a SHA-256 in hexadecimal")
    return plain


def _name_server(text: str) -> object:
    return parse_server(text, 53)


def _sender(text: str) -> str:
    if text.startswith("@"):
        return "@" + domain_name(text[1:])
    return mail_address(text).lower()


def _network(text: str) -> str:
    return str(ipaddress.ip_network(text))


def _virtual_key(text: str) -> str:
    if "@" in text:
        return mail_address(text).lower()
    return domain_pattern(text) if text else ""


def _virtual_account(text: str) -> str:
    return local_part(text) if text else ""


def _route_key(text: str) -> str:
    return domain_pattern(text) if text else ""


def _route(text: str) -> str:
    return str(parse_route(text)) if text else ""
