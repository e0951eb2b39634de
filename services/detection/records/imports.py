"""Panels from a file as imported layouts of the pages they belong to, in force unless a person has said otherwise."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from services.detection.exchange.formats import opened
from services.detection.exchange.mapping import Told
from services.detection.exchange.matching import Match
from services.detection.exchange.stated import StatedImage, StatedObjects, layout_of
from services.detection.layouts import guess_direction
from services.detection.records.matches import SLICE, matched
from shared.domain.metadata import stated_direction
from shared.domain.page_order import display_name
from shared.domain.panel_exchange import STATUSES, ImportExample, PanelImport, Status
from shared.domain.pipeline import STAGES
from shared.domain.schema import Direction, PagePanels
from shared.errors import Reject
from shared.settings import Settings
from shared.store.active import activate
from shared.store.db import Row, rows, unit_of_work
from shared.store.layouts import import_layout
from shared.work import jobs

EXAMPLES = 10  # of each status
PAGES = """
    SELECT p.id, p.comic_id, p.name, p.width, p.height, p.state, p.error, p.hidden, p.layout_id, l.source,
           c.direction, c.language
    FROM page p JOIN comic c ON c.id = p.comic_id LEFT JOIN layout l ON l.id = p.layout_id"""


@dataclass
class _Tally:
    """What has come of the images so far."""

    counts: Counter[Status] = field(default_factory=Counter)
    examples: dict[Status, list[ImportExample]] = field(default_factory=lambda: defaultdict(list))

    def add(self, status: Status, key: str, *, page: int | None = None, reason: str | None = None) -> None:
        self.counts[status] += 1
        if len(self.examples[status]) < EXAMPLES:
            self.examples[status].append(
                ImportExample(image=display_name(key.replace("\\", "/")), page_id=page, reason=reason)
            )


def import_panels(
    url: str,
    configured: Settings,
    file: Path,
    *,
    name: str,
    mapping: Mapping[str, Told],
    dry_run: bool,
    wake: Callable[[Mapping[str, int]], object],
) -> PanelImport:
    """Take in a file of panels, comic by comic, each in a transaction; what came of its images.

    `name` is what the file is called, `mapping` says which pages images are, `wake` is called with the jobs planned for
    each comic: text follows the new panels, vectors follow the text, nothing paid is asked again. Importing a file
    twice adds nothing. `Reject` when the file is in no format known here.
    """
    stated = opened(file, name=name)
    images = {image.key: image for image in stated.images()}
    tally = _Tally()
    with unit_of_work(url) as connection:
        matches = matched(connection, images, mapping)
    found = _settled(images, matches, tally)
    with unit_of_work(url) as connection:
        comics = _by_comic(connection, found)
    objects = stated.objects({images[key].key for members in comics.values() for key in members.values()})
    for members in comics.values():
        with unit_of_work(url) as connection:
            planned = _import_comic(
                connection, configured, members, images, objects, tally, author=display_name(name), dry_run=dry_run
            )
        wake(planned)
    return PanelImport(
        file=display_name(name),
        dry_run=dry_run,
        images=len(images),
        matched=sum(match.page_id is not None for match in matches.values()),
        by=dict(Counter(match.how for match in matches.values() if match.page_id is not None)),
        comics=len(comics),
        counts={status: tally.counts[status] for status in STATUSES},
        left_out=dict(stated.left_out.most_common(50)),
        examples={status: tally.examples[status] for status in STATUSES if tally.examples[status]},
    )


def _settled(images: Mapping[str, StatedImage], matches: Mapping[str, Match], tally: _Tally) -> dict[int, str]:
    """The image of every page that has one; pages that several images claim have none."""
    claims = Counter(match.page_id for match in matches.values() if match.page_id is not None)
    found: dict[int, str] = {}
    for key, image in images.items():
        match = matches[key]
        if match.page_id is None:
            if match.how == "several":
                tally.add("ambiguous", key, reason=f"it may be page {', '.join(map(str, match.pages[:5]))}")
            else:
                tally.add("orphaned", key, reason="no page of a comic has this path, content or name")
        elif claims[match.page_id] > 1:
            tally.add("ambiguous", key, page=match.page_id, reason=f"{claims[match.page_id]} images are this page")
        elif image.error is not None:
            tally.add("refused", key, page=match.page_id, reason=image.error)
        else:
            found[match.page_id] = key
    return found


def _by_comic(connection: sa.Connection, found: Mapping[int, str]) -> dict[int, dict[int, str]]:
    comics: dict[int, dict[int, str]] = defaultdict(dict)
    ids = sorted(found)
    for start in range(0, len(ids), SLICE):
        for page in rows(
            connection,
            "SELECT id, comic_id FROM page WHERE id = ANY(:ids) ORDER BY comic_id, number",
            ids=ids[start : start + SLICE],
        ):
            comics[page["comic_id"]][page["id"]] = found[page["id"]]
    return comics


def _import_comic(
    connection: sa.Connection,
    configured: Settings,
    members: Mapping[int, str],
    images: Mapping[str, StatedImage],
    objects: Mapping[str, StatedObjects],
    tally: _Tally,
    *,
    author: str,
    dry_run: bool,
) -> dict[str, int]:
    """Store what is stated of a comic's pages; the jobs that follow."""
    ids = sorted(members)
    # Their jobs before the pages themselves, in the order of whoever ends one.
    aligned = rows(
        connection,
        "SELECT id, subject_id FROM job WHERE stage = 'align' AND subject_id = ANY(:ids) AND state <> 'queued' "
        "ORDER BY id FOR UPDATE",
        ids=ids,
    )
    rows(connection, "SELECT id FROM page WHERE id = ANY(:ids) ORDER BY id FOR NO KEY UPDATE", ids=ids)
    pages = rows(connection, f"{PAGES} WHERE p.id = ANY(:ids) ORDER BY p.number", ids=ids)
    way = _direction(configured, pages, [objects.get(members[page["id"]], StatedObjects()) for page in pages])
    changed, again = [], []
    for page in pages:
        key = members[page["id"]]
        try:
            layout = _layout(page, images[key], objects.get(key, StatedObjects()), way)
        except Reject as error:
            tally.add("refused", key, page=page["id"], reason=str(error))
            continue
        made, new = import_layout(connection, page["id"], layout, author=author, dry_run=dry_run)
        if page["source"] == "person":
            tally.add("outranked" if new else "unchanged", key, page=page["id"], reason="a person has corrected it")
        else:
            there = not new and made == page["layout_id"]
            tally.add("unchanged" if there else "added", key, page=page["id"])
            if not there and made is not None and not dry_run:
                activate(connection, page["id"], "layout_id", made, source="import")
                changed.append(page["id"])
                again += [] if new else [page["id"]]
    # A layout that was in force before: what was aligned since is about another.
    connection.execute(
        sa.text(
            "UPDATE job SET fingerprint = concat(fingerprint, ' overtaken ', id) "
            "WHERE id = ANY(:ids) AND fingerprint NOT LIKE '% overtaken %'"
        ),
        {"ids": [job["id"] for job in aligned if job["subject_id"] in set(again)]},
    )
    if not changed:
        return {}
    names = ("read", "align") if configured.read == "boxes" else ("align",)
    planned = {name: jobs.plan(connection, STAGES[name], configured, subjects=changed) for name in names}
    return {name: count for name, count in planned.items() if count}


def _direction(configured: Settings, pages: Sequence[Row], seen: Sequence[StatedObjects]) -> Direction:
    """Which way the comic is read: as it is stated, else as the lettering in the file tells."""
    if not pages:
        return Direction.LTR
    said = stated_direction(pages[0]["direction"], pages[0]["language"], usual=configured.direction)
    if said is not None:
        return Direction(said)
    return guess_direction([o for o, _ in page if o.label == "text"] for page in seen)


def _layout(page: Row, image: StatedImage, seen: StatedObjects, way: Direction) -> PagePanels:
    if page["state"] != "ok":
        raise Reject(f"the page could not be read: {page['error']}")
    if page["hidden"] is not None:
        raise Reject("the page is hidden and not worked on")
    return layout_of(image, seen, width=page["width"], height=page["height"], direction=image.direction or way)
