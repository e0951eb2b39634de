"""Whether a trained detector is better than the one in use: both on the same corrected pages, by the same code."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from torchvision.models.detection import FasterRCNN

from services.training.corrections import LONGEST
from services.training.detector_pages import Picture, looked_at, whole_page
from services.training.detector_scores import judge, scores_of
from services.training.generators.material import Material
from shared.domain.schema import OBJECT_LABELS, DetectedObject, ObjectLabel
from shared.domain.training import DetectorVerdict
from shared.nn.calibration import calibrated, fit_calibration
from shared.nn.detector import load_detector
from shared.nn.detector_config import Calibration, DetectorConfig

Detector = tuple[FasterRCNN, DetectorConfig]
LIKELY = 0.5  # a box more likely than not is taken for a panel


def calibrate(detector: Detector, pages: Sequence[Picture]) -> Detector:
    """A detector whose scores are probabilities, as far as pages it was not trained on can tell."""
    model, config = detector
    truth, found = _seen(model, config.model_copy(update={"calibration": {}}), pages)
    fitted: dict[ObjectLabel, Calibration] = {}
    for label in OBJECT_LABELS:
        judged = judge(truth, found, label=label)
        fitted[label] = fit_calibration(zip(judged.scores.tolist(), judged.right.tolist(), strict=True))
    return model, config.model_copy(update={"calibration": fitted})


def verdict(new: Detector, held_out: Material, *, active: Path, beside: int, note: str, device: str) -> DetectorVerdict:
    """The new detector beside the one of the folder `active`, checkpoint `beside`; `note` says what was kept aside.

    The new one is better when it finds panels better or gets more pages exactly right, and neither is worse. Raises
    `Reject` when the folder holds no detector.
    """
    old = load_detector(active)
    old[0].to(device)
    figures = [_figures(*detector, held_out) for detector in (old, new)]
    (f1, right), (new_f1, new_right) = ((found["f1"], found["pages_right"]) for found in figures)
    count = len(held_out.pages)
    return DetectorVerdict(
        better=new_f1 >= f1 and new_right >= right and (new_f1, new_right) != (f1, right),
        held_out_pages=count,
        beside=beside,
        old=figures[0],
        new=figures[1],
        why=(
            f"On {count} corrected {'page' if count == 1 else 'pages'} {note} panels are found with F1 {f1:.3f} by "
            f"checkpoint {beside} and {new_f1:.3f} by the new one; {round(right * count)} and "
            f"{round(new_right * count)} of them are exactly right."
        ),
    )


def _figures(model: FasterRCNN, config: DetectorConfig, held_out: Material) -> dict[str, float]:
    truth, found = _seen(model, config, (whole_page(page, long_side=LONGEST) for page in held_out.pages))
    panels = judge(truth, found, label="panel")
    right = [_exactly_right(*page) for page in zip(truth, found, strict=True)]
    average = {
        name.removeprefix("on_"): value
        for name, value in scores_of(truth, found, prefix="on").items()
        if name.endswith("_ap")
    }
    return {"f1": panels.f1(LIKELY), "pages_right": sum(right) / len(right), **average}


def _seen(
    model: FasterRCNN, config: DetectorConfig, pages: Iterable[Picture]
) -> tuple[list[list[DetectedObject]], list[list[DetectedObject]]]:
    truth, found = looked_at(model, pages, config=config)
    return truth, [calibrated(page, config.calibration) for page in found]


def _exactly_right(truth: Sequence[DetectedObject], found: Sequence[DetectedObject]) -> bool:
    judged = judge([truth], [found], label="panel")
    kept = judged.scores >= LIKELY
    return int(kept.sum()) == int(judged.right[kept].sum()) == judged.true
