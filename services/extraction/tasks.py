"""Stages *read* (OCR, free) and *extract* (VLM, paid)."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import httpx
import sqlalchemy as sa

from services.extraction import ledger
from services.extraction.conversation import Answer, Question, ask, understand
from services.extraction.ocr import OcrReader
from services.extraction.prompts import page_prompt, prepared_image
from services.extraction.vlm import VlmEngine, VlmReply, VlmRequest, attempt, check_address, understood
from shared.domain.pictures import decode
from shared.domain.schema import Box, DetectedObject, Direction, PageExtraction
from shared.errors import Blocked, NotFound, Reject
from shared.settings import Settings, settings
from shared.store.active import activate
from shared.store.db import Row, row, rows, unit_of_work
from shared.store.page_images import page_image
from shared.store.readings import store_read
from shared.work.jobs import Claim
from shared.work.stages import Done, Failed, database_url, deleted, stage


@cache
def reader() -> OcrReader:
    """The OCR engine of this process; its networks load at the first page."""
    return OcrReader(threads=1)  # the queue runs a process for each core


@stage("read")
def read(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Read page by page, so that each is finished as soon as it is."""
    configured = settings()
    with unit_of_work(database_url()) as connection:
        found = rows(
            connection,
            "SELECT p.id, p.image_sha256, p.name, l.objects FROM page p LEFT JOIN layout l ON l.id = p.layout_id "
            "WHERE p.id = ANY(:ids)",
            ids=[claim.subject_id for claim in claims],
        )
    pages = {page["id"]: page for page in found}
    for claim in claims:
        if claim.subject_id not in pages:
            yield deleted(claim)
            continue
        page = pages[claim.subject_id]
        try:
            image = decode(page_image(configured, page["image_sha256"]), name=page["name"])
        except Reject as error:
            yield Failed(claim, error)
            continue
        boxes = text_boxes(page["objects"] or [])
        extraction = reader().read_page(image, read="boxes" if configured.read == "boxes" else "full", boxes=boxes)

        def store(connection: sa.Connection, claim: Claim = claim, extraction: PageExtraction = extraction) -> None:
            store_read(connection, claim.subject_id, extraction, job_id=claim.job_id)

        yield Done([claim], store)


def text_boxes(objects: Sequence[Any]) -> list[Box]:
    """Boxes of the text that a detector saw, from a layout's stored objects."""
    seen = [DetectedObject.model_validate(found) for found in objects]
    return [found.box for found in seen if found.label == "text"]


EXTRACT_INPUT = """
    SELECT p.id, p.image_sha256, p.name, p.layout_id, l.direction,
           (SELECT json_agg(json_build_array(n.x, n.y, n.w, n.h) ORDER BY n.position)
            FROM panel n WHERE n.layout_id = l.id) AS panels
    FROM page p JOIN layout l ON l.id = p.layout_id WHERE p.id = ANY(:ids)"""


@dataclass(frozen=True)
class Read:
    """What the VLM said about a page, the call it said it in, and the layout it was asked about."""

    answer: Answer
    model: str
    layout_id: int | None


@stage("extract")
def extract(claims: Sequence[Claim]) -> Iterator[Done | Failed]:
    """Ask about a batch of pages in one event loop; each page ends as soon as its talk does."""
    configured = settings()
    engine = engine_of(configured)
    with unit_of_work(database_url()) as connection:
        found = rows(connection, EXTRACT_INPUT, ids=[claim.subject_id for claim in claims])
    pages = {page["id"]: page for page in found}
    yield from (deleted(claim) for claim in claims if claim.subject_id not in pages)
    claims = [claim for claim in claims if claim.subject_id in pages]
    loop = asyncio.new_event_loop()
    limits = httpx.Limits(max_connections=configured.vlm_concurrency)
    client = httpx.AsyncClient(limits=limits)
    places = asyncio.Semaphore(configured.vlm_concurrency)
    talks = {loop.create_task(_talk(client, engine, places, claim, pages[claim.subject_id])): claim for claim in claims}
    pending = set(talks)
    try:
        while pending:
            ended, pending = loop.run_until_complete(asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED))
            for talk in ended:
                error = talk.exception()
                if isinstance(error, Exception):
                    yield Failed(talks[talk], error)
                else:
                    yield Done([talks[talk]], partial(_store_reading, talks[talk], talk.result()))
    finally:
        loop.run_until_complete(_end(pending, client))
        loop.close()


async def _end(pending: set[asyncio.Task[Read]], client: httpx.AsyncClient) -> None:
    for talk in pending:
        talk.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    await client.aclose()


