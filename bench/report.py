"""The page that a run becomes: verdicts first, then the numbers behind them, then on what and how.  Pure."""

from collections.abc import Iterable, Sequence
from typing import Final

from bench.bars import BARS, TIMES, Bar, Verdict, judge, medians
from bench.results import Results

_INTRODUCTION: Final = """\
# Performance

*Made by `make bench`; the words are in `bench/report.py`.*

Paperpath and its peers on the same machine in the same run, taking turns, each at its defaults and with its state on
a file system of its own; what counts is the median of the turns. The load is Postfix's `smtp-source`: messages of
4 KB from the local machine over 20 parallel sessions, a new connection for each message, and its own share of the
machine is part of every number. Nobody's syncs are switched off. Postfix logs to syslog, which costs it nothing
where none runs; Paperpath logs to a file.

The bars are ratios because absolute numbers belong to one machine on one day.
"""

_NOTES: Final = """\
- *Accept and commit* is measured with delivery stopped on both sides (Paperpath: `local_concurrency = 0`; Postfix:
  without its queue manager and without its brake on clients, which is the quickest it can be).
- *Accept while delivering* is the same with everything running as by default; it counts until the last `250`.
- *To Maildir* counts until the last file is in `new`, *relay* until `smtp-sink` has taken the last message, and then
  the queue must be empty.
- *To system users* is to Maildir as well, but to 200 accounts of the system in turn, each delivered to under its own
  rights; each has had one message before. The load comes from a program of ours.
- *CPU* is that of the whole machine, kernel and load generator included, less what it used before the load; it is
  left out of a turn before which something else kept half a processor or more busy.
- *Memory* is the proportional set size of all processes of the server together.
- *TLS handshakes* are made by four `openssl s_time` at once, with a certificate on P-256, against `submissions` and
  against `openssl s_server`, which does nothing else; `s_time` resumes with TLS 1.2 only.
- *Submission* is one connection for each message, with a whole handshake (a certificate on P-256, or RSA-2048, of the
  same kind on both sides) and AUTH PLAIN, from a client in C that pipelines; it commits, and delivery is stopped.
- *To many recipients* counts from `MAIL` to the last `250`, then the rate until `smtp-sink` has taken the last copy.
  Postfix takes part for orientation, with its limit of 1000 recipients raised.
"""


class _Row:
    """A figure in the table of numbers: how it is called and shown."""

    def __init__(self, figure: str, what: str, unit: str, scale: float = 1) -> None:
        self.figure, self.what, self.unit, self.scale = figure, what, unit, scale


_ROWS: Final = (
    _Row("accepted_per_s", "accept and commit", "/s"),
    _Row("accepted_while_delivering_per_s", "accept while delivering", "/s"),
    _Row("maildir_per_s", "to Maildir", "/s"),
    _Row("maildir_cpu_s", "CPU per message to Maildir", " ms", 1e-3),
    _Row("users_per_s", "to 200 system users", "/s"),
    _Row("relayed_per_s", "relay", "/s"),
    _Row("submitted_per_s", "submission with TLS and AUTH", "/s"),
    _Row("submitted_rsa_per_s", "the same, with RSA-2048", "/s"),
    _Row("idle_bytes", "idle memory", " MB", 1e6),
    _Row("session_bytes", "memory per idle session", " KB", 1e3),
    _Row("tls13_full_per_s", "TLS 1.3 handshakes", "/s"),
    _Row("tls12_full_per_s", "TLS 1.2 handshakes", "/s"),
    _Row("tls12_resumed_per_s", "TLS 1.2 handshakes, resumed", "/s"),
    _Row("tls_session_bytes", "memory per idle session over TLS", " KB", 1e3),
    _Row("backlog_bytes", "memory of `queue`, one million deferred", " MB", 1e6),
    _Row("backlog_slowdown", "slowdown of accept, one million deferred", TIMES),
    _Row("recipients_accept_s", "to many recipients: committed after", " s"),
    _Row("recipients_per_s", "to many recipients: delivered", "/s"),
)


def render(results: Results) -> str:
    """Return the page as Markdown."""
    middle = medians(results.by_figure())
    parts = [
        _INTRODUCTION,
        "## Against the bars\n",
        _bars(judge(bar, middle) for bar in BARS),
        "## The numbers\n",
        f"Median of {results.turns} turns (fewer where one takes minutes), lowest to highest in brackets.\n",
        _numbers(results),
        _NOTES,
        *_failures(results.failures),
        "## The machine\n",
        _table(("what", "here"), [("date", results.date), *results.machine.items()]),
        "## To repeat it\n",
        f"As root, on a machine with nothing else to do, with the Debian package `postfix`:\n\n    {results.command}\n",
        "In each turn: " + ", ".join(f"{_number(n)} {what}" for what, n in results.scale.items()) + ".\n",
    ]
    return "\n".join(parts)


def _bars(verdicts: Iterable[Verdict]) -> str:
    rows = [
        (v.bar.what, _demand(v.bar, v.bar.at_least), _demand(v.bar, v.bar.aim), _measured(v), v.words) for v in verdicts
    ]
    return _table(("what", "bar", "aim", "measured", "verdict"), rows)


def _numbers(results: Results) -> str:
    values, middle = results.by_figure(), medians(results.by_figure())
    servers = sorted({server for server, _ in values})
    rows = []
    for row in _ROWS:
        cells = [_spread(values[key], middle[key], row) if (key := (s, row.figure)) in values else "" for s in servers]
        if any(cells):
            rows.append((row.what, *cells))
    return _table(("", *servers), rows)


def _spread(values: Sequence[float], middle: float, row: _Row) -> str:
    text = f"{_number(middle / row.scale)}{row.unit}"
    if len(values) == 1:
        return text
    return f"{text} ({_number(min(values) / row.scale)} to {_number(max(values) / row.scale)})"


def _demand(bar: Bar, value: float) -> str:
    return f"{'at most' if bar.less_is_better else 'at least'} {_number(value)}{bar.unit}"


def _measured(verdict: Verdict) -> str:
    return "" if verdict.measured is None else f"{_number(verdict.measured)}{verdict.bar.unit}"


def _failures(failures: Sequence[str]) -> list[str]:
    if not failures:
        return []
    return ["Not measured:\n", "".join(f"- {failure}\n" for failure in failures)]


def _number(value: float) -> str:
    """Show three digits, or all of a larger whole number."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
