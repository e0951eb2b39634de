"""Every opener, fed spoilt files and made-up ones: pages or a reason, never another exception and nothing left behind.

The same damage in every run (`--fuzz=N` tries N for each opener, others each time); the counts are printed at the end.
"""

import io
import json
import os
import tempfile
import unicodedata
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from services.ingestion.describing import describe
from services.ingestion.truth.pages import PagePlace
from shared.errors import ComicsError
from shared.files.containers import Attachment, Limits, RawPage, Unreadable
from shared.files.formats import open_container
from shared.files.images import examine
from tests.equipment.archives import child_processes, seven_zipped, tarred
from tests.equipment.books import XHTML, acbf_of, epub_of, package, showing
from tests.equipment.fuzzing import Recipe, Tally, cooked, recipes
from tests.equipment.hostile_files import comic, pdf, picture, zipped

LIMITS = Limits(
    entries=200, listing_bytes=1 << 20, page_bytes=4 << 20, total_bytes=32 << 20, pixels=1_000_000, seconds=10,
    drawn_pixels=40_000,
)  # fmt: skip
SLOWEST = 20.0  # seconds for one input: a hang, not a slow machine
GREEDIEST = 100 << 20  # bytes by which the process may grow at any moment of a run
RESET_PEAK = Path("/proc/self/clear_refs")
EXAMPLES = 60
WORDS = st.text(st.characters(codec="utf-8"), max_size=30)
NAMES = st.one_of(
    WORDS,
    st.sampled_from(
        ("p1.jpg", "../p.jpg", "/p.jpg", "a\\p.png", "ComicInfo.xml", "p\n.jpg", "-so.jpg", "@p.jpg", "*.jpg")
    ),
    st.builds("{}.jpg".format, WORDS),
    st.builds("a/{}/{}.png".format, WORDS, WORDS),
)
CONTENTS = st.sampled_from((b"", b"x", b"<a>", picture(), picture(kind="PNG"), comic(1), bytes(50_000)))


