"""REST of ingestion: comics, their files and pages, page images, and how far the work on them is."""

from fastapi import APIRouter

from services.ingestion.routes import arrivals, comics, duplicates, metadata, pictures, removal, work
from shared.http.app import create_app

router = APIRouter()
for part in (arrivals, comics, duplicates, metadata, pictures, removal, work):
    router.include_router(part.router)

app = create_app("ingestion", [router])
