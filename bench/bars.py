"""What is demanded (the bars), what is hoped for (the aims), and how a measurement compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Final

TIMES: Final = "\N{MULTIPLICATION SIGN}"

Medians = Mapping[tuple[str, str], float]
"""(server, figure) to its median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One row of the table: a figure of Paperpath, alone or divided by a peer's."""

    what: str
    figure: str
    peer: str | None
    at_least: float
    aim: float
    less_is_better: bool = False
    unit: str = TIMES
    scale: float = 1
    """What the figure is divided by to come into `unit`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A bar and what came out; None where it was not measured."""

    bar: Bar
    measured: float | None

    @property
    def words(self) -> str:
        """Say how it compares, in two words."""
        if self.measured is None:
            return "not measured"
        sign = -1 if self.bar.less_is_better else 1
        if sign * self.measured >= sign * self.bar.aim:
            return "aim met"
        return "bar met" if sign * self.measured >= sign * self.bar.at_least else "**not met**"


_PAPERPATH: Final = "Paperpath"
_MB: Final = 1e6
_KB: Final = 1e3

BARS: Final = (
    Bar(
        what="accept and commit, against Postfix",
        figure="accepted_per_s", peer="Postfix", at_least=5, aim=8,
    ),
    Bar(
        what="the same while both deliver, as by default, against Postfix",
        figure="accepted_while_delivering_per_s", peer="Postfix", at_least=5, aim=8,
    ),
    Bar(
        what="accept and commit, against `smtp-sink` (stores nothing)",
        figure="accepted_per_s", peer="smtp-sink", at_least=0.4, aim=0.6,
    ),
    Bar(
        what="accept to synced Maildir, against Postfix",
        figure="maildir_per_s", peer="Postfix", at_least=2.5, aim=4,
    ),
    Bar(
        what="accept to the Maildirs of 200 system users, against Postfix",
        figure="users_per_s", peer="Postfix", at_least=1, aim=2,
    ),
    Bar(
        what="submission over TLS with AUTH, against Postfix with Dovecot's logins",
        figure="submitted_per_s", peer="Postfix", at_least=3, aim=4,
    ),
    Bar(
        what="the same, with a certificate of RSA-2048 on both sides",
        figure="submitted_rsa_per_s", peer="Postfix", at_least=3, aim=4,
    ),
    Bar(
        what="accept to relay through a remote SMTP server, against Postfix",
        figure="relayed_per_s", peer="Postfix", at_least=3, aim=5,
    ),
    Bar(
        what="CPU per message to Maildir, against Postfix",
        figure="maildir_cpu_s", peer="Postfix", at_least=1 / 3, aim=1 / 5, less_is_better=True,
    ),
    Bar(
        what="idle memory of the whole server (proportional set size)",
        figure="idle_bytes", peer=None, at_least=200, aim=120, less_is_better=True, unit=" MB", scale=_MB,
    ),
    Bar(
        what="10,000 idle sessions, extra memory each",
        figure="session_bytes", peer=None, at_least=20, aim=8, less_is_better=True, unit=" KB", scale=_KB,
    ),
    Bar(
        what="one million deferred messages: memory of `queue`",
        figure="backlog_bytes", peer=None, at_least=200, aim=120, less_is_better=True, unit=" MB", scale=_MB,
    ),
    Bar(
        what="one million deferred messages: slowdown of accept",
        figure="backlog_slowdown", peer=None, at_least=1.3, aim=1.1, less_is_better=True,
    ),
    Bar(
        what="one message to 100,000 recipients: committed",
        figure="recipients_accept_s", peer=None, at_least=20, aim=5, less_is_better=True, unit=" s",
    ),
    Bar(
        what="one message to 100,000 recipients: delivered to `smtp-sink`",
        figure="recipients_per_s", peer=None, at_least=3000, aim=8000, unit="/s",
    ),
    Bar(
        what="one `sendmail` call, against an empty `python3 -I -S`",
        figure="sendmail_times", peer=None, at_least=3, aim=2, less_is_better=True,
    ),
)  # fmt: skip


def medians(samples: Mapping[tuple[str, str], list[float]]) -> dict[tuple[str, str], float]:
    """Return the median of each figure of each server."""
    return {key: median(values) for key, values in samples.items() if values}


def judge(bar: Bar, middle: Medians) -> Verdict:
    """Compare; a figure that either side lacks makes the bar unmeasured, never met."""
    ours = middle.get((_PAPERPATH, bar.figure))
    if ours is None:
        return Verdict(bar=bar, measured=None)
    if bar.peer is None:
        return Verdict(bar=bar, measured=ours / bar.scale)
    theirs = middle.get((bar.peer, bar.figure))
    return Verdict(bar=bar, measured=ours / theirs if theirs else None)
