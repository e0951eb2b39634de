"""Metadata over REST, through the client and the command line; and a comic that brings its own panels, to the end."""

import json
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import pytest

from services.cli import main
from services.dataspec.tasks import align
from services.ingestion.tasks import ingest
from services.search.tasks import embed
from services.standalone import prepare
from shared.domain.metadata import Metadata
from shared.domain.pipeline import STAGES
from shared.errors import ComicsError
from shared.http.client import ApiError, Client
from shared.settings import Settings
from shared.store.db import rows, unit_of_work
from shared.work.stages import run_batch
from tests.equipment.api import running_api
from tests.equipment.hostile_files import picture
from tests.equipment.rows import plan_stage


@pytest.fixture
def client(configured: Settings) -> Iterator[Client]:
    """A client of a real API over a fresh database."""
    with running_api(configured) as address, Client(address) as connected:
        yield connected


def add_packed(client: Client, path: Path, files: dict[str, bytes]) -> int:
    """Pack a comic, send it and read it; its id."""
    with ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    added = client.add(path)
    run_batch(STAGES["ingest"], ingest)
    comic = client.comic(added.id)
    assert (comic.state, comic.error) == ("ready", None)
    return comic.id


INFO = b"""<ComicInfo><Series>Pepper</Series><Number>3</Number><Title>Theirs</Title><LanguageISO>en</LanguageISO>
<Pages><Page Image="0" Type="FrontCover"/><Page Image="2" Type="Deleted"/><Page Image="1" DoublePage="true"/></Pages>
</ComicInfo>"""


def test_what_a_file_says_is_read_edited_and_taken_back(client: Client, tmp_path: Path) -> None:
    files = {f"p{number}.jpg": picture(300 + 100 * number, 200) for number in range(3)}
    comic_id = add_packed(client, tmp_path / "Pepper 03 (2016).cbz", {**files, "ComicInfo.xml": INFO})
    comic = client.comic(comic_id)
    assert (comic.title, comic.series, comic.number, comic.year) == ("Theirs", "Pepper", "3", 2016)
    assert comic.origins == {
        "title": "comicinfo", "series": "comicinfo", "number": "comicinfo", "language": "comicinfo",
        "year": "file name",
    }  # fmt: skip
    told = [(page.label, page.hidden, page.shape) for page in client.pages(comic_id)]
    assert told == [("cover", None, None), (None, None, "spread"), (None, "deleted", None)]
    edited = client.edit(comic_id, title="Mine", direction="rtl", collection="Witches")
    assert (edited.title, edited.direction, edited.collection) == ("Mine", "rtl", "Witches")
    about = client.put_metadata(comic_id, "command line", Metadata(title="Not mine", source="Humble Bundle"))
    assert (about.merged.title, about.merged.source, about.origins["title"]) == ("Mine", "Humble Bundle", "person")
    back = client.edit(comic_id, title=None, direction=None)
    assert (back.title, back.direction, back.source) == ("Not mine", None, "Humble Bundle")
    client.put_metadata(comic_id, "command line", Metadata())
    assert client.comic(comic_id).title == "Theirs"
    assert [record.origin for record in client.metadata(comic_id).records] == ["person", "comicinfo", "file name"]


def test_an_edit_that_cannot_be_meant_is_refused_by_its_field(client: Client, tmp_path: Path) -> None:
    comic_id = add_packed(client, tmp_path / "a.cbz", {"p.jpg": picture(40, 60)})
    before = client.metadata(comic_id)
    wrong: dict[str, list[object]] = {
        "volume": ["many", -1], "year": [0, 10_000], "direction": ["up"], "language": ["the tongue of Mordor"],
        "colour": ["red"], "title": ["a\0b", "  ", "a" * 501], "series": ["\u202ea"],
    }  # fmt: skip
    for field, values in wrong.items():
        for value in values:
            with pytest.raises(ApiError, match=rf"body\.{field}"):
                client.edit(comic_id, **{field: value})
    assert client.metadata(comic_id) == before


def test_comics_and_origins_that_are_not_there_are_named(client: Client) -> None:
    for call in (lambda: client.edit(99, title="T"), lambda: client.metadata(99)):
        with pytest.raises(ComicsError, match="no comic 99"):
            call()
    with pytest.raises(ApiError, match="origin"):
        client.put_metadata(1, "person", Metadata(title="T"))


