"""Categories of comic pages in COCO files, as CoMix and the research code number them."""

from collections.abc import Mapping

from shared.domain.schema import OBJECT_LABELS, ObjectLabel

# A file's own `categories` go before: names are the authority, not numbers.
CATEGORIES: Mapping[int, ObjectLabel] = {1: "panel", 2: "character", 4: "text", 7: "face"}
NUMBERS: Mapping[ObjectLabel, int] = {label: number for number, label in CATEGORIES.items()}
NAMES: Mapping[str, ObjectLabel] = {label: label for label in OBJECT_LABELS}
