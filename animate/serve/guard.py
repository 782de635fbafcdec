"""Check host, origin and token of requests, and set the headers that restrict browsers."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from animate.options import LOOPBACK, Serve

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
DAY = 86_400  # seconds that a browser keeps the token


class Guard:
    """Middleware that refuses requests, and adds `HEADERS` to every answer.

    A page of another site whose name is made to resolve to this machine (DNS rebinding) sends that
    name as host; one that calls this server sends itself as origin. Both are refused.
    """

    def __init__(self, app: ASGIApp, serve: Serve, token: str | None) -> None:
        self.app, self.serve, self.token = app, serve, token
        self.cookie = f"animate-{serve.port}"  # cookies don't know ports

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = self.refusal(scope)
        if refusal is None:
            await self.app(scope, receive, _hardened(send))
        elif scope["type"] == "http":
            await refusal(scope, receive, _hardened(send))
        else:
            await send({"type": "websocket.close", "code": 1008})

    def refusal(self, scope: Scope) -> Response | None:
        """The answer to a refused request; None if it is allowed."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.knows(host):
            return _no(421, "this server does not go by that name: use the address it printed")
        origin = headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            return _no(403, "requests of other sites are not answered")
        if self.token is None or self._shows_token(headers):
            return None
        if scope["type"] == "http" and scope["path"] == "/" and self._fits(_asked(scope)):
            return self._welcome()
        return _no(401, "this needs the token: open the address that `animate serve` printed")

    def knows(self, host: str) -> bool:
        """Whether a Host header names this server: by an address of it, or the name it has."""
        name = _without_port(host)
        if name in LOOPBACK or name in (self.serve.host, self.serve.name):
            return True
        return not self.serve.private and _is_address(name)  # an address can't be rebound

    def _shows_token(self, headers: Mapping[str, str]) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._fits(given.strip()):
            return True
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        return self.cookie in cookies and self._fits(cookies[self.cookie].value)

    def _fits(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), (self.token or "").encode())

    def _welcome(self) -> Response:
        """Keep the token in a cookie, and take it out of the address bar."""
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            self.cookie, self.token or "", max_age=DAY, httponly=True, samesite="strict"
        )
        return answer


def _no(status: int, words: str) -> JSONResponse:
    return JSONResponse({"error": words}, status)


def _asked(scope: Scope) -> str:
    return parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]


def _without_port(host: str) -> str:
    """The name or address in a Host header, in small letters."""
    host = host.lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return hardened
