"""What the gutters of a made page show: plain paper, a texture, a gradient, a picture, faded or not."""

import numpy as np
from PIL import Image, ImageFilter

from services.training.generators.features import Features
from services.training.generators.layouts import Cell
from services.training.generators.pictures import ground_for
from services.training.generators.sheets import Sheet, union
from services.training.generators.styles import Style
from services.training.generators.textures import texture


def lay_ground(rng: np.random.Generator, *, size: tuple[int, int], style: Style, features: Features) -> Image.Image:
    """The page before anything is drawn on it."""
    width, height = size
    plain = Image.new("RGB", size, style.paper)
    if style.ground == "plain":
        return plain
    if style.ground == "gradient":
        return _gradient(rng, size=size, style=style)
    if style.ground == "texture":
        picture = texture(rng, width=width, height=height, tint=np.array(style.paper, np.float32))
        return Image.blend(plain, _greyed(picture, style), float(rng.uniform(0.3, 1.0)))
    line = max(width, height) / 450
    picture = ground_for(rng, style.artist, features, width=width, height=height, line=line).finished()
    if style.ground == "faded":
        picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(0.5, 4))))
        return Image.blend(plain, picture, float(rng.uniform(0.12, 0.4)))
    # Sharp and at full strength it would be a panel itself.
    picture = picture.filter(ImageFilter.BoxBlur(float(rng.uniform(2, 8))))
    return Image.blend(plain, picture, float(rng.uniform(0.45, 0.8)))


def shared_grounds(rng: np.random.Generator, sheet: Sheet, cells: list[Cell]) -> dict[int, Image.Image]:
    """One picture behind several neighbours, on few pages: for each of their indices the part in its box."""
    if len(cells) < 2 or rng.random() > 0.05:
        return {}
    first = int(rng.integers(len(cells) - 1))
    chosen = [k for k in range(first, min(len(cells), first + int(rng.integers(2, 5)))) if not cells[k].open]
    if not chosen:
        return {}
    whole = union([cells[k].box for k in chosen])
    left, top = int(np.floor(whole.x)), int(np.floor(whole.y))
    size = {"width": int(whole.w) + 3, "height": int(whole.h) + 3}
    line = max(sheet.image.size) / 450
    picture = ground_for(rng, sheet.style.artist, sheet.features, **size, line=line).finished()
    parts = {}
    for k in chosen:
        box = cells[k].box
        x, y = int(np.floor(box.x)) - left, int(np.floor(box.y)) - top
        w, h = max(4, int(np.ceil(box.right)) - x - left), max(4, int(np.ceil(box.bottom)) - y - top)
        parts[k] = picture.crop((x, y, x + w, y + h))
    return parts


def _gradient(rng: np.random.Generator, *, size: tuple[int, int], style: Style) -> Image.Image:
    """From the paper's colour to a darker, a lighter or another one."""
    width, height = size
    here = np.array(style.paper, np.float32)
    there = np.full(3, rng.integers(0, 256)) if style.grey else rng.integers(0, 256, 3)
    t = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    if rng.random() < 0.3:
        t = np.clip((t - 0.5) * float(rng.uniform(2, 8)) + 0.5, 0, 1)
    made = here + t * (there.astype(np.float32) - here)
    return Image.fromarray(np.broadcast_to(made, (height, width, 3)).astype(np.uint8))


def _greyed(image: Image.Image, style: Style) -> Image.Image:
    return image.convert("L").convert("RGB") if style.grey else image
