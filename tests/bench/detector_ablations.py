"""What every rule between boxes and panels is worth: all of them, each one left out, and none."""

from collections.abc import Sequence
from dataclasses import fields, replace

from services.detection.detector import Detector
from services.detection.layouts import ALL
from services.detection.rules import Rules
from tests.bench.detection_truth import PanelScore
from tests.bench.detector_eval import laid_out, see
from tests.bench.detector_measures import TIGHT, Measured
from tests.bench.detector_sets import EvalPage

SWITCHES = tuple(field.name for field in fields(Rules) if isinstance(field.default, bool))


def ablate_rules(detector: Detector, pages: Sequence[EvalPage], *, mirror: bool = False) -> None:
    """Prints a line for all rules, for every one turned off, for none, and for another detection without cuts.

    "cuts" off takes them from the detector's proposals as well as from the evidence.
    """
    seen = see(detector, pages, mirror=mirror)
    alone = see(detector, pages, mirror=mirror, cuts=False)
    none = replace(ALL, **dict.fromkeys(SWITCHES, False))
    variants = {"all rules": ALL, **{f"without {name}": replace(ALL, **{name: False}) for name in SWITCHES}}
    print(f"{'':24}{'real: F1.5  F1.7  right.5 right.7  order':>44}   {'made: F1.5  F1.7  right.5 right.7  order':>44}")
    for name, rules in {**variants, "none of them": none}.items():
        measured = laid_out(pages, seen if rules.cuts else alone, rules=rules)
        real = [m for m in measured if m.page.set != "made"]
        made = [m for m in measured if m.page.set == "made"]
        print(f"{name:24}{_short(real):>44}   {_short(made):>44}", flush=True)


def _short(measured: Sequence[Measured]) -> str:
    if not measured:
        return "-"
    loose = sum((m.panels() for m in measured), PanelScore())
    tight = sum((m.panels(TIGHT) for m in measured), PanelScore())
    pages = f"{loose.exact:3d}/{loose.pages:<3d} {tight.exact:3d}/{tight.pages:<3d}"
    return f"{loose.f1:.3f} {tight.f1:.3f}  {pages}  {loose.order:.3f}"
