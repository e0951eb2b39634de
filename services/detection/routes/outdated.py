"""REST of pages that an earlier detector laid out: `/layouts/outdated`."""

from fastapi import APIRouter

from shared.domain.answers import OutdatedLayouts
from shared.http.app import Configured, Database
from shared.store import checkpoints
from shared.store.db import unit_of_work
from shared.work import promotions
from shared.work.broker import wake
from shared.work.detector_promotions import outdated

router = APIRouter()


@router.get("/layouts/outdated", tags=["layouts"], summary="Pages that an earlier detector laid out")
def count_outdated(url: Database) -> OutdatedLayouts:
    """How many pages show its panels still; a release that brings a new detector leaves them until somebody asks."""
    with unit_of_work(url) as connection:
        return OutdatedLayouts(
            checkpoint_id=checkpoints.active(connection, "detector")["id"], pages=outdated(connection)
        )


@router.post("/layouts/outdated", tags=["layouts"], status_code=202, summary="Let the detector in use look at them")
def look_again(url: Database, configured: Configured) -> dict[str, int]:
    """Jobs queued by stage. Pages keep their panels until there are new ones, their text follows; nothing paid is asked
    again, and what people or files state stays.
    """
    with unit_of_work(url) as connection:
        planned = promotions.look_again(connection, configured)
    wake(planned)
    return planned
