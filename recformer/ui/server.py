"""What the server refuses, and what is said about who can reach it: the app itself has no login."""

from ipaddress import ip_address

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.web.server.starlette.starlette_websocket import is_host_allowed

# Streamlit shows the parts of some components in frames of their own, which come from the app itself.
FRAMES = {"content-security-policy": "frame-ancestors 'self'", "x-frame-options": "SAMEORIGIN"}
LONGEST_NAME = 253  # of a host, by the rules of the domain name system


class OnlyOwnPages:
    """Refuses, before Streamlit sees it, what another web page has a browser ask for: every path, WebSockets included.

    Streamlit itself checks the names on WebSockets alone, and lets pages of any other server on this machine drive the
    app. The refusal says how to allow the name.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        refusal = refusal_of(Headers(scope=scope))
        if refusal and scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before it was accepted: answered with 403
        elif refusal:
            await PlainTextResponse(refusal, 403, {**FRAMES, "x-content-type-options": "nosniff"})(scope, receive, send)
        else:
            await self.app(scope, receive, _framed_by_none_else(send))


def _framed_by_none_else(send: Send) -> Send:
    """`send`, with the headers that keep other sites from showing the app in a frame."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(FRAMES)
        await send(message)

    return send_with_headers


def refusal_of(headers: Headers) -> str | None:
    """Why a request with these headers is refused, and the way out; None where it is answered.

    The name it was sent to must be one of `server.allowedHosts`: a foreign name that is made to lead to this machine
    (DNS rebinding) is not. A page that asks must come from that very name and port, or be in
    `server.corsAllowedOrigins`.
    """
    host, origin = headers.get("host"), headers.get("origin")
    if not is_host_allowed(host):
        return (
            f"Recformer does not answer to the name {_quoted(host)}, but to these: "
            f"{', '.join(st.get_option('server.allowedHosts'))}.\n"
            "If it should, whoever runs it adds the name to allowedHosts in .streamlit/config.toml and starts it again "
            '(README.md, "Opening it to others").\n'
        )
    if origin in (None, f"http://{host}", f"https://{host}", *st.get_option("server.corsAllowedOrigins")):
        return None
    return (
        f"Recformer was asked by a page of {_quoted(origin)} and answers to its own pages only.\n"
        "If that page should be answered, whoever runs it adds its address to corsAllowedOrigins under [server] in "
        ".streamlit/config.toml and starts it again.\n"
    )


def _quoted(text: str | None) -> str:
    """What a foreign request sent, made harmless for a message."""
    return ascii((text or "")[:LONGEST_NAME])


def open_to_others() -> str | None:
    """One sentence on who can reach the app, where that is not this machine's users alone; else None."""
    address, port = st.get_option("server.address") or "0.0.0.0", st.get_option("server.port")
    if is_loopback(address):
        return None
    place = f"port {port} of this machine" if address in ("0.0.0.0", "::") else f"{address}, port {port},"
    return (
        f'Anyone who reaches {place} can use the app; it has no login. To add one: README.md, "Opening it to others".'
    )


def is_loopback(address: str) -> bool:
    """Whether a server at this address (an IP or a name) can be reached from this machine alone."""
    try:
        return ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return address.rstrip(".").lower() == "localhost"


MIDDLEWARE = [Middleware(OnlyOwnPages)]
