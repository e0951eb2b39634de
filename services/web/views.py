"""The screens. They read; whatever a person does there, the browser sends to the REST of its owner."""

import logging
from collections.abc import Callable, Coroutine
from functools import cache
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from jinja2 import Environment
from starlette.exceptions import HTTPException

from services.web import ledger, library, pages
from services.web.records import shelves
from services.web.records.about import about_comic
from services.web.records.shelves import Narrowing
from shared.domain.duplicates import DuplicateKind, DuplicateState
from shared.domain.pipeline import STAGES
from shared.domain.training import OPTIONS, DetectorRunConfig, RunConfig
from shared.domain.walk import COMIC_SUFFIXES
from shared.errors import ComicsError
from shared.http.app import SESSION, Configured, Database
from shared.store.db import unit_of_work
from shared.work import jobs, promotions
from shared.work.detector_promotions import outdated

log = logging.getLogger(__name__)
Id = Annotated[int, Path(ge=1, le=2**62)]
Words = Annotated[str, Query(max_length=200)]
Name = Annotated[str, Query(max_length=500)]
CARDS, TILES, JOBS = 60, 240, 50  # of each at most on one screen
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Nobody else learns where a link was followed. Not "no-referrer": without TLS, browsers would then send our own forms
# with the origin "null", which the guard must refuse.
SAFE = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin"}


@cache
def templates() -> Environment:
    """The templates of this process."""
    absent = pages.missing_libraries()
    if absent:
        log.error("JavaScript libraries are missing (%s); `make setup` or `npm ci` installs them", ", ".join(absent))
    return pages.build_environment()


class Screen(APIRoute):
    """A route whose every answer is safe to show and whose errors are pages a person can read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, with our headers on whatever it answers."""
        handler = super().get_route_handler()

        async def shown(request: Request) -> Response:
            try:
                response = await handler(request)
            except ComicsError as error:
                response = error_page(request, error.status, error.title, str(error))
            except RequestValidationError:
                response = error_page(request, 404, "Not found", "This address names nothing.")
            except HTTPException as error:
                response = error_page(request, error.status_code, str(error.detail), "This address cannot do that.")
            except sa.exc.OperationalError as error:
                log.error("database: %s", error)
                response = error_page(request, 503, "Try again later", "The database does not answer.")
            response.headers.update(SAFE)
            return response

        return shown


