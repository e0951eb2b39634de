"""Pictures of failures: a page with what is true in green and what was found in red."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from shared.domain.schema import DetectedObject
from tests.bench.detection_truth import matches
from tests.bench.detector_measures import LOOSE, Measured

GREEN, RED = (0, 150, 40), (225, 20, 20)
LONG_SIDE = 1400
OTHERS = ("character", "text", "face")


def write_failures(pages: Iterable[Measured], folder: Path, *, objects: bool = False) -> int:
    """Writes every page whose panels or order are wrong as `folder/SET/NAME.png`; returns how many.

    `objects` adds `NAME-objects.png` for pages with a missed or a false character, text or face. Pictures of an
    earlier time are removed from the folders of the sets.
    """
    measured = list(pages)
    for name in {m.page.set for m in measured}:
        for old in (folder / name).glob("*.png"):
            old.unlink()
    count = 0
    for m in measured:
        stem = folder / m.page.set / Path(m.page.name).stem
        if m.failed:
            true = [DetectedObject(label="panel", box=box, score=1.0) for box in m.page.panels]
            _write(m, stem.with_suffix(".png"), true=true, found=m.layout.panels)
            count += 1
        if objects and _mistaken(m):
            found = [o for o in m.layout.objects if o.label in m.page.labels]
            _write(m, stem.with_name(f"{stem.name}-objects.png"), true=m.page.objects, found=found)
    return count


def _mistaken(m: Measured) -> bool:
    for label in OTHERS:
        true = [o.box for o in m.page.objects if o.label == label]
        found = [o.box for o in m.layout.objects if o.label == label and label in m.page.labels]
        if not len(matches(true, found, threshold=LOOSE)) == len(true) == len(found):
            return True
    return False


def _write(m: Measured, path: Path, *, true: Sequence[DetectedObject], found: Sequence[DetectedObject]) -> None:
    image = Image.fromarray(m.page.load())
    scale = min(1.0, LONG_SIDE / max(image.size))
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    pencil = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=20)
    for k, o in enumerate(true, start=1):
        _draw(pencil, o, scale=scale, colour=GREEN, inset=0)
        _tag(pencil, font, _name(o, k), at=(o.box.x * scale + 6, o.box.y * scale + 6), colour=GREEN)
    for k, o in enumerate(found, start=1):
        _draw(pencil, o, scale=scale, colour=RED, inset=4)
        at = (o.box.x * scale + 6, o.box.bottom * scale - 32)
        _tag(pencil, font, f"{_name(o, k)} {o.score:.2f}", at=at, colour=RED)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def _name(o: DetectedObject, number: int) -> str:
    return str(number) if o.label == "panel" else o.label[0]


def _draw(
    pencil: ImageDraw.ImageDraw, o: DetectedObject, *, scale: float, colour: tuple[int, int, int], inset: int
) -> None:
    left, top, right, bottom = (v * scale for v in (o.box.x, o.box.y, o.box.right, o.box.bottom))
    right, bottom = max(left + 2 * inset, right - 1), max(top + 2 * inset, bottom - 1)
    pencil.rectangle((left + inset, top + inset, right - inset, bottom - inset), outline=colour, width=3)


def _tag(
    pencil: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    words: str,
    *,
    at: tuple[float, float],
    colour: tuple[int, int, int],
) -> None:
    pencil.rectangle(pencil.textbbox(at, words, font=font), fill=(255, 255, 255))
    pencil.text(at, words, fill=colour, font=font)
