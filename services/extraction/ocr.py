"""Engine "ocr": literal text with boxes from RapidOCR (PP-OCR networks on onnxruntime), offline and free.

The models come inside the rapidocr wheel: 18,708 characters, Latin with accents, Greek, Han and kana; no Cyrillic,
Hangul, Arabic or Hebrew. Text is located here on pieces of a size the network reads well and recognised from the
page's own pixels, since RapidOCR alone shrinks a tall strip until its lettering is lost. It is not asked to turn text
upside down: lettering in comics is slanted, which its classifier takes for inverted ("Oh no !!!" came out "iii ou yo").
"""

import math
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from shared.domain.geometry import clip
from shared.domain.schema import Box, PageExtraction, TextLine
from shared.domain.text import CJK

Picture = NDArray[np.uint8]  # (H, W, 3) RGB
Quads = NDArray[np.float32]  # (N, 4, 2) corners in page pixels, clockwise from where the text begins
Read = Literal["full", "boxes"]

NETWORKS = "PP-OCRv6_{}_small"
PAGE_WIDTH = 1000  # pixels to which a page is scaled for the search; wider, lettering is found no better but later
PAGE_ASPECT = 1.4  # height of a usual page over its width, so that a spread is searched as two pages
LARGEST_SCALE = 2.5  # blowing up further finds nothing more
PIECE = 1600  # longest side of what is searched at once
OVERLAP = 320  # of neighbouring pieces: at least a column of vertical lettering
# Columns stand as close to each other as their characters and are taken for rows, unless the page is squeezed in y:
# on a hand-read strip this found 95 % of the characters in their columns instead of 78 %.
COLUMN_SQUEEZE = 0.64
MARGIN = 12.0  # page pixels added around given text boxes, which detectors draw tight
STRIDE = 32  # the locating network wants sides that are multiples of this


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """Confidence that a line needs to be kept; hatching is read as one or two doubtful characters."""

    long: float = 0.6
    short: float = 0.8

    def allows(self, text: str, confidence: float) -> bool:
        """Whether a line is believed."""
        written = sum(character.isalnum() for character in text)
        return confidence >= (self.long if written > 2 else self.short)


class OcrReader:
    """Reads pages; loads its networks at the first page and keeps them. Safe to share between threads.

    `threads` bounds onnxruntime's threads and, for the whole process, OpenCV's.
    """

    engine = "ocr"

    def __init__(self, *, threads: int = 1, doubt: Doubt | None = None) -> None:
        self.threads = threads
        self.doubt = doubt or Doubt()
        self.model = f"rapidocr {version('rapidocr')} {NETWORKS.format('det+rec')}"
        self._rapid: Any = None
        self._lock = threading.Lock()

    def read_page(self, image: Picture, *, read: Read = "full", boxes: Sequence[Box] = ()) -> PageExtraction:
        """Lines of a page with boxes in its pixels; with `read="boxes"` text is looked for only inside `boxes`.

        Args:
            image: (H, W, 3) RGB uint8, the page as displayed.
        """
        height, width = image.shape[:2]
        page = Box(0, 0, width, height)
        regions = [page] if read == "full" else [region for box in boxes if (region := _widened(box, page)).area > 0]
        scale = search_scale(width, height)
        lines = self._recognise(image, self._locate(image, regions, (scale, scale)), scale)
        if in_columns(lines):
            squeezed = (scale, COLUMN_SQUEEZE * scale)
            lines = self._recognise(image, self._locate(image, regions, squeezed), scale)
        return PageExtraction(engine=self.engine, model=self.model, lines=lines, whole_page=read == "full")

    def _locate(self, image: Picture, regions: Sequence[Box], scale: tuple[float, float]) -> Quads:
        """Where text is: every region searched at a scale of x and y; what several pieces saw is taken once."""
        seen: list[_Seen] = []
        for region in regions:
            for piece in pieces(region, longest=PIECE / max(scale), overlap=OVERLAP / max(scale)):
                left, top, right, bottom = (round(edge) for edge in (piece.x, piece.y, piece.right, piece.bottom))
                searched = _resized(image[top:bottom, left:right], scale)
                found = self._engine()(_bgr(_padded(searched)), use_det=True, use_cls=False, use_rec=False)
                if found.boxes is None:
                    continue
                size = np.array([right - left, bottom - top], np.float32)
                ratio = size / np.array([searched.shape[1], searched.shape[0]], np.float32)
                for quad in np.asarray(found.boxes, np.float32):
                    inside = np.clip(quad * ratio, 0, size)
                    seen.append(_Seen.of(inside + np.array([left, top], np.float32), piece=piece, region=region))
        quads = [own.quad for own in _once(seen) if own.box.w >= 4 and own.box.h >= 4]
        return np.stack(quads) if quads else np.zeros((0, 4, 2), np.float32)

    def _recognise(self, image: Picture, quads: Quads, scale: float) -> list[TextLine]:
        if len(quads) == 0:
            return []
        # The network takes 48 pixels a line; from far larger lettering it would pick every few pixels.
        finest = min(1.0, 2 * scale)
        pixels = _bgr(_resized(image, (finest, finest)))
        engine = self._engine()
        read = engine.recognize_txt(engine.crop_text_regions(pixels, quads * np.float32(finest)))
        lines = []
        for quad, text, confidence in zip(quads, read.txts, read.scores, strict=True):
            if text.strip() and self.doubt.allows(text, confidence):
                lines.append(TextLine(text=text.strip(), box=_bounds(quad), confidence=min(1.0, float(confidence))))
        return lines

    def _engine(self) -> Any:
        with self._lock:
            if self._rapid is None:
                self._rapid = _load(self.threads)
            return self._rapid