class Run:
    """One test's fuzzing: tries inputs, counts, and checks at the end that nothing is left."""

    def __init__(self, folder: Path, temp: Path, examples: int | None) -> None:
        self.folder = folder
        self.tally = Tally()
        self._temp = temp
        self._examples = examples
        self._children = child_processes()
        self._files = len(os.listdir("/proc/self/fd"))
        RESET_PEAK.write_text("5")
        self._memory = peak_memory()

    def over(self, inputs: st.SearchStrategy[Recipe], attempt: Callable[[Recipe], None]) -> None:
        """Give `attempt` many inputs; whatever it raises but our own errors is a crash, and fails the test."""

        @settings(
            max_examples=self._examples or EXAMPLES,
            derandomize=self._examples is None,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(inputs)
        def tried(given_input: Recipe) -> None:
            self.tally.inputs += 1
            began = monotonic()
            attempt(given_input)
            assert monotonic() - began < SLOWEST

        try:
            tried()
        except BaseException:
            self.tally.crashes += 1
            raise

    def reading(self, path: Path) -> None:
        """Open a file or folder and read all there is."""
        refusal = None
        try:
            with open_container(path, name="comic", limits=LIMITS) as container:
                assert len(container) > 0
                pages = list(container.pages())
                assert [page.number for page in pages] == list(range(len(container)))
                for page in pages:
                    self._page(page)
                    assert all(isinstance(target, str) for target in container.targets(page.number))
                assert all(isinstance(attachment.data, bytes) for attachment in container.attachments())
                (last,) = container.pages(start=len(pages) - 1)
                # MuPDF mends a broken PDF while it is read: a page that is drawn may come out otherwise alone.
                assert last.size or None in (last.data, pages[-1].data) or last.data == pages[-1].data
        except ComicsError as error:
            refusal = str(error)
        self.tally.opened += refusal is None
        self.tally.refused += refusal is not None
        assert refusal is None or (refusal.startswith("comic") and str(self.folder) not in refusal)

    def _page(self, page: RawPage) -> None:
        assert (page.data is None) == (page.error is not None)
        assert not any(unicodedata.category(char).startswith("C") for char in page.name)
        self.tally.pages += 1
        if page.data is not None:
            with suppress(Unreadable):
                examine(page.data, limits=LIMITS)

    def finish(self) -> None:
        """Count what is left."""
        self.tally.temp_leaks = len(list(self._temp.iterdir()))
        self.tally.processes_left = len(child_processes() - self._children)
        assert (self.tally.temp_leaks, self.tally.processes_left) == (0, 0)
        assert len(os.listdir("/proc/self/fd")) <= self._files
        assert peak_memory() - self._memory < GREEDIEST


def peak_memory() -> int:
    """Bytes in memory at the worst moment since the peak was reset."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


pytestmark = [
    pytest.mark.filterwarnings("ignore:Duplicate name"),
    pytest.mark.filterwarnings("ignore::UserWarning:PIL"),
]


@pytest.fixture
def run(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    record_property: Callable[..., None],
) -> Iterator[Run]:
    """A run whose temporary files, if there were any, would lie in a folder of their own."""
    temp, folder = tmp_path / "temp", tmp_path / "inputs"
    temp.mkdir()
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(temp))
    monkeypatch.setattr(tempfile, "tempdir", str(temp))
    made = Run(folder, temp, request.config.getoption("--fuzz"))
    try:
        yield made
        made.finish()
    finally:
        record_property("fuzz", asdict(made.tally))


def spoilt(run: Run, seeds: dict[str, bytes]) -> None:
    """Read spoilt copies of these files, and each of them as it is."""
    path = run.folder / "stored"
    for data in seeds.values():
        path.write_bytes(data)
        run.reading(path)
    assert run.tally.opened

    def attempt(recipe: Recipe) -> None:
        path.write_bytes(cooked(recipe, seeds))
        run.reading(path)

    run.over(recipes(seeds), attempt)


def test_spoilt_fixtures_of_other_peoples_programs(run: Run, samples: Path) -> None:
    spoilt(run, {path.name: path.read_bytes() for path in (samples / "archive-fixtures" / "archives").iterdir()})


def test_spoilt_zips(run: Run) -> None:
    entries = {"a/p2.jpg": picture(), "a/p10.png": picture(kind="PNG"), "ComicInfo.xml": b"<ComicInfo/>"}
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    spoilt(run, {str(method): zipped(entries, method=method) for method in methods})


def test_spoilt_archives_of_the_program(run: Run, tmp_path: Path) -> None:
    entries = {"p2.jpg": picture(), "p10.png": picture(kind="PNG"), "a/guided.json": b"{}"}
    made = {
        "solid": seven_zipped(tmp_path, entries, options=["-ms=on"]),
        "open header": seven_zipped(tmp_path, entries, options=["-ms=off", "-mhc=off"]),
        "ppmd": seven_zipped(tmp_path, entries, options=["-m0=PPMd:mem=1m"]),
        "deflate64": seven_zipped(tmp_path, entries, kind="zip", options=["-mm=Deflate64"]),
        "zip ppmd": seven_zipped(tmp_path, entries, kind="zip", options=["-mm=PPMd:mem=1m"]),
    }
    spoilt(run, made)


def test_spoilt_tars(run: Run) -> None:
    entries = {
        "p2.jpg": picture(),
        "p10.png": picture(kind="PNG"),
        "x" * 150 + ".jpg": picture(),
        "metadata.opf": b"<a/>",
    }
    spoilt(run, {packed: tarred(entries.items(), packed=packed) for packed in ("", "gz", "bz2", "xz")})


def test_spoilt_books(run: Run) -> None:
    files = {
        "OPS/a.xhtml": showing("p1.jpg", "i/p2.png"), "OPS/p1.jpg": picture(), "OPS/i/p2.png": picture(kind="PNG"),
        "OPS/b.svg": "<svg xmlns:xlink='http://www.w3.org/1999/xlink'><image xlink:href='p1.jpg'/></svg>",
        "META-INF/encryption.xml": "<encryption/>",
    }  # fmt: skip
    opf = package(
        ["a.xhtml", "b.svg", "p1.jpg"], ["a.xhtml", "b.svg", "p1.jpg"], attributes={"a.xhtml": "properties='nav'"}
    )
    acbf = acbf_of({"p1.jpg": picture(), "p2.jpg": picture(seed=2)}, cover="p1.jpg")
    spoilt(run, {"epub": epub_of(files, opf=opf), "acbf": acbf})


def test_spoilt_pdfs(run: Run) -> None:
    spoilt(run, {"drawn": pdf(2), "one page": pdf(1)})


def test_made_up_archives(run: Run) -> None:
    path = run.folder / "stored"

    def attempt(entries: list[tuple[str, bytes]]) -> None:
        for made in (zipped, tarred):
            try:
                path.write_bytes(made(entries))
            except (ValueError, UnicodeError):
                continue  # a name that no writer takes
            run.reading(path)

    run.over(st.lists(st.tuples(NAMES, CONTENTS), max_size=6), attempt)  # type: ignore[arg-type]


def test_made_up_books(run: Run) -> None:
    path = run.folder / "stored"
    hrefs = st.lists(st.one_of(NAMES, st.sampled_from(("a.xhtml", "p1.jpg", "b.svg", "%", "%ff.jpg", "#"))), max_size=5)

    def attempt(drawn: tuple[list[str], list[str], list[str], str]) -> None:
        items, spine, shown, words = drawn
        try:
            files: dict[str, bytes | str] = {
                "OPS/a.xhtml": showing(*shown),
                "OPS/p1.jpg": picture(),
                "OPS/b.svg": words,
            }
            path.write_bytes(epub_of(files, opf=package(items, spine)))
        except UnicodeError:
            return
        run.reading(path)

    run.over(st.tuples(hrefs, hrefs, hrefs, st.builds(XHTML.format, WORDS)), attempt)  # type: ignore[arg-type]


def test_made_up_folders(run: Run) -> None:
    letters = st.binary(min_size=1, max_size=40).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_"))
    names = st.one_of(letters, letters.map(lambda raw: raw + b".jpg"), st.just(b"ComicInfo.xml"))

    def attempt(drawn: list[tuple[bytes, bytes]]) -> None:
        folder = Path(tempfile.mkdtemp(dir=run.folder))
        for name, data in drawn:
            if name not in (b".", b".."):
                Path(os.fsdecode(os.path.join(os.fsencode(folder), name))).write_bytes(data)
        run.reading(folder)

    run.over(st.lists(st.tuples(names, CONTENTS), max_size=5), attempt)  # type: ignore[arg-type]


def test_spoilt_pictures(run: Run) -> None:
    seeds = {kind: picture(kind=kind) for kind in ("JPEG", "PNG", "WebP", "GIF", "AVIF", "TIFF", "BMP", "JPEG2000")}
    seeds |= {
        f"{mode} {kind}": picture(kind=kind, mode=mode)
        for kind, mode in (("JPEG", "CMYK"), ("PNG", "P"), ("TIFF", "1"))
    }
    frames = [Image.new("P", (40, 30), color) for color in range(3)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    seeds["moving GIF"] = moving.getvalue()

    def attempt(recipe: Recipe) -> None:
        try:
            examine(cooked(recipe, seeds), limits=LIMITS)
            run.tally.opened += 1
        except ComicsError:
            run.tally.refused += 1

    run.over(recipes(seeds), attempt)


def test_spoilt_documents_about_a_comic(run: Run) -> None:
    guided = {"guided": [{"imgref": "p1.jpg", "children": [{"imgref": "p1.jpg#xywh=percent:1,1,50,50", "text": "a"}]}]}
    seeds = {
        "ComicInfo.xml": b"<?xml version='1.0'?><ComicInfo><Series>A</Series><Number>1</Number><Year>2001</Year>"
        b"<Manga>YesAndRightToLeft</Manga><Pages><Page Image='0' Type='FrontCover'/></Pages></ComicInfo>",
        "metadata.opf": package(["p1.jpg"], ["p1.jpg"], extra="<title>A</title><language>en</language>"),
        "book.acbf": acbf_of({}, pages=["p1.jpg"]).replace(
            b"</page>", b"<frame points='0,0 9,0 9,9 0,9'/><text-layer lang='en'><text-area points='1,1 2,2 3,3'>"
            b"<p>Hi</p></text-area></text-layer></page>",
        ),
        "guided.json": json.dumps(guided).encode(),
        "nav.xhtml": XHTML.format(
            "<nav type='region-based'><ol><li><a href='p1.jpg#xywh=1,2,3,4'>a</a></li></ol></nav>"
        ).encode(),
    }  # fmt: skip
    pages = [PagePlace(0, ("p1.jpg", "#p1.jpg"), 96, 64), PagePlace(1, ("p2.jpg",), None, None)]

    def attempt(recipe: Recipe) -> None:
        describe([Attachment(recipe[0], cooked(recipe, seeds))], file_name="A 01 (2001).cbz", pages=pages)
        run.tally.opened += 1

    run.over(recipes(seeds), attempt)


def test_an_input_that_swells_for_a_moment_does_not_pass(run: Run) -> None:
    assert (b"x" * (200 << 20)).endswith(b"x")
    with pytest.raises(AssertionError):
        run.finish()
    RESET_PEAK.write_text("5")
