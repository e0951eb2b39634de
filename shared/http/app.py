"""The application every service builds on: problem+json, authorisation, health, metrics and server-sent events.

    app = create_app("ingestion", [router])

Errors are RFC 9457 documents: `{"type", "title", "status", "detail", "instance"}`. Internal text never leaves.
"""

import errno
import hashlib
import hmac
import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import redis
import sqlalchemy as sa
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.errors import ComicsError, Reject, Retry, TooLarge, Unauthorized
from shared.http.meter import Measured, Meter
from shared.settings import Settings, settings
from shared.store.db import row, rows, unit_of_work
from shared.work.stages import database_url

log = logging.getLogger(__name__)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
OPEN_PATHS = {"/health", "/health/ready", "/metrics", "/ui/login"}
OPEN_FOLDER = "/ui/static/"  # what the sign-in page looks like
SESSION = "comics_session"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
BODY_LIMIT = 72 << 20  # bytes; a picture of 64 MiB and its form
FULL = {errno.ENOSPC, errno.EDQUOT}
UNLIMITED = {"/comics", "/datasets/import", "/layouts/import"}  # whole files, which have a limit of their own


def create_app(service: str, routers: Sequence[APIRouter], *, lifespan: Lifespan | None = None) -> FastAPI:
    """A FastAPI application of one or several services' routers."""
    app = FastAPI(
        title=f"comics: {service}",
        version="0.1.0",
        description="Search inside your own digital comics.",
        lifespan=lifespan,
        docs_url="/docs",
        responses={
            422: {"description": "Not acceptable: says what was wrong and what to do", "model": Problem},
        },
    )
    meter = Meter(service)
    app.add_middleware(Guarded)
    app.add_middleware(Measured, meter=meter)
    app.add_exception_handler(ComicsError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(sa.exc.OperationalError, _on_database)
    app.add_exception_handler(sa.exc.DataError, _on_data)
    app.add_exception_handler(UnicodeEncodeError, _on_data)  # half a character, which JSON can spell
    app.add_exception_handler(RecursionError, _on_depth)
    app.add_exception_handler(OSError, _on_system)
    app.add_exception_handler(Exception, _on_bug)
    for router in routers:
        app.include_router(router)
    app.include_router(_service_router(meter))
    return app


class Problem(BaseModel):
    """RFC 9457: what was wrong, which id, what to do."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str


def problem(request: Request, status: int, title: str, detail: str, **headers: str) -> JSONResponse:
    """An RFC 9457 response about this request."""
    body = Problem(title=title, status=status, detail=detail, instance=request.url.path)
    return JSONResponse(body.model_dump(), status, headers=headers or None, media_type="application/problem+json")


def current_settings() -> Settings:
    """Dependency: the settings of this process."""
    return settings()


def current_database() -> str:
    """Dependency: the database of this process, for `with unit_of_work(url)`."""
    return database_url()


Configured = Annotated[Settings, Depends(current_settings)]
Database = Annotated[str, Depends(current_database)]


def event_stream(events: AsyncIterator[dict[str, Any]]) -> StreamingResponse:
    """Server-sent events, one JSON document each; a client reconnects by itself."""

    async def lines() -> AsyncIterator[bytes]:
        async for event in events:
            yield f"data: {json.dumps(event)}\n\n".encode()

    return StreamingResponse(
        lines(), media_type="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def session_of(token: str) -> str:
    """What a signed-in browser's cookie holds: a digest keyed by the token, so that the token itself stays with us."""
    return hmac.new(token.encode(), b"comics browser session", hashlib.sha256).hexdigest()


class Guarded:
    """ASGI middleware that answers before a body is read: no token, no call; no foreign hand; no body without end.

    The token comes as a Bearer header or as the cookie of a signed-in browser. A page of another site (or of another
    port of this machine) may not make a browser change anything here, token or not. A comic may be as large as its own
    limit says; everything else is a form with one picture, or less.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        refusal = self._refusal(request)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive if self._unlimited(request) else self._counted(receive), send)

    def _refusal(self, request: Request) -> Response | None:
        if request.method not in SAFE_METHODS and _from_elsewhere(request):
            return problem(request, 403, "Forbidden", "Another site's page may not act here; open this one itself.")
        if not self._allowed(request):
            screen = request.url.path == "/" or request.url.path.startswith("/ui")
            if screen and request.method == "GET" and "text/html" in request.headers.get("accept", ""):
                back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                return RedirectResponse(f"/ui/login?next={quote(back, safe='')}", 303)
            return _refused(
                request,
                Unauthorized("Send the header `Authorization: Bearer TOKEN` with the token of COMICS_API_TOKEN."),
            )
        length = request.headers.get("content-length", "0")
        if not self._unlimited(request) and length.isdigit() and int(length) > BODY_LIMIT:
            return _refused(request, TooLarge(f"The body is over the limit of {BODY_LIMIT:,} bytes."))
        return None

    def _allowed(self, request: Request) -> bool:
        token, path = settings().api_token, request.url.path
        if token is None or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return True
        secret = token.get_secret_value()
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        shown = request.cookies.get(SESSION, "").encode()
        by_header = hmac.compare_digest(given, secret.encode())
        return hmac.compare_digest(shown, session_of(secret).encode()) or by_header

    def _unlimited(self, request: Request) -> bool:
        return request.method == "POST" and request.url.path in UNLIMITED

    def _counted(self, receive: Receive) -> Receive:
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > BODY_LIMIT:
                raise TooLarge(f"The body is over the limit of {BODY_LIMIT:,} bytes.")
            return message

        return counted


def _refused(request: Request, error: Reject) -> JSONResponse:
    return problem(request, error.status, error.title, str(error))


def _from_elsewhere(request: Request) -> bool:
    """Whether a browser sent this on behalf of a page that is not ours. Programs say nothing and are believed."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get("origin")  # browsers leave Sec-Fetch-Site out where there is no TLS
    return origin is not None and urlsplit(origin).netloc != request.headers.get("host")


def _service_router(meter: Meter) -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.get("/health", summary="Is the process alive")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": meter.service}

    @router.get("/health/ready", summary="Are PostgreSQL and Redis in reach")
    def ready(url: Database, configured: Configured) -> dict[str, str]:
        with unit_of_work(url) as connection:
            row(connection, "SELECT 1")
        try:
            with redis.Redis.from_url(configured.redis_url or "", socket_timeout=2) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            raise Retry("Redis does not answer; work continues when it does.") from error
        return {"status": "ready", "service": meter.service}

    @router.get("/metrics", response_class=PlainTextResponse, summary="Prometheus metrics")
    def metrics(url: Database) -> PlainTextResponse:
        with unit_of_work(url) as connection:
            counted = rows(connection, "SELECT stage, state, count(*) AS n FROM job GROUP BY 1, 2 ORDER BY 1, 2")
        text = meter.text([(found["stage"], found["state"], found["n"]) for found in counted])
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return router


async def _on_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ComicsError)
    headers = {"Retry-After": str(max(1, round(error.after)))} if isinstance(error, Retry) else {}
    return problem(request, error.status, error.title, str(error), **headers)