def engine_of(configured: Settings) -> VlmEngine:
    """The configured engine; Blocked while none is."""
    if not configured.vlm_configured or configured.vlm_url is None or configured.vlm_model is None:
        raise Blocked("No VLM is configured: set COMICS_VLM_URL, COMICS_VLM_MODEL and COMICS_VLM_BUDGET.")
    check_address(configured.vlm_url, configured.vlm_api_key)
    return VlmEngine(
        url=configured.vlm_url,
        model=configured.vlm_model,
        api_key=configured.vlm_api_key,
        prompt_price=configured.vlm_prompt_price,
        completion_price=configured.vlm_completion_price,
        timeout=configured.vlm_timeout,
    )


async def _talk(
    client: httpx.AsyncClient, engine: VlmEngine, places: asyncio.Semaphore, claim: Claim, page: Row
) -> Read:
    if page["image_sha256"] is None:
        raise NotFound("The page could not be read; there is nothing to ask about.")
    async with places:
        fingerprint = engine.fingerprint(page["image_sha256"])
        kept = await asyncio.to_thread(_kept_answer, engine, page["id"], fingerprint, claim)
        if kept is not None:
            return kept
        prompt, image, panels = await asyncio.to_thread(_question, page)
        books = Books(engine, claim, page["layout_id"], fingerprint)
        answer = await ask(
            Question(prompt, image, panels, engine.max_tokens), lambda request: attempt(client, engine, request), books
        )
        return Read(answer, engine.model, page["layout_id"])


def _kept_answer(engine: VlmEngine, page_id: int, fingerprint: str, claim: Claim) -> Read | None:
    """An answer that was paid for in an earlier attempt; calls whose worker died are given up."""
    with unit_of_work(database_url()) as connection:
        ledger.give_up_open(connection, page_id=page_id, fingerprint=fingerprint)
        call = ledger.answered(connection, page_id=page_id, fingerprint=fingerprint, job_id=claim.job_id)
        if call is None:
            return None
        asked = rows(connection, "SELECT id FROM panel WHERE layout_id = :layout", layout=call["layout_id"])
    reading, _ = understand(understood(engine, call["http_status"], None, call["body"]), panels=len(asked))
    return None if reading is None else Read(Answer(call["id"], reading), engine.model, call["layout_id"])


def _question(page: Row) -> tuple[str, str, int]:
    picture = decode(page_image(settings(), page["image_sha256"]), name=page["name"])
    image, factor = prepared_image(picture)
    panels = [Box(*(value * factor for value in panel)) for panel in page["panels"] or []]
    height, width = (round(side * factor) for side in picture.shape[:2])
    prompt = page_prompt(panels, width=width, height=height, direction=Direction(page["direction"]))
    return prompt, image, len(panels)


@dataclass(frozen=True)
class Books:
    """The ledger as one page's talk sees it."""

    engine: VlmEngine
    claim: Claim
    layout_id: int
    fingerprint: str

    async def reserve(self, request: VlmRequest) -> int:
        """See `conversation.Ledger`."""
        return await asyncio.to_thread(
            ledger.reserve,
            database_url(),
            request_id=request.request_id,
            page_id=self.claim.subject_id,
            layout_id=self.layout_id,
            job_id=self.claim.job_id,
            fingerprint=self.fingerprint,
            model=self.engine.model,
            worst_case=self.engine.worst_case(request.prompt, max_tokens=request.max_tokens),
        )

    async def complete(self, call: int, reply: VlmReply, *, usable: bool, reason: str | None) -> None:
        """See `conversation.Ledger`."""
        await asyncio.to_thread(ledger.complete, database_url(), call, reply, usable=usable, reason=reason)


def _store_reading(claim: Claim, read: Read, connection: sa.Connection) -> None:
    reading = read.answer.reading
    made = row(
        connection,
        "INSERT INTO extraction (page_id, engine, model, source, content, unreadable, layout_id, vlm_call_id, job_id) "
        "VALUES (:page, 'vlm', :model, 'model', CAST(:content AS jsonb), :unreadable, :layout, :call, :job) "
        "RETURNING id",
        page=claim.subject_id,
        model=read.model,
        content=reading.model_dump_json() if reading else None,
        unreadable=None if reading else read.answer.reason,
        layout=read.layout_id,
        call=read.answer.call or None,
        job=claim.job_id,
    )
    assert made is not None
    activate(connection, claim.subject_id, "vlm_id", made["id"])
