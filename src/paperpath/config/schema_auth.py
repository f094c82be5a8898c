"""The settings of logins and of what an account may send as: part of `config.schema`."""

from typing import Annotated, Literal

from msgspec import Meta

from paperpath.config.section import Duration, Section, Text, about

Backend = Literal["accounts", "pam", "checkpassword", "dovecot"]
Mechanism = Literal[
    "PLAIN", "LOGIN", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "CRAM-MD5", "APOP", "OAUTHBEARER", "XOAUTH2"
]


class Auth(Section, frozen=True, kw_only=True):
    """Who logs in, and how it is judged."""

    backends: Annotated[
        tuple[Backend, ...],
        about(
            "Who judges a password, asked in this order until one says yes: ``accounts`` (`paperpath account`), "
            "``pam``, ``checkpassword``, ``dovecot``."
        ),
    ] = ("accounts",)
    mechanisms: Annotated[
        tuple[Mechanism, ...],
        about(
            "Mechanisms offered where they can work: PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-256-PLUS, CRAM-MD5, APOP, "
            "OAUTHBEARER, XOAUTH2. CRAM-MD5 and APOP make `paperpath account` keep passwords in clear, and work for "
            "passwords set since.",
            reason="all that need no password in clear on the server; the last two need ``[oauth]``",
        ),
    ] = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2")
    plain_in_clear: Annotated[
        Literal["never", "loopback"],
        about(
            "Whether mechanisms that show the password or a token to a listener work without TLS: never, or for "
            "clients on this host.",
        ),
    ] = "never"
    default_domain: Annotated[
        str, about("Domain of accounts whose owner logs in without one; empty: the whole address is needed.")
    ] = ""
    timeout: Annotated[
        Duration,
        Meta(ge=1, le=50),
        about("How long judging one login may take.", unit="seconds", reason="PAM modules ask servers far away"),
    ] = 30
    cache: Annotated[
        Duration,
        Meta(ge=0, le=86400),
        about(
            "How long a password that PAM, checkpassword or Dovecot took is taken again without asking them; 0: not "
            "at all. Passwords of accounts are remembered until they change.",
            unit="seconds",
            reason="covers a burst of messages; a password changed there works that long",
        ),
    ] = 60
    pam_service: Annotated[Text, about("File below /etc/pam.d that says how PAM judges.")] = "paperpath"
    checkpassword: Annotated[
        tuple[Text, ...],
        about(
            "Program of the checkpassword interface and its arguments; the one that it runs on success comes last: "
            '``["/bin/checkpassword", "/bin/true"]``. It is started without a shell.'
        ),
    ] = ()
    dovecot: Annotated[str, about("Path of Dovecot's ``auth-client`` socket.")] = ""
    dovecot_mechanisms: Annotated[
        tuple[Literal["SCRAM-SHA-256"], ...],
        about(
            "Mechanisms beside PLAIN that Dovecot's own ``auth_mechanisms`` name and its users can use; they speak "
            "them with Dovecot, through us. SCRAM-SHA-256-PLUS is offered to nobody then.",
            reason="most Dovecots keep hashes that are good for PLAIN only, and clients begin with what is offered",
        ),
    ] = ()
    helper_user: Annotated[
        Text,
        about(
            "Whom PAM and the checkpassword program run as.",
            reason="nothing but what they need; ``pam_unix`` and Bernstein's checkpassword need ``root``",
        ),
    ] = "paperpath-auth"


class OAuth(Section, frozen=True, kw_only=True):
    """Bearer tokens of OAUTHBEARER and XOAUTH2: asked about, or judged by their signature."""

    introspection: Annotated[
        str,
        about("Address of the issuer's introspection service (RFC 7662), ``https://…``; empty: none."),
    ] = ""
    client_id: Annotated[str, about("Who this server is to that service.")] = ""
    client_secret_file: Annotated[str, about("File with the secret that goes with it, in its first line.")] = ""
    jwks: Annotated[
        str,
        about(
            "Address of the issuer's keys (JWKS), ``https://…``, by which signed tokens are judged here; empty: none."
        ),
    ] = ""
    issuer: Annotated[str, about("What the token must name as its issuer; empty: not looked at.")] = ""
    audience: Annotated[
        str, about("What the token must be meant for; signed tokens need one, for introspection empty means any.")
    ] = ""
    account_claim: Annotated[
        Text, about("Claim of the token that names the account.", reason="what most issuers have")
    ] = "email"
    ca_file: Annotated[str, about("Certificates that the issuer's is judged by; empty: the host's.")] = ""