async def _on_invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = [f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors()]
    return problem(request, 422, "Not acceptable", "; ".join(found[:5]))


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    detail = {404: f"There is nothing at {request.url.path}; /docs lists what there is."}.get(
        error.status_code, str(error.detail)
    )
    return problem(request, error.status_code, str(error.detail), detail)


async def _on_data(request: Request, error: Exception) -> JSONResponse:
    log.info("nothing that can be stored: %s", error)
    return problem(request, 422, "Not acceptable", "A value holds characters or a size that cannot be stored.")


async def _on_depth(request: Request, error: Exception) -> JSONResponse:
    log.info("nested too deeply at %s", request.url.path, exc_info=error)
    return problem(request, 422, "Not acceptable", "The body is nested too deeply; see /docs for examples.")


async def _on_system(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, OSError) or error.errno not in FULL:
        raise error
    log.error("no space left: %s", error)
    return problem(request, 503, "Try again later", "The server's disk is full.", **{"Retry-After": "60"})


async def _on_database(request: Request, error: Exception) -> JSONResponse:
    log.error("database: %s", error)
    return problem(request, 503, "Try again later", "The database does not answer.", **{"Retry-After": "5"})


async def _on_bug(request: Request, error: Exception) -> JSONResponse:
    number = uuid.uuid4().hex[:12]
    log.error("bug %s at %s %s", number, request.method, request.url.path, exc_info=error)
    return problem(request, 500, "A defect of the server", f"This is not your fault. The log has it under {number}.")
