"""REST of a person's word about panels: `/pages/{id}/panels`."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from services.detection.records.corrections import correct, revert
from services.detection.views import active_layout
from shared.domain.answers import LayoutView
from shared.domain.corrections import PanelCorrection
from shared.http.app import Configured, Database
from shared.store.db import unit_of_work
from shared.work.broker import wake

router = APIRouter()
Id = Annotated[int, Path(ge=1, description="id")]


@router.get("/pages/{page_id}/panels", tags=["layouts"], summary="The active layout of a page")
def get_panels(page_id: Id, url: Database) -> LayoutView:
    """Panels in reading order, whoever they are from; `GET /layouts?page_id=` has the inactive layouts too."""
    with unit_of_work(url) as connection:
        return active_layout(connection, page_id)


@router.put("/pages/{page_id}/panels", tags=["layouts"], summary="Correct the panels of a page")
def put_panels(page_id: Id, said: PanelCorrection, url: Database, configured: Configured) -> LayoutView:
    """A new layout beside the machine's: who, when and what changed is kept, and no machine replaces it.

    Words and descriptions follow the new panels by where they stand: nothing that was paid for is asked again. Vectors
    follow the text. Sending the same twice changes nothing more.
    """
    with unit_of_work(url) as connection:
        planned = correct(connection, configured, page_id, said)
        shown = active_layout(connection, page_id)
    wake(planned)
    return shown


@router.delete("/pages/{page_id}/panels", tags=["layouts"], summary="Back to the machine's panels")
def delete_panels(
    page_id: Id,
    url: Database,
    configured: Configured,
    based_on: Annotated[int | None, Query(ge=1, le=2**62, description="the layout that was looked at")] = None,
    force: Annotated[bool, Query(description="even where another person has corrected it meanwhile")] = False,
) -> LayoutView:
    """What people said stays stored, inactive; the newest layout of the comic's file or of the detector is active."""
    with unit_of_work(url) as connection:
        planned = revert(connection, configured, page_id, based_on=based_on, force=force)
        shown = active_layout(connection, page_id)
    wake(planned)
    return shown
