"""Detections and VLM answers that somebody already paid for, joined into DataSpecs without a server.

Pages are joined by whole paths, never by a bare file name; texts go to panels by place. Where only the counts agree
they go by order, and say so. Whatever is not sure stands in the report with its reason instead of being guessed.
"""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from services.dataspec.assignment import answers_by_panel, told
from services.dataspec.detections import SeenPage, read_detections
from services.dataspec.joined_folder import JoinedFolder
from services.dataspec.recorded_images import RecordedImages
from services.dataspec.specs import canonical
from services.dataspec.told_pages import ToldPage, Unreadable, read_told
from services.dataspec.told_places import Place, TellingIndex
from shared.domain.dataspec import DataSpec, PieceOfText, SpecComic, SpecPanel, SpecProvenance
from shared.domain.geometry import as_array, iou_matrix
from shared.domain.page_order import display_name, natural_key
from shared.domain.paths import plain_path
from shared.domain.reading_order import layout_kind, reading_order
from shared.domain.schema import Box, DetectedObject, Direction, PageReading, PanelReading
from shared.errors import Reject

COLUMNS = ("page", "vlm_file", "status", "evidence", "panels", "told", "matched", "reason")
MOST_PANELS = 100  # no page has more; the reading order of a thousand boxes takes for ever
BY_COUNT = 0.1  # confidence in text that is a panel's only because there are as many texts as panels
UNCONFIRMED = "only the VLM read this; nothing confirms it"
BY_ORDER = "by count, not by place"


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What came of it: rows of the report by their status, and where everything is."""

    pages: int
    statuses: dict[str, int]
    pages_file: Path
    report_file: Path
    folder: Path


def join_dataspecs(
    detections: Path,
    answers: Path,
    out: Path,
    *,
    images: Path | None = None,
    direction: Direction = Direction.LTR,
    progress: Callable[[int, int], None] | None = None,
) -> Joined:
    """Join detections and VLM files into `out/pages.jsonl` (a DataSpec a line), `out/report.csv` and `out/v0.3`.

    The last is a folder of the same pages with their images, which can be imported as a dataset.
    `detections` is a COCO file or a folder of per-page files, `answers` the folder of VLM files, `images` a folder with
    the page images where they no longer lie at the recorded paths. The report has a row for each page and each VLM
    file: joined and by what evidence, or why not. `progress` is called with (pages done, pages in all).
    """
    if not answers.is_dir():
        raise Reject(f"{answers.name} is no folder; give the folder with the VLM's JSON files")
    if images is not None and not images.is_dir():
        raise Reject(f"{images.name} is no folder; give the folder with the page images")
    seen = list(read_detections(detections))
    out.mkdir(parents=True, exist_ok=True)
    pages_file, report_file = out / "pages.jsonl", out / "report.csv"
    drafts = [file.with_suffix(file.suffix + ".part") for file in (pages_file, report_file)]
    folder = JoinedFolder(out / "v0.3")
    pictures = RecordedImages(images, beside=detections.parent)
    index, unused = _tellings(seen, answers)
    statuses: Counter[str] = Counter()
    written = 0
    with drafts[0].open("wb") as lines, drafts[1].open("w", newline="", encoding="utf-8") as table:
        report = csv.DictWriter(table, COLUMNS, restval="")
        report.writeheader()
        for done, (place, page, comic, number) in enumerate(_in_order(seen), start=1):
            row, made = _joined(page, index.get(place), answers, comic, number, pictures, direction)
            if made is not None:
                spec, image = made
                folder.add(spec, image)
                lines.write(canonical(spec.model_dump(mode="json")) + b"\n")
                written += 1
            statuses[row["status"]] += 1
            report.writerow(row)
            if progress is not None:
                progress(done, len(seen))
        for row in unused:
            statuses[row["status"]] += 1
            report.writerow(row)
    for draft, file in zip(drafts, (pages_file, report_file), strict=True):
        draft.replace(file)
    folder.finish()
    return Joined(
        pages=written, statuses=dict(statuses), pages_file=pages_file, report_file=report_file, folder=out / "v0.3"
    )


def _tellings(seen: Sequence[SeenPage], answers: Path) -> tuple[dict[int, Place | str], list[dict[str, str]]]:
    """For each page (by its place in `seen`) its VLM file or why it has none, and rows for files of no page."""
    index = TellingIndex([page.path for page in seen])
    found: dict[int, list[Place]] = {}
    unused = []
    for file in sorted(answers.rglob("*.json")):
        name = file.relative_to(answers).as_posix()
        try:
            place = index.find(name, read_told(file).ids)
        except Unreadable as error:
            unused.append({"vlm_file": name, "status": "unreadable", "reason": f"it {error}"})
            continue
        if isinstance(place, str):
            unused.append({"vlm_file": name, "status": "unused", "reason": place})
        else:
            found.setdefault(place.page, []).append(place)
    given: dict[int, Place | str] = {}
    for page, places in found.items():
        if len(places) == 1:
            given[page] = places[0]
            continue
        given[page] = f"{len(places)} VLM files tell of it"
        unused += [
            {"vlm_file": place.file, "status": "unused", "reason": f"other files tell of {seen[page].path} too"}
            for place in places
        ]
    return given, unused


def _in_order(seen: Sequence[SeenPage]) -> Iterator[tuple[int, SeenPage, SpecComic, int]]:
    """Pages by comic and natural order in it; a comic is the folder below the one that all pages have in common."""
    paths = [PurePosixPath(plain_path(page.path)) for page in seen]
    shared = 0
    if paths:
        parents = [path.parent.parts for path in paths]
        while all(len(parts) > shared + 1 and parts[shared] == parents[0][shared] for parts in parents):
            shared += 1

    def folder(k: int) -> str:
        return "/".join(paths[k].parent.parts[shared:]) or "pages"

    order = sorted(range(len(seen)), key=lambda k: (folder(k), natural_key(paths[k].name)))
    for key, members in groupby(order, key=folder):
        comic = SpecComic(key=key, title=display_name(key).rpartition("/")[2])
        for number, k in enumerate(members):
            yield k, seen[k], comic, number


def _joined(
    page: SeenPage,
    place: Place | str | None,
    answers: Path,
    comic: SpecComic,
    number: int,
    pictures: RecordedImages,
    direction: Direction,
) -> tuple[dict[str, str], tuple[DataSpec, Path] | None]:
    """The report's row of a page, and its DataSpec with its image's file unless it cannot have one."""
    row = {"page": page.path, "vlm_file": place.file if isinstance(place, Place) else ""}
    if page.error:
        return {**row, "status": "refused", "reason": page.error}, None
    try:
        picture = pictures.of(page)
    except Reject as error:
        return {**row, "status": "no image", "reason": str(error)}, None
    boxes = page.panels
    if len(boxes) > MOST_PANELS:
        return {**row, "status": "refused", "reason": f"it has more than {MOST_PANELS} panels"}, None
    panels = [boxes[k] for k in reading_order([seen.box for seen in boxes], direction=direction)]
    heard: ToldPage | None = None
    reason = place if isinstance(place, str) else "no VLM file tells of it" if place is None else ""
    if isinstance(place, Place):
        heard = read_told(answers / place.file)
    specs, matched, how = _with_text(panels, heard, width=picture.width, height=picture.height)
    said = [part for part in (reason, page.doubt, how, *(heard.doubts if heard else ())) if part]
    row |= {"panels": str(len(panels)), "told": str(len(heard.panels)) if heard else "", "matched": str(matched)}
    row["evidence"] = place.evidence if isinstance(place, Place) else ""
    row["status"] = "ambiguous" if isinstance(place, str) else "no vlm" if heard is None else "joined"
    if heard is not None and heard.panels and not matched:
        row["status"] = "unmatched"
    spec = DataSpec(
        comic=comic,
        number=number,
        name=picture.name,
        image_sha256=picture.sha256,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        direction=direction,
        kind=layout_kind([seen.box for seen in panels], width=picture.width, height=picture.height),
        panels=specs,
        perfect=False,
        equal_counts=None if heard is None else len(heard.panels) == len(panels),
        provenance=SpecProvenance(layout="import", vlm=heard.model if heard else None),
    )
    return {**row, "reason": "; ".join(said)}, (spec, picture.file)


def _with_text(
    panels: Sequence[DetectedObject], heard: ToldPage | None, *, width: int, height: int
) -> tuple[list[SpecPanel], int, str]:
    """Panels with what was told of them, how many got something, and what is to be said about how."""
    bare = [SpecPanel(box=seen.box, score=seen.score, reason="nobody told of it") for seen in panels]
    if heard is None or not heard.panels:
        return bare, 0, "" if heard is None else "the VLM tells of no panel"
    answers = [
        PanelReading(number=k, status="ok", description=t.description, characters=t.characters, texts=t.texts)
        for k, t in enumerate(heard.panels, start=1)
    ]
    boxes = [_on_page(t.box, width, height) if t.box else Box(0, 0, 0, 0) for t in heard.panels]
    if any(t.box for t in heard.panels):
        reading = PageReading(summary="", panels=answers, missed=[])
        given = answers_by_panel(reading, boxes, [seen.box for seen in panels])
        overlap = iou_matrix(as_array([seen.box for seen in panels]), as_array(boxes))
        specs = [
            own if answer is None else _told_panel(own, answer, UNCONFIRMED, float(overlap[k, answer.number - 1]))
            for k, (own, answer) in enumerate(zip(bare, given, strict=True))
        ]
        matched, placed = sum(answer is not None for answer in given), sum(t.box is not None for t in heard.panels)
        without = f"; {len(boxes) - placed} told without a place" if placed < len(boxes) else ""
        return specs, matched, f"by place{without}"
    if len(answers) != len(panels):
        return bare, 0, f"{len(panels)} panels were found, {len(answers)} told of, none with its place"
    specs = [_told_panel(own, answer, BY_ORDER, BY_COUNT) for own, answer in zip(bare, answers, strict=True)]
    return specs, len(specs), BY_ORDER


def _told_panel(own: SpecPanel, answer: PanelReading, reason: str, confidence: float) -> SpecPanel:
    pieces = [
        PieceOfText(kind=piece.kind, text=piece.text, source="vlm", confidence=0.0, speaker=piece.speaker)
        for piece in answer.texts
    ]
    return SpecPanel(
        box=own.box, score=own.score, literal=pieces, descriptive=told(answer), characters=answer.characters,
        verdict="unverified", confidence=min(1.0, confidence), reason=reason,
    )  # fmt: skip


def _on_page(box: Box, width: int, height: int) -> Box:
    return Box(box.x * width, box.y * height, box.w * width, box.h * height)