def _load(threads: int) -> Any:
    # Both take most of a second to import, and who never reads a page shall not wait.
    import cv2
    import rapidocr

    cv2.setNumThreads(threads)
    models = Path(rapidocr.__file__).parent / "models"
    paths = {role: models / (NETWORKS.format(role) + ".onnx") for role in ("det", "rec")}
    for path in paths.values():
        if not path.is_file():  # RapidOCR would fetch what it misses from the network
            raise RuntimeError(f"this rapidocr does not carry {path.name}; install the version in requirements.lock")
    return rapidocr.RapidOCR(
        params={
            "Global.log_level": "critical",
            "Global.use_preprocess_img": False,
            "Global.use_vertical_padding": False,
            "Global.use_cls": False,
            "Det.model_path": str(paths["det"]),
            "Det.limit_type": "max",
            "Det.limit_side_len": 2 * PIECE,
            "Det.use_dilation": False,  # it glues neighbouring columns together
            "Rec.model_path": str(paths["rec"]),
            # Lines padded to their batch's longest cost a third of the time and half of the memory.
            "Rec.rec_batch_num": 1,
            "EngineConfig.onnxruntime.intra_op_num_threads": max(1, min(threads, os.cpu_count() or 1)),
            "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        }
    )


def search_scale(width: int, height: int) -> float:
    """Factor that makes lettering as large as on a page `PAGE_WIDTH` wide; a strip counts by its width however tall."""
    scale = min(LARGEST_SCALE, PAGE_WIDTH / min(width, height / PAGE_ASPECT))
    return 1.0 if 0.9 <= scale <= 1.1 else scale


def in_columns(lines: Sequence[TextLine]) -> bool:
    """Whether a good part of the text is set in columns of Han or kana."""
    upright = sum(len(line.text) for line in lines if line.box.h >= 1.5 * line.box.w and CJK.search(line.text))
    return upright > 0.3 * sum(len(line.text) for line in lines)


def pieces(region: Box, *, longest: float, overlap: float) -> Iterator[Box]:
    """`region` as overlapping boxes with no side above `longest`, equal in size."""
    for y, h in _cuts(region.y, region.h, longest, overlap):
        for x, w in _cuts(region.x, region.w, longest, overlap):
            yield Box(x, y, w, h)


def _cuts(start: float, length: float, longest: float, overlap: float) -> list[tuple[float, float]]:
    if length <= longest:
        return [(start, length)]
    count = math.ceil((length - overlap) / (longest - overlap))
    size = (length + (count - 1) * overlap) / count
    return [(start + i * (size - overlap), size) for i in range(count)]


@dataclass(frozen=True)
class _Seen:
    """Text seen in one piece; `cut` when it touches an edge at which the piece ends but the region goes on."""

    quad: NDArray[np.float32]
    box: Box
    piece: Box
    cut: bool

    @staticmethod
    def of(quad: NDArray[np.float32], *, piece: Box, region: Box) -> "_Seen":
        box, near = _bounds(quad), 3.0
        cut = (
            (piece.x > region.x and box.x < piece.x + near)
            or (piece.y > region.y and box.y < piece.y + near)
            or (piece.right < region.right - 1 and box.right > piece.right - near)
            or (piece.bottom < region.bottom - 1 and box.bottom > piece.bottom - near)
        )
        return _Seen(quad, box, piece, cut)


def _once(seen: Sequence[_Seen]) -> list[_Seen]:
    """Text seen by two pieces, once: whole rather than cut, larger rather than smaller, two cut ends as one."""
    kept: list[_Seen] = []
    for new in sorted(seen, key=lambda own: (own.cut, -own.box.area)):
        twin = next((i for i, old in enumerate(kept) if old.piece != new.piece and _same(old.box, new.box)), None)
        if twin is None:
            kept.append(new)
        elif kept[twin].cut and new.cut:
            kept[twin] = _joined(kept[twin], new)
    return kept


def _same(a: Box, b: Box) -> bool:
    shared = max(0.0, min(a.right, b.right) - max(a.x, b.x)) * max(0.0, min(a.bottom, b.bottom) - max(a.y, b.y))
    return shared > 0.5 * min(a.area, b.area)


def _joined(a: _Seen, b: _Seen) -> _Seen:
    x, y = min(a.box.x, b.box.x), min(a.box.y, b.box.y)
    right, bottom = max(a.box.right, b.box.right), max(a.box.bottom, b.box.bottom)
    quad = np.array([[x, y], [right, y], [right, bottom], [x, bottom]], np.float32)
    return _Seen(quad, _bounds(quad), a.piece, a.cut)


def _bounds(quad: NDArray[np.float32]) -> Box:
    (x, y), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    return Box(float(x), float(y), float(right - x), float(bottom - y))


def _widened(box: Box, page: Box) -> Box:
    return clip(Box(box.x - MARGIN, box.y - MARGIN, box.w + 2 * MARGIN, box.h + 2 * MARGIN), page.w, page.h)


def _resized(image: Picture, scale: tuple[float, float]) -> Picture:
    if scale == (1.0, 1.0):
        return image
    size = (max(1, round(image.shape[1] * scale[0])), max(1, round(image.shape[0] * scale[1])))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BICUBIC))


def _padded(image: Picture) -> Picture:
    rows, columns = (-side % STRIDE for side in image.shape[:2])
    return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")


def _bgr(image: Picture) -> Picture:
    return np.ascontiguousarray(image[:, :, ::-1])
