"""`paperpath tls`: what is configured for each listening socket and name, and when certificates expire."""

from typing import TYPE_CHECKING, Any

import click

from paperpath.cli.faults import EXIT_PERMANENT
from paperpath.cli.options import config_option, json_option, load_config
from paperpath.cli.show import bad, count, good, print_json, say, table
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.cli.certificates import Looked
    from paperpath.config.schema import Config, Listen

_WITHOUT = frozenset({"qmtp", "qmqp"})
"""Services that have no TLS: their protocols know of none."""


@click.command("tls")
@config_option
@json_option
def command(config_file: str | None, as_json: bool) -> int:
    """Show what TLS offers on each listening socket, the certificates, and when they expire.

    Reads the files, and connects to nothing.  Exits 0 where every certificate can be used, and 100 where one cannot:
    it is expired or not valid yet, cannot be read, or its key is another's.

    \b
    Example:
      paperpath tls --config try/paperpath.toml
    """
    from paperpath.cli.certificates import look

    config = load_config(config_file)
    looked = look(config, clock.now())
    if as_json:
        print_json(_as_json(config, looked))
    else:
        _print(config, looked)
    return EXIT_PERMANENT if any(trouble.bad for one in looked for trouble in one.troubles) else 0


def _offered(config: "Config", listener: "Listen") -> str:
    """Return how TLS begins there."""
    from paperpath.wire.tls import TLS_FROM_THE_START

    if not config.tls.certificate or listener.service in _WITHOUT:
        return "none"
    if listener.service in TLS_FROM_THE_START:
        return "from the start"
    return "STLS" if listener.service == "pop3" else "STARTTLS"


def _print(config: "Config", looked: "list[Looked]") -> None:
    from paperpath.cli.open_logins import without_passwords

    rows = [(one.service, one.address, _offered(config, one)) for one in config.listen]
    table(("SERVICE", "ADDRESS", "TLS"), rows)
    if not looked:
        say("\nno certificate: set certificate and key in [tls]")
        if closed := without_passwords(config):
            say(closed)
        return
    relaying = count(len(config.tls.relay_fingerprints), "client certificate")
    say(f"\nTLS {config.tls.minimum} and later; {relaying} may relay")
    for one in looked:
        _print_pair(one)


def _print_pair(one: "Looked") -> None:
    from paperpath.cli.certificates import day

    say(f"\n{one.certificate}")
    say(f"  shown for  {', '.join(one.shown_for) or 'every other name'}")
    if one.sha256:
        say(f"  names      {', '.join(one.names) or 'none'}")
        say(f"  issuer     {one.issuer}")
        say(f"  valid      {day(one.begins)} to {day(one.ends)}")
        say(f"  SHA-256    {one.sha256}")
    for trouble in one.troubles:
        say(f"  {bad('bad ') if trouble.bad else 'look'}       {trouble.text}")
    if not one.troubles:
        say(f"  {good('ok')}")


def _as_json(config: "Config", looked: "list[Looked]") -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "minimum": config.tls.minimum,
        "relay_fingerprints": list(config.tls.relay_fingerprints),
        "listeners": [
            {"service": one.service, "address": one.address, "tls": _offered(config, one)} for one in config.listen
        ],
        "certificates": [asdict(one) for one in looked],
    }
