"""The lines around made panels: single, double, thick, a side left out, and the keyline of a panel laid on others."""

from PIL import Image, ImageDraw

from services.training.generators.artwork import Colour
from services.training.generators.layouts import Cell, Polygon


def draw_keyline(image: Image.Image, cell: Cell, *, ground: Colour | int | None = None) -> None:
    """Clears the ground around a panel that is laid over others; drawn before the panel itself."""
    frame = cell.frame
    if frame is None or frame.keyline <= 0:
        return
    wide = round(2 * frame.keyline + frame.line)
    fill = frame.ground if ground is None else ground
    ImageDraw.Draw(image).line(_closed(cell.polygon), fill=fill, width=wide, joint="curve")


def draw_frame(image: Image.Image, cell: Cell, *, ink: Colour | int | None = None) -> None:
    """Draws the frame of a cell along its outline, half of the line on either side; `ink` overrides its colours."""
    frame = cell.frame
    if frame is None or round(frame.line) < 1:
        return
    pen = ImageDraw.Draw(image)
    width = round(frame.line)
    fill = frame.ink if ink is None else ink
    if frame.missing and len(cell.polygon) == 4:
        for k, side in enumerate("trbl"):
            if side not in frame.missing:
                pen.line([cell.polygon[k], cell.polygon[(k + 1) % 4]], fill=fill, width=width)
        return
    path = _closed(cell.polygon)
    pen.line(path, fill=fill, width=width, joint="curve")
    if frame.double and width >= 3:
        pen.line(path, fill=frame.ground if ink is None else ink, width=max(1, width // 3), joint="curve")


def _closed(polygon: Polygon) -> Polygon:
    return [*polygon, polygon[0], polygon[1]]