def test_the_command_line_edits_forgets_and_shows(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = INFO.replace(b"</ComicInfo>", b"<Year>soon</Year></ComicInfo>")
    files = {f"p{number}.jpg": picture(40 + number, 60) for number in range(3)}
    comic_id = str(add_packed(client, tmp_path / "a.cbz", {**files, "ComicInfo.xml": broken}))
    assert (
        main(["edit", comic_id, "--title", "Mine", "--number", "½", "--direction", "rtl", "--source", "Calibre"]) == 0
    )
    shown = capsys.readouterr().out
    assert "title       Mine  (person)" in shown
    assert "series      Pepper  (comicinfo)" in shown
    assert "comicinfo: ComicInfo.xml: Year “soon” is left out" in shown
    assert main(["edit", comic_id, "--forget", "title", "--forget", "source"]) == 0
    comic = client.comic(int(comic_id))
    assert (comic.title, comic.number, comic.source, comic.direction) == ("Theirs", "½", "upload", "rtl")
    every = [
        "--summary", "A witch.", "--people", "writer=A, Jr.", "--people", "writer=B", "--people", "inker=C",
        "--tags", "x", "--genres", "y", "--characters", "Pepper", "--characters", "Carrot", "--month", "3",
        "--day", "4", "--count", "9", "--rating", "Teen", "--imprint", "I", "--web", "https://a.org",
        "--identifiers", "isbn=978", "--language", "jpn",
    ]  # fmt: skip
    capsys.readouterr()
    assert main(["edit", comic_id, *every]) == 0
    shown = capsys.readouterr().out
    assert "people      writer: A, Jr., B  (person)" in shown
    assert "people      inker: C  (person)" in shown
    about = client.metadata(int(comic_id))
    assert about.merged.model_dump(exclude={"other", "title", "series", "number", "direction"}, exclude_none=True) == {
        "summary": "A witch.", "people": {"writer": ["A, Jr.", "B"], "inker": ["C"]}, "tags": ["x"], "genres": ["y"],
        "characters": ["Pepper", "Carrot"], "month": 3, "day": 4, "count": 9, "rating": "Teen", "imprint": "I",
        "web": "https://a.org", "identifiers": {"isbn": "978"}, "language": "ja",
    }  # fmt: skip
    assert main(["edit", comic_id, "--forget", "people", "--forget", "language"]) == 0
    about = client.metadata(int(comic_id))
    assert (about.merged.people, about.merged.language, about.merged.tags) == ({}, "en", ["x"])
    capsys.readouterr()
    for call, says in (
        (["--title", "A", "--forget", "title"], "contradict"),
        (["--direction", "up"], "`--direction`"),
        (["--year", "soon"], "`--year`"),
        (["--language", "!"], "`--language`"),
        (["--people", "somebody"], "must be ROLE=NAME"),
        (["--web", "javascript:0"], "`--web`"),
    ):
        assert main(["edit", comic_id, *call]) == 2
        assert says in capsys.readouterr().err
    assert main(["edit", "99", "--title", "A"]) == 1
    assert "no comic 99" in capsys.readouterr().err


def test_a_comic_that_brings_its_panels_and_texts_is_searchable_by_them(
    client: Client, configured: Settings, samples: Path, tmp_path: Path
) -> None:
    prepare(configured)
    folder = samples / "pepper-carrot-ep17"
    names = [f"page{number}.jpg" for number in (1, 4)]
    guided = json.loads((folder / "guided.json").read_bytes())["guided"]
    files = {name: (folder / name).read_bytes() for name in (*names, "guided.json")}
    comic_id = add_packed(client, tmp_path / "ep17.cbz", files)
    # Only two pages are packed: what is told about the others is a warning.
    assert any("not in the comic" in text for record in client.metadata(comic_id).records for text in record.warnings)
    pages = list(client.pages(comic_id))
    for name, page in zip(names, pages, strict=True):
        stated = [entry["imgref"].partition("percent:")[2] for entry in guided if entry["imgref"].startswith(name)]
        boxes = [[float(number) for number in region.split(",")] for region in stated]
        [layout] = client.layouts(page.id)
        assert (layout.active, layout.source, layout.kind, layout.direction) == (True, "import", "panels", "ltr")
        size = (page.width or 0, page.height or 0) * 2
        assert [list(panel.box) for panel in layout.panels] == [
            pytest.approx([percent * side / 100 for percent, side in zip(box, size, strict=True)]) for box in boxes
        ]
    plan_stage(configured, "align")
    run_batch(STAGES["align"], align)
    panels = client.panels(pages[0].id)
    assert [panel.literal for panel in panels] == [
        "",
        "But Pepper… Come back…",
        "NO! I'M LEAVING!!\nYou don't teach real witchcraft! I'm going - to the witches of Ah!",
        "Woosh !",
    ]
    with unit_of_work(str(configured.database_url)) as connection:
        verdicts = rows(connection, "SELECT DISTINCT verdict FROM panel_text ORDER BY verdict")
    assert [one["verdict"] for one in verdicts] == ["unverified", "verified"], "nobody has looked for more words"
    plan_stage(configured, "embed")
    run_batch(STAGES["embed"], embed)
    with unit_of_work(str(configured.database_url)) as connection:
        made = rows(connection, "SELECT page_id FROM embedding ORDER BY page_id")
    assert [one["page_id"] for one in made] == [page.id for page in pages]
    assert [hit.panel_id for hit in client.search(words="witches of Ah").hits if hit.why == "written"] == [panels[2].id]
