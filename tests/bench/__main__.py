"""`make bench`: every area, or the one named; each figure is a line `bench <name> <value> <unit>`.

    python -m tests.bench [AREA]

An area is a module of this folder with a function `figures()` that yields (name, value, unit). Figures that claim
speed are ratios against a floor measured in the same run, or carry the unit of a stated limit.
"""

import importlib
import sys

AREAS = ("core", "ingestion", "detection")
PARTS = ("ingestion_pages", "ingestion_duplicates", "ingestion_bulk")  # of an area, by themselves


def main() -> int:
    """Run the chosen areas."""
    chosen = sys.argv[1:] or list(AREAS)
    unknown = [area for area in chosen if area not in AREAS + PARTS]
    if unknown:
        print(f"no area {', '.join(unknown)}; there is {', '.join(AREAS + PARTS)}")
        return 2
    for area in chosen:
        for name, value, unit in importlib.import_module(f"tests.bench.{area}").figures():
            print(f"bench {name} {value:.4g} {unit}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
