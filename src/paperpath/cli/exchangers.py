"""A look into DNS for the commands that tell people where mail would go.  Nothing is delivered by it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dns.resolver

_WITHIN_S = 5.0
"""People wait for this; the processes that deliver have more patience."""
_DNS_PORT = 53


def exchangers(domain: str, resolver: str) -> tuple[str, ...]:
    """Return what DNS says about a domain's mail, in words, a line each; what cannot be told is said as well."""
    import dns.exception
    import dns.resolver

    try:
        answer = _resolver(resolver).resolve(domain, "MX", lifetime=_WITHIN_S, search=False)
    except dns.resolver.NXDOMAIN:
        return (f"there is no domain {domain} in DNS: mail to it would fail",)
    except dns.resolver.NoAnswer:
        return (f"no MX record: mail goes to the addresses of {domain} itself (RFC 5321 5.1)",)
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return (f"DNS cannot be asked now: {' '.join(str(error).split()) or type(error).__name__}",)
    records = sorted((record.preference, record.exchange.to_text(omit_final_dot=True)) for record in answer)
    if [host for _, host in records] in ([""], ["."]):
        return (f"{domain} takes no mail (null MX, RFC 7505): mail to it would fail",)
    return tuple(f"MX {preference} {host}" for preference, host in records)


def name_server_trouble(domain: str, resolver: str) -> str:
    """Return what is wrong with asking DNS about ``domain``, or nothing: an answer of any kind is fine."""
    import dns.exception
    import dns.resolver

    try:
        _resolver(resolver).resolve(domain, "MX", lifetime=_WITHIN_S, search=False)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ""
    except (dns.exception.DNSException, OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__
    return ""


def _resolver(configured: str) -> "dns.resolver.Resolver":
    import dns.resolver

    from paperpath.config.endpoints import parse_server

    if not configured:
        return dns.resolver.Resolver()
    server = parse_server(configured, _DNS_PORT)
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [server.host]
    resolver.port = server.port
    return resolver
