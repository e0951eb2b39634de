"""`make eval-detector`: how well panels, their order, characters, text and faces are found, on pages nobody trained on.

    python -m tests.bench.detector_eval [--coco JSON=FOLDER] [--weights DIR] [--ablate rules|features|training] …

Sets are made validation pages by class and the annotated comics of `tests/truth`, as many as are there. The path is
the product's own. AP is of everything the detector saw, by COCO's evaluator; all else is of the finished layouts. Order
is over all pairs of true panels of a page: right when both were found and stand in the true order. Pages whose panels
are wrong are drawn into `out/detector-eval`, truth green, found red.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from services.detection.detector import WEIGHTS, Detector
from services.detection.layouts import ALL, arrange, guess_direction
from services.detection.rules import Rules
from shared.domain.schema import DetectedObject
from shared.errors import Reject
from tests.bench.detector_measures import COLUMNS, Measured, figures, line
from tests.bench.detector_overlays import write_failures
from tests.bench.detector_sets import EvalPage, annotated, made_pages, real_pages

ROOT = Path(__file__).parents[2]
OUT = ROOT / "out" / "detector-eval"
AT_ONCE = 8  # pages decoded at a time
REFERENCES = (
    "for comparison, on 41 pages of three comics (one of them pepper-carrot-ep17; detection.md, issue 5):",
    "  Kumiko                        F1.5 .825, 21 of 41 pages exactly right (ep17 .929, 6 of 7 pages of panels)",
    "  the experiment before this    F1.5 .909, 26 of 41 pages exactly right (ep17 1.00, 7 of 7)",
)


def see(
    detector: Detector, pages: Sequence[EvalPage], *, mirror: bool = False, cuts: bool = True
) -> list[list[DetectedObject]]:
    """What the detector sees on every page, a few pages in memory at a time."""
    seen: list[list[DetectedObject]] = []
    for start in range(0, len(pages), AT_ONCE):
        seen += detector.see([page.load() for page in pages[start : start + AT_ONCE]], mirror=mirror, cuts=cuts)
    return seen


def laid_out(
    pages: Iterable[EvalPage], seen: Iterable[list[DetectedObject]], *, rules: Rules = ALL, guess: bool = False
) -> list[Measured]:
    """The layouts of pages, read the true way, or with `guess` the way that the pages of each set look like."""
    both = list(zip(pages, seen, strict=True))
    guessed = {
        name: guess_direction([found for p, found in both if p.set == name]) for name in {p.set for p, _ in both}
    }
    return [
        Measured(
            page,
            found,
            arrange(
                found,
                width=page.width,
                height=page.height,
                direction=guessed[page.set] if guess and page.set != "made" else page.direction,
                image=page.load(),
                rules=rules,
            ),
        )
        for page, found in both
    ]


def table(measured: Sequence[Measured]) -> None:
    """Prints a line for every class of made pages, every comic, every class of its pages, and the totals."""
    wide = 34
    print(" " * wide + COLUMNS)

    def tell(name: str, some: list[Measured]) -> None:
        if some:
            print(f"{name:{wide}}{line(figures(some))}", flush=True)

    made = [m for m in measured if m.page.set == "made"]
    for kind in dict.fromkeys(m.page.kind for m in made):
        tell(f"made: {kind}", [m for m in made if m.page.kind == kind])
    tell("made: all classes", made)
    real = [m for m in measured if m.page.set != "made"]
    for name in dict.fromkeys(m.page.set for m in real):
        here = [m for m in real if m.page.set == name]
        tell(name, here)
        kinds = list(dict.fromkeys(m.page.kind for m in here))
        for kind in kinds if len(kinds) > 1 else []:
            tell(f"  of which {kind}", [m for m in here if m.page.kind == kind])
    for kind in dict.fromkeys(m.page.kind for m in real):
        tell(f"unseen: {kind}", [m for m in real if m.page.kind == kind])
    tell("unseen: all real pages", real)


def directions(measured: Sequence[Measured]) -> None:
    """Prints for every comic which way "auto" would read it, where that is not the true one."""
    for name in dict.fromkeys(m.page.set for m in measured if m.page.set != "made"):
        here = [m for m in measured if m.page.set == name]
        guessed = guess_direction([m.seen for m in here])
        true = {m.page.direction for m in here}
        if true != {guessed}:
            print(f"direction: {name} looks {guessed} and is {' and '.join(sorted(true))}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of the detector")
    parser.add_argument("--coco", action="append", default=[], metavar="JSON=FOLDER", help="more annotated pages")
    parser.add_argument("--only", action="append", default=[], metavar="SET", help="only these sets; `made` is one")
    parser.add_argument("--made", type=int, default=12, help="made pages of each class (12)")
    parser.add_argument("--mirror", action="store_true", help="look at the mirrored pages as well, and average")
    parser.add_argument("--pixels", type=int, help="show pages at this area")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--auto", action="store_true", help="guess directions instead of taking the true ones")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for pictures of failures (out/detector-eval)")
    parser.add_argument("--objects", action="store_true", help="pictures of missed characters, texts and faces, too")
    parser.add_argument("--ablate", choices=("rules", "features", "training"), help="leave one idea out at a time")
    parser.add_argument("--steps", type=int, default=250, help="of each small training of an ablation (250)")
    parser.add_argument(
        "--variant", action="append", default=[], help="only trainings of this name, say `without manga`"
    )
    parser.add_argument("--calibrate", action="store_true", help="fit scores to probabilities into config.json")
    return parser.parse_args(arguments)


def chosen(told: argparse.Namespace) -> list[EvalPage]:
    """The pages of the command line's sets; Reject when there are none."""
    samples = Path(os.environ.get("COMIC_SAMPLES") or ROOT.parent / "shared" / "comics")
    pages = made_pages(told.made) if told.made > 0 and (not told.only or "made" in told.only) else []
    pages += real_pages(samples)
    for pair in told.coco:
        coco, _, folder = pair.partition("=")
        pages += annotated(Path(coco), Path(folder), name=Path(folder).name)
    pages = [page for page in pages if not told.only or page.set in told.only]
    if not pages:
        raise Reject("there are no pages to measure on: give --coco JSON=FOLDER, or COMIC_SAMPLES")
    return pages


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, or does what one of the other options says."""
    told = parse(arguments)
    if told.calibrate:
        from tests.bench.detector_calibration import calibrate

        calibrate(told.weights, samples=Path(os.environ.get("COMIC_SAMPLES") or ROOT.parent / "shared" / "comics"))
        return
    if told.ablate in ("features", "training"):
        told.made = 0  # made pages show nothing that the generator lacks
    pages = chosen(told)
    if told.ablate in ("features", "training"):
        from tests.bench.detector_trainings import ablate

        ablate(told.ablate, pages, steps=told.steps, only=told.variant)
        return
    detector = Detector(told.weights, device=told.device, pixels=told.pixels)
    if told.ablate == "rules":
        from tests.bench.detector_ablations import ablate_rules

        ablate_rules(detector, pages, mirror=told.mirror)
        return
    began = time.monotonic()
    measured = laid_out(pages, see(detector, pages, mirror=told.mirror), guess=told.auto)
    taken = time.monotonic() - began
    table(measured)
    directions(measured)
    print("\n".join(REFERENCES))
    failures = write_failures(measured, told.out, objects=told.objects)
    print(
        f"{failures} of {len(measured)} pages with a failure drawn into {told.out}; {taken / len(pages):.2f} s a page"
    )


if __name__ == "__main__":
    try:
        main()
    except Reject as error:
        sys.exit(str(error))
