"""Scores as probabilities: fits a detector's calibration and writes it into its `config.json`.

Fitted on made pages that are neither trained nor measured on, and on the annotated pages of the training material;
never on a page of the sets of `make eval-detector`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from services.detection.cuts import proposed
from services.training.detector_scores import judge
from shared.domain.schema import OBJECT_LABELS, DetectedObject, ObjectLabel
from shared.nn.calibration import calibrated, fit_calibration
from shared.nn.detector import load_detector, predict
from shared.nn.detector_config import CONFIG, written
from shared.nn.files import write_durably
from tests.bench.detector_sets import CALIBRATION_SEED, TRAINED_ON, TRUTH, EvalPage, annotated, made_pages

EACH = 12  # made pages of every class
AT_ONCE = 8
Answers = list[tuple[float, bool]]


def calibrate(weights: Path, *, samples: Path, each: int = EACH) -> None:
    """Fits slope and offset of every class at IoU 0.5, prints them beside what they change, and writes them.

    Raises `Reject` when the weights are missing or damaged.
    """
    pages = made_pages(each, first=CALIBRATION_SEED)
    if (samples / TRAINED_ON).is_dir():
        pages += annotated(TRUTH / f"{TRAINED_ON}.json", samples / TRAINED_ON, name=TRAINED_ON)
    model, config = load_detector(weights)
    seen: list[list[DetectedObject]] = []
    for start in range(0, len(pages), AT_ONCE):
        images = [page.load() for page in pages[start : start + AT_ONCE]]
        seen += predict(model, images, config=config, proposals=[proposed(image) for image in images])
    fitted = {label: fit_calibration(answers(pages, seen, label=label)) for label in OBJECT_LABELS}
    after = [calibrated(page, fitted) for page in seen]
    for label, how in fitted.items():
        before, now = (surprise(answers(pages, found, label=label)) for found in (seen, after))
        print(f"{label}: slope {how.slope:.3f}, offset {how.offset:+.3f}; squared error {before:.4f} -> {now:.4f}")
        for name in dict.fromkeys(page.set for page in pages):
            some = [(page, found) for page, found in zip(pages, seen, strict=True) if page.set == name]
            alone = fit_calibration(answers([p for p, _ in some], [found for _, found in some], label=label))
            print(f"  on {name} alone: slope {alone.slope:.3f}, offset {alone.offset:+.3f}")
    write_durably(weights / CONFIG, written(config.model_copy(update={"calibration": fitted})))
    print(f"wrote {CONFIG} of {weights.name}")


def answers(pages: Sequence[EvalPage], seen: Sequence[Sequence[DetectedObject]], *, label: ObjectLabel) -> Answers:
    """Score of every box of a class, and whether it is right, from the pages on which the class is annotated."""
    return list(_answers(pages, seen, label=label))


def _answers(
    pages: Sequence[EvalPage], seen: Sequence[Sequence[DetectedObject]], *, label: ObjectLabel
) -> Iterator[tuple[float, bool]]:
    some = [(page, found) for page, found in zip(pages, seen, strict=True) if label in page.labels]
    judged = judge([page.truth for page, _ in some], [found for _, found in some], label=label)
    for score, right in zip(judged.scores, judged.right, strict=True):
        yield float(score), bool(right)


def surprise(told: Answers) -> float:
    """Mean squared difference between scores and what was true (Brier 1950), 0 without answers."""
    return sum((score - right) ** 2 for score, right in told) / len(told) if told else 0.0
