"""What is imported twice is stored once."""

from shared.domain.schema import Box, DetectedObject, Direction, PagePanels
from shared.settings import Settings
from shared.store.db import row, unit_of_work
from shared.store.layouts import import_layout
from tests.equipment.rows import add_pages, execute

FOUND = PagePanels(
    width=100,
    height=150,
    kind="panels",
    direction=Direction.LTR,
    panels=[DetectedObject(label="panel", box=Box(0, 0, 50, 50), score=1.0)],
    objects=[
        DetectedObject(label="face", box=Box(5, 5, 10, 10), score=1.0, panel=0),
        DetectedObject(label="text", box=Box(20, 5, 10, 10), score=1.0, panel=0, speaker=0),
    ],
)
OF_ITS_IMAGE = "SELECT FROM layout l JOIN page p ON p.image_sha256 = l.image_sha256 WHERE l.id = :id"


def test_an_import_from_before_objects_had_their_panels_is_the_same_and_of_the_present_image(
    configured: Settings,
) -> None:
    url = str(configured.database_url)
    [page] = add_pages(url, 1)
    with unit_of_work(url) as connection:
        known, _ = import_layout(connection, page, FOUND)
    execute(
        url,
        "UPDATE layout SET image_sha256 = NULL, objects = "
        "(SELECT jsonb_agg(o - 'panel' - 'speaker') FROM jsonb_array_elements(objects) o)",
    )
    with unit_of_work(url) as connection:
        assert import_layout(connection, page, FOUND) == (known, False)
        moved = FOUND.model_copy(update={"objects": FOUND.objects[:1]})
        assert import_layout(connection, page, moved)[1], "another word of the file is another layout"
        found = row(connection, OF_ITS_IMAGE, id=known)
    assert found is not None
