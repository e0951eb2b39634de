"""The browser interface's door: `/` and `/ui`, its files, signing in. The screens themselves are in `views.py`."""

import hmac
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from services.web import pages, views
from services.web.views import Screen, screen
from shared.errors import NotFound, TooLarge
from shared.http.app import SESSION, Configured, create_app, session_of

FOR_EVER = "public, max-age=31536000, immutable"
MONTH = 30 * 86_400  # seconds a browser stays signed in
FORM_LIMIT = 10_000  # bytes of a sign-in form

router = APIRouter(route_class=Screen, include_in_schema=False)


@router.get("/")
@router.get("/ui")
def front() -> RedirectResponse:
    """The front door, with and without its name."""
    return RedirectResponse("/ui/", 307)


@router.get("/ui/static/{name}")
def static(name: str, v: str = "") -> FileResponse:
    """A file of ours; kept for ever where its address carries its hash."""
    return _file("static", name, v)


@router.get("/ui/vendor/{name}")
def vendor(name: str, v: str = "") -> FileResponse:
    """A file of a JavaScript library, as `npm ci` installed it."""
    return _file("vendor", name, v)


def _file(folder: str, name: str, version: str) -> FileResponse:
    path = pages.asset_path(folder, name)
    if path is None:
        hint = "; `make setup` installs the JavaScript libraries" if folder == "vendor" else ""
        raise NotFound(f"There is no {name} here{hint}.")
    kept = FOR_EVER if version == pages.fingerprint(path) else "no-cache"
    return FileResponse(path, media_type=pages.MEDIA_TYPES[path.suffix], headers={"Cache-Control": kept})


@router.get("/ui/login")
def login(request: Request, configured: Configured, next: str = "/ui/") -> Response:
    """The sign-in page of an installation with a token."""
    if configured.api_token is None:
        return RedirectResponse("/ui/", 303)
    return screen(request, "login.html", twin="/health", next=_inside(next), wrong=False)


@router.post("/ui/login")
async def sign_in(request: Request, configured: Configured) -> Response:
    """Compare the token and give the browser its cookie."""
    body = b""
    async for piece in request.stream():  # strangers speak here
        body += piece
        if len(body) > FORM_LIMIT:
            raise TooLarge(f"A sign-in form is smaller than {FORM_LIMIT:,} bytes.")
    fields = dict(parse_qsl(body.decode(errors="replace")))
    goal = _inside(fields.get("next", "/ui/"))
    if configured.api_token is None:
        return RedirectResponse(goal, 303)
    token = configured.api_token.get_secret_value()
    if not hmac.compare_digest(fields.get("token", "").encode(), token.encode()):
        return screen(request, "login.html", twin="/health", status=401, next=goal, wrong=True)
    answer = RedirectResponse(goal, 303)
    answer.set_cookie(
        SESSION, session_of(token), max_age=MONTH, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@router.post("/ui/logout")
def sign_out() -> Response:
    """Forget the browser's cookie."""
    answer = RedirectResponse("/ui/login", 303)
    answer.delete_cookie(SESSION)
    return answer


def _inside(address: str) -> str:
    """An address of ours to go to after signing in; whatever leads elsewhere becomes the library."""
    parts = urlsplit(address)
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/ui") and "\\" not in address
    return address if ours else "/ui/"


router.include_router(views.router)


@router.get("/ui/{rest:path}")
def nothing(rest: str) -> Response:
    """Whatever else somebody looks for here."""
    raise NotFound(f"There is no screen “{rest[:80]}”.")


app = create_app("web", [router])
