"""An issuer of bearer tokens: answers introspection, and shows its keys."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwk, jwt


class Issuer:
    """What it knows, and what it was asked."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.tokens: dict[str, dict[str, Any]] = {}
        """Token to what introspection says of it."""
        self.key = jwk.ECKey.generate_key("P-256", {"kid": "one"})
        self.shown: list[jwk.Key] = [self.key]
        """The keys that it publishes."""
        self.asked: list[tuple[str, str]] = []
        """Paths, and who asked (of HTTP Basic)."""
        self.answer: tuple[int, bytes] | None = None
        """Said to everything, where it is set."""

    def sign(self, claims: dict[str, Any], key: jwk.Key | None = None, algorithm: str = "ES256") -> str:
        """Return a signed token."""
        used = key or self.key
        return jwt.encode({"alg": algorithm, "kid": used.kid}, claims, used, algorithms=[algorithm])

    def respond(self, path: str, form: dict[str, list[str]]) -> bytes:
        """Return the answer to a request."""
        if path == "/keys":
            return json.dumps({"keys": [key.as_dict(private=False) for key in self.shown]}).encode()
        return json.dumps(self.tokens.get(form.get("token", [""])[0], {"active": False})).encode()


@contextmanager
def running_issuer() -> Iterator[Issuer]:
    """Run one on the loopback."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()))

        def _answer(self, form: dict[str, list[str]]) -> None:
            given = self.headers.get("Authorization", "").removeprefix("Basic ")
            issuer.asked.append((self.path, base64.b64decode(given).decode()))
            code, body = issuer.answer or (200, issuer.respond(self.path, form))
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer = Issuer(server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield issuer
        finally:
            server.shutdown()
            thread.join()
