"""What can be seen of people once a picture is finished: boxes cut by what stands in front and by the panel's edge."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from services.training.generators.artwork import Drawn
from services.training.generators.canvases import COARSE, Canvas, Points
from shared.domain.schema import Box

SMALLEST = 0.03  # of the page's longer side: smaller figures are no characters
SLIVER = 0.06  # of a figure's box or of the picture: whoever shows less, and no face, is not recognised
Cast = list[tuple[int, Drawn, int]]  # owner, what was drawn, how many map cells it covered then


@dataclass(frozen=True)
class Sight:
    """What is left to see of one owner: `cells` of the map, and the box around them."""

    cells: int
    box: Box | None


def sight(canvas: Canvas, owner: int, extent: Box) -> Sight:
    """What can be seen of an owner that was drawn within `extent`: hidden and outlying sides are cut off."""
    left, top = max(0, int(extent.x / COARSE)), max(0, int(extent.y / COARSE))
    right = min(canvas.owners.width, int(extent.right / COARSE) + 1)
    bottom = min(canvas.owners.height, int(extent.bottom / COARSE) + 1)
    if right <= left or bottom <= top:
        return Sight(0, None)
    mine = np.asarray(canvas.owners.crop((left, top, right, bottom))) == owner
    rows, columns = mine.any(axis=1).nonzero()[0], mine.any(axis=0).nonzero()[0]
    if len(rows) == 0:
        return Sight(0, None)
    found = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
    slack = 2 * COARSE
    seen = [(corner + found[k]) * COARSE for k, corner in enumerate((left, top, left, top))]
    seen[2], seen[3] = min(seen[2], canvas.width), min(seen[3], canvas.height)
    x0 = float(seen[0]) if seen[0] - extent.x > slack else max(extent.x, 0.0)
    y0 = float(seen[1]) if seen[1] - extent.y > slack else max(extent.y, 0.0)
    x1 = float(seen[2]) if extent.right - seen[2] > slack else min(extent.right, float(canvas.width))
    y1 = float(seen[3]) if extent.bottom - seen[3] > slack else min(extent.bottom, float(canvas.height))
    return Sight(int(mine.sum()), Box(x0, y0, max(0.0, x1 - x0), max(0.0, y1 - y0)))


def owner_at(canvas: Canvas, x: float, y: float) -> int:
    """Who is seen at a point; -1 outside of the picture."""
    column, row = int(x / COARSE), int(y / COARSE)
    if not (0 <= x < canvas.width and 0 <= y < canvas.height):
        return -1
    found = canvas.owners.getpixel((column, row))
    assert isinstance(found, int | float)
    return int(found)


def seen(canvas: Canvas, drawn: Cast, *, shape: Points, page: int, faceless: bool) -> list[Drawn]:
    """Everybody of whom enough can be seen inside a panel's outline, with the boxes of what is seen.

    `page` is the longer side of the panel's page in pixels; `faceless` people are silhouettes.
    """
    inside = Image.new("L", canvas.owners.size)
    ImageDraw.Draw(inside).polygon((shape / COARSE).ravel().tolist(), fill=255)
    canvas.owners = ImageChops.multiply(canvas.owners, inside)
    least = SMALLEST * page
    people: list[Drawn] = []
    for owner, one, covered in drawn:
        left = sight(canvas, owner, one.whole)
        if left.box is None or max(left.box.w, left.box.h) < least or left.cells < 0.25 * covered or left.cells < 12:
            continue
        face = None if faceless else _face(canvas, owner, one.face)
        if face is None and left.box.area < SLIVER * min(one.whole.area, canvas.width * canvas.height):
            continue
        people.append(Drawn(left.box, face, one.mouth))
    return people


def _face(canvas: Canvas, owner: int, face: Box | None) -> Box | None:
    """What is seen of a face; None where neither an eye nor the mouth is."""
    if face is None:
        return None
    spots = ((0.3, 0.42), (0.7, 0.42), (0.5, 0.78), (0.5, 0.6))
    clear = sum(owner_at(canvas, face.x + a * face.w, face.y + b * face.h) == owner for a, b in spots)
    if clear < (2 if face.h < canvas.height else 1):
        return None
    left, top = max(face.x, 0.0), max(face.y, 0.0)
    right, bottom = min(face.right, float(canvas.width)), min(face.bottom, float(canvas.height))
    part = Box(left, top, right - left, bottom - top)
    seen = sight(canvas, owner, part).box
    if seen is None or min(seen.w, seen.h) < 4 or seen.area < 0.3 * part.area:
        return None
    return seen
