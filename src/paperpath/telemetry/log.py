"""From events to lines on standard error, a batch a write.

Lines are logfmt (``time level event key=value …``, for people) or JSON (for programs).  A process gathers the
lines of one turn of its loop and writes them together: a line costs little more than its formatting.  A write
is whole lines and no longer than a pipe takes in one piece, so that the processes of one service can share it.
"""

import json
import re
import select
from collections.abc import Callable
from functools import lru_cache

import msgspec
from msgspec.structs import astuple

from paperpath.base.dates import iso8601
from paperpath.telemetry.event import Event

_PLAIN = re.compile(r'[^\s"=\\]+')
_is_plain_ascii = re.compile(r"[!#-<>-\[\]-~]+").fullmatch
_encode_json = msgspec.json.Encoder().encode
_WRITE_MOST_BYTES = select.PIPE_BUF
"""What the kernel puts into a pipe in one piece; only a single line that is longer can be mixed with others'."""


def _text(value: object) -> str:
    """Return a value that is neither a number nor plain ASCII."""
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text.isprintable() else _json(text)


def _json(value: object) -> str:
    """Return ``value`` as JSON that is one line for every reader, and loses nothing.

    The quick encoder escapes only the controls of ASCII; other characters end a line too, or turn its direction.
    """
    try:
        quick = _encode_json(value).decode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is not UTF-8
        quick = "\n"
    return quick if quick.isprintable() else json.dumps(value, separators=(",", ":"))


@lru_cache(maxsize=256)
def _head(kind: type[Event], process: str) -> tuple[str, tuple[str, ...]]:
    """Return what all lines of one event of one process have: their beginning, and the names before the values."""
    return f" {kind.level} {kind.name} process={process}", tuple(f" {field}=" for field in kind.__struct_fields__)


def logfmt(event: Event, process: str, now: float) -> str:
    """Return the event as one line for people, without its line end."""
    seconds = int(now)
    head, names = _head(type(event), process)
    line = f"{iso8601(seconds)[:-1]}.{int((now - seconds) * 1000):03}Z{head}"
    for name, value in zip(names, astuple(event), strict=True):
        kind = type(value)
        if kind is int or (kind is str and _is_plain_ascii(value)):
            line += f"{name}{value}"
        elif kind is float:
            line += f"{name}{value:.3f}"
        elif value is not None:
            line += f"{name}{_text(value)}"
    return line


def json_line(event: Event, process: str, now: float) -> str:
    """Return the event as one JSON object, without its line end."""
    fields = {name: value for name in event.__struct_fields__ if (value := getattr(event, name)) is not None}
    head = {"time": round(now, 3), "level": event.level, "event": event.name, "process": process}
    return _json(head | fields)


class Log:
    """Where a process sends its events.

    ``write`` takes bytes and must not raise; ``schedule`` asks for ``flush`` to be called soon, once; without
    it every line is written at once.
    """

    def __init__(
        self,
        process: str,
        write: Callable[[bytes], None],
        clock: Callable[[], float],
        *,
        as_json: bool = False,
        schedule: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        self._process = process
        self._write = write
        self._clock = clock
        self.as_json = as_json
        self._schedule = schedule
        self._lines: list[bytes] = []
        self._size = 0

    def emit(self, event: Event) -> None:
        """Log one event."""
        text = (json_line if self.as_json else logfmt)(event, self._process, self._clock())
        line = f"{text}\n".encode("utf-8", "backslashreplace")
        if self._size + len(line) > _WRITE_MOST_BYTES:
            self.flush()
        if not self._lines and self._schedule is not None:
            self._schedule(self.flush)
        self._lines.append(line)
        self._size += len(line)
        if self._schedule is None:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            self._write(b"".join(lines))
