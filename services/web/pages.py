"""Templates, and how they say numbers, sizes, ages and money. What a page prints is escaped, whoever wrote it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"
MODULES = HERE.parents[1] / "node_modules"
# What we serve of the libraries that `npm ci` installs: our name, and the file inside node_modules.
LIBRARIES = {
    "htmx.js": "htmx.org/dist/htmx.min.js",
    "uplot.js": "uplot/dist/uPlot.esm.js",
    "uplot.css": "uplot/dist/uPlot.min.css",
}
MEASURES = {
    "crop_to_panel": "A piece of a panel finds its panel",
    "noisy": "A spoiled panel finds itself",
    "noisy_no_text": "… by its picture alone",
    "noisy_no_picture": "… by its words alone",
    "image_to_text": "A picture finds its words",
    "text_to_image": "Words find their picture",
    "masked_panel": "A hidden panel is found by its neighbours",
    "reading_path": "Which panel comes next, by content",
    "page_order": "Two pages: following, swapped or unrelated",
    "real_panel_f1": "Panels on corrected pages, F1",
    "real_panel_ap": "… average precision",
    "made_panel_f1": "Panels on made pages, F1",
    "made_panel_ap": "… average precision",
    "real_character_ap": "Characters on corrected pages, average precision",
    "made_character_ap": "… on made pages",
    "real_face_ap": "Faces on corrected pages, average precision",
    "made_face_ap": "… on made pages",
    "real_text_ap": "Texts on corrected pages, average precision",
    "made_text_ap": "… on made pages",
}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def missing_libraries() -> list[str]:
    """Files of the JavaScript libraries that are not installed."""
    return [path for path in LIBRARIES.values() if not (MODULES / path).is_file()]


def asset_path(folder: str, name: str) -> Path | None:
    """The file behind `/ui/static/NAME` or `/ui/vendor/NAME`; None when there is none of ours."""
    if folder == "vendor":
        path = MODULES / LIBRARIES[name] if name in LIBRARIES else None
    else:
        path = STATIC / name if name in {file.name for file in STATIC.iterdir()} else None
    return path if path is not None and path.is_file() else None


def fingerprint(path: Path) -> str:
    """A short hash of a file's bytes, read again only when the file changed."""
    stat = path.stat()
    return _hashed(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _hashed(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def asset(folder: str, name: str) -> str:
    """The address of a static file, with the hash of its bytes: browsers may keep it for ever."""
    path = asset_path(folder, name)
    return f"/ui/{folder}/{name}" + (f"?v={fingerprint(path)}" if path is not None else "")


def size(number_of_bytes: int) -> str:
    """Bytes as people say them."""
    amount = float(number_of_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if amount >= 10 or unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: float | None, one: str = "", many: str = "") -> str:
    """A number with thin groups, and its noun: `count(1, "page")`, `count(2, "entry", "entries")`."""
    if number is None:
        return "–"
    digits = f"{number:,}".replace(",", "\u202f")
    return f"{digits} {one if number == 1 else many or one + 's'}" if one else digits


def usd(amount: Decimal | float | None) -> str:
    """Money; what is not known is called unknown, never 0."""
    if amount is None:
        return "unknown"
    cents = Decimal(str(amount)) * 100
    return f"${amount:,.2f}" if cents == int(cents) or cents >= 100 else f"${amount:,.4f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of one in percent."""
    return "–" if share is None else f"{share * 100:.{digits}f} %"


def when(moment: datetime | None) -> str:
    """A moment as far away as it feels."""
    if moment is None:
        return "–"
    seconds = (datetime.now(UTC) - moment).total_seconds()
    if seconds < 60:
        return "just now"
    for limit, length, unit in ((3600, 60, "minute"), (86400, 3600, "hour"), (7 * 86400, 86400, "day")):
        if seconds < limit:
            return f"{count(int(seconds // length), unit)} ago"
    return f"{moment.day} {moment:%b %Y}"


@dataclass(frozen=True)
class Measure:
    """One line about held-out comics: shares of queries answered rightly, None where that was not measured."""

    what: str
    start: float | None
    now: float
    among_ten: float | None
    chance: float | None


def measured(first: Mapping[str, float], latest: Mapping[str, float]) -> list[Measure]:
    """What a run's first and newest measures say, the known ones in our order, then whatever else there is."""
    beside = ("_chance", "_geometric", "_neighbours", "_r10")
    names = [name.removesuffix("_r1") for name in latest if not name.endswith(beside)]
    known = [name for name in MEASURES if name in names]
    return [_measure(name, first, latest) for name in (*known, *(name for name in names if name not in MEASURES))]


def _measure(name: str, first: Mapping[str, float], latest: Mapping[str, float]) -> Measure:
    key = f"{name}_r1" if f"{name}_r1" in latest else name
    return Measure(
        what=MEASURES.get(name, name.replace("_", " ")),
        start=first.get(key),
        now=latest[key],
        among_ten=latest.get(f"{name}_r10"),
        chance=latest.get(f"{key}_chance"),
    )


def card_state(card: Mapping[Any, Any]) -> str:
    """What a comic's card says of it: failed, waiting, working, look (something needs a look) or ready."""
    if card["ingest_state"] == "failed":
        return "failed"
    if card["page_count"] is None:
        return "waiting"
    if card["ended"] < card["total"]:
        return "working"
    return "look" if card["failed"] or card["unreadable"] else "ready"


def place_in_series(comic: Mapping[Any, Any]) -> str:
    """A comic's series, number, volume and year, those that are known: `The Lantern Year #2 · vol. 1 · 2014`."""
    number = f"#{comic['number']}" if comic["number"] else ""
    volume = f"vol. {comic['volume']}" if comic["volume"] is not None else ""
    named = " ".join(part for part in (comic["series"], number) if part)
    return " · ".join(part for part in (named, volume, str(comic["year"] or "")) if part)


def build_environment() -> Environment:
    """The templates; whatever they print is escaped, and a name they misspell is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(size=size, count=count, usd=usd, percent=percent, when=when)
    made.globals.update(
        asset=asset, card_state=card_state, missing_libraries=missing_libraries, place_in_series=place_in_series
    )
    return made
