from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from services.detection.detector import Detector
from shared.domain.pictures import decode
from shared.domain.schema import Direction

Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def shown(detector: Detector, image: Picture) -> tuple[str, str | None]:
    page = detector.detect([image], direction=Direction.LTR)[0]
    return page.kind, page.reason


@pytest.mark.parametrize(
    ("name", "kind", "reasons"),
    [
        ("page-blanche/PageBlanche_Page_002.jpg", "none", {"text"}),
        ("page-blanche/PageBlanche_Page_003.jpg", "none", {"pictures", "text"}),
        ("page-blanche/PageBlanche_Page_004.jpg", "none", {"blank"}),
        ("pepper-carrot-ep03/001.jpg", "splash", {None}),
        ("pepper-carrot-ep17/page8.jpg", "none", {"text"}),
    ],
)
def test_real_covers_titles_and_credits(
    samples: Path, detector: Detector, name: str, kind: str, reasons: set[str | None]
) -> None:
    found = shown(detector, decode((samples / name).read_bytes(), name=name))
    assert found[0] == kind
    assert found[1] in reasons


@pytest.mark.parametrize("level", [0, 255])
def test_an_empty_page_is_blank(detector: Detector, level: int) -> None:
    assert shown(detector, np.full((900, 640, 3), level, np.uint8)) == ("none", "blank")


@pytest.mark.parametrize("shape", [(900, 640), (10_000, 1), (1, 10_000), (30, 20_000), (20_000, 30)])
def test_noise_of_any_shape_is_answered(detector: Detector, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (*shape, 3), dtype=np.uint8)
    kind, reason = shown(detector, noise)
    assert (kind == "none") == (reason is not None)
    assert reason != "blank"