def screen(request: Request, template: str, *, twin: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A rendered screen; `twin` is the address of the same in JSON."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    about = {"path": request.url.path, "here": here, "twin": twin, "signed_in": SESSION in request.cookies}
    text = templates().get_template(template).render(about | values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def error_page(request: Request, status: int, title: str, detail: str) -> HTMLResponse:
    """What went wrong and what to do, as a page."""
    return screen(request, "error.html", twin="/status", status=status, number=status, title=title, detail=detail)


router = APIRouter(route_class=Screen, include_in_schema=False)


@router.get("/ui/")
def covers(
    request: Request,
    url: Database,
    configured: Configured,
    title: Words = "",
    source: Name = "",
    collection: Name = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> HTMLResponse:
    """All comics as covers, the newest first."""
    title, source, collection = (text.replace("\x00", "") for text in (title.strip(), source, collection))
    narrowing = Narrowing(title=title, source=source, collection=collection)
    with unit_of_work(url) as connection:
        found = library.cards(connection, before=before, narrowing=narrowing, limit=CARDS + 1)
        everything = library.comic_count(connection)
        choices = shelves.choices(connection, narrowing)
    more = narrowing.address(before=found[CARDS - 1]["id"]) if len(found) > CARDS else None
    return screen(
        request,
        "library.html",
        twin=narrowing.twin(),
        cards=found[:CARDS],
        more=more,
        narrowing=narrowing,
        choices=choices,
        everything=everything,
        suffixes=sorted(COMIC_SUFFIXES, key=lambda suffix: (not suffix.startswith(".cb"), suffix)),
        upload_limit=configured.upload_limit,
        private=not configured.vlm_configured,
    )


@router.get("/ui/cards")
def some_cards(
    request: Request,
    url: Database,
    ids: Annotated[str, Query(pattern=r"^[0-9,]+$", max_length=4000)],
    new: bool = False,
) -> HTMLResponse:
    """The cards of some comics as they are now, to be put in place of those in the page (or, `new`, before them)."""
    wanted = [int(id_[:18]) for id_ in ids.split(",") if id_]
    with unit_of_work(url) as connection:
        found = library.cards_by_id(connection, wanted)
    return screen(request, "cards.html", twin="/comics", cards=found, in_place=not new)


@router.get("/ui/comics/{comic_id}")
def comic(
    request: Request,
    comic_id: Id,
    url: Database,
    configured: Configured,
    after: Annotated[int, Query(ge=-1, le=2**31 - 1)] = -1,
) -> HTMLResponse:
    """A comic: what is said about it, its pages, and what on it needs a look."""
    with unit_of_work(url) as connection:
        card = library.card(connection, comic_id)
        about = about_comic(connection, comic_id, usual=configured.direction)
        choices = shelves.choices(connection, Narrowing())
        tiles = library.tiles(connection, comic_id, after=after, limit=TILES + 1)
        failures = library.jobs_to_look_at(connection, comic_id=comic_id, limit=JOBS)
        stages = jobs.counts(connection, comic_id)
    more = tiles[TILES - 1]["number"] if len(tiles) > TILES else None
    return screen(
        request,
        "comic.html",
        twin=f"/comics/{comic_id}",
        comic=card,
        about=about,
        choices=choices,
        tiles=tiles[:TILES],
        more=more,
        failures=failures,
        stages=stages,
        names=list(STAGES),
    )


@router.get("/ui/pages/{page_id}")
def page(request: Request, page_id: Id, url: Database) -> HTMLResponse:
    """A page with its panels in reading order, each with its text."""
    with unit_of_work(url) as connection:
        found = library.page_of(connection, page_id)
        panels = library.panels_of(connection, found["layout_id"])
    return screen(request, "page.html", twin=f"/alignment/{page_id}", page=found, panels=panels)


@router.get("/ui/duplicates")
def duplicates(request: Request, kind: DuplicateKind = "comic", state: DuplicateState = "open") -> HTMLResponse:
    """What looks the same, to be decided about; the browser asks `GET /duplicates` and draws what it answers."""
    return screen(request, "duplicates.html", twin=f"/duplicates?kind={kind}&state={state}", kind=kind, state=state)


@router.get("/ui/search")
def search(request: Request, url: Database, panel: Annotated[int | None, Query(ge=1, le=2**62)] = None) -> HTMLResponse:
    """Find by words, by a picture, or like a panel; the browser asks `POST /search` and draws what it answers."""
    with unit_of_work(url) as connection:
        values: dict[str, Any] = {
            "titles": library.comic_titles(connection),
            "panel": library.panel_place(connection, panel) if panel else None,
            "starts": library.starts(connection),
            "choices": shelves.choices(connection, Narrowing()),
        }
    return screen(request, "search.html", twin="/embeddings", panel_id=panel, **values)


@router.get("/ui/training")
def training(request: Request, url: Database) -> HTMLResponse:
    """Datasets, runs and models."""
    with unit_of_work(url) as connection:
        values: dict[str, Any] = {
            "datasets": ledger.datasets(connection),
            "runs": ledger.runs(connection),
            "encoders": ledger.encoders(connection),
            "detectors": ledger.detectors(connection),
            "outdated": outdated(connection),
            "promotions": promotions.under_way(connection),
            "titles": library.comic_titles(connection),
            "choices": shelves.choices(connection, Narrowing()),
        }
    return screen(
        request,
        "training.html",
        twin="/runs",
        options=OPTIONS,
        usual=RunConfig(),
        usual_detector=DetectorRunConfig(),
        **values,
    )


@router.get("/ui/datasets/{dataset_id}")
def dataset(request: Request, dataset_id: Id, url: Database) -> HTMLResponse:
    """A dataset: what is in it and what to know before training on it."""
    with unit_of_work(url) as connection:
        found = ledger.dataset_of(connection, dataset_id)
        runs = ledger.runs(connection, dataset_id=dataset_id)
    return screen(
        request,
        "dataset.html",
        twin=f"/datasets/{dataset_id}",
        dataset=found,
        runs=runs,
        options=OPTIONS,
        usual=RunConfig(),
    )


@router.get("/ui/runs/{run_id}")
def run(request: Request, run_id: Id, url: Database) -> HTMLResponse:
    """A run and its curves, live."""
    with unit_of_work(url) as connection:
        found = ledger.run_of(connection, run_id)
        first, latest = ledger.measures_of(connection, run_id)
        promoting = promotions.under_way(connection)
    return screen(
        request,
        "run.html",
        twin=f"/runs/{run_id}",
        run=found,
        measures=pages.measured(first, latest),
        promoting=promoting,
    )


@router.get("/ui/costs")
def costs(request: Request, url: Database, configured: Configured) -> HTMLResponse:
    """Budgets, and what each model cost."""
    with unit_of_work(url) as connection:
        budgets = ledger.budgets(connection)
        models = ledger.costs_by_model(connection)
    return screen(
        request,
        "costs.html",
        twin="/costs",
        budgets=budgets,
        models=models,
        engine=configured.vlm_model if configured.vlm_configured else None,
    )


@router.get("/ui/work")
def work(request: Request, url: Database, configured: Configured) -> HTMLResponse:
    """What waits, runs, is done and failed."""
    with unit_of_work(url) as connection:
        stages = jobs.counts(connection)
        failures = library.jobs_to_look_at(connection, comic_id=None, limit=JOBS)
    return screen(
        request,
        "work.html",
        twin="/status",
        stages=stages,
        failures=failures,
        known=STAGES,
        flower_port=configured.flower_port,
    )
