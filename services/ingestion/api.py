"""REST of ingestion: comics, their files and pages, page images, and how far the work on them is."""

from fastapi import APIRouter

from services.ingestion.routes import arrivals, comics, pictures, work
from shared.http.app import create_app

router = APIRouter()
for part in (arrivals, comics, pictures, work):
    router.include_router(part.router)

app = create_app("ingestion", [router])
