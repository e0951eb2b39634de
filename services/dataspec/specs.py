"""DataSpecs from what the database holds, and the one way a DataSpec is written as a line of a dataset."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from shared.domain.dataspec import DatasetLine, DataSpec, SpecComic, SpecPanel, SpecProvenance, Split
from shared.domain.schema import Box
from shared.errors import Reject

NOT_ALIGNED = "its text has not been aligned yet"


def spec_of(page: Mapping[str, Any]) -> DataSpec:
    """The DataSpec of a page from its row, with the panels as a list of rows under `panels`.

    A page whose `perfect` is None has not been aligned with its newest layout and text: it comes without text.
    """
    aligned = page["perfect"] is not None
    return DataSpec(
        comic=SpecComic(key=page["comic_sha256"], title=page["title"], file_name=page["file_name"]),
        number=page["number"],
        name=page["name"],
        image_sha256=page["image_sha256"],
        media_type=page["media_type"],
        width=page["width"],
        height=page["height"],
        direction=page["direction"],
        kind=page["kind"],
        panels=[_panel_of(panel, aligned=aligned) for panel in page["panels"] or []],
        perfect=bool(page["perfect"]),
        equal_counts=page["equal_counts"],
        provenance=SpecProvenance(
            layout=page["layout_source"], detector=page["detector"], ocr=page["ocr_model"], vlm=page["vlm_model"]
        ),
    )


def _panel_of(panel: Mapping[str, Any], *, aligned: bool) -> SpecPanel:
    place = {"box": Box(panel["x"], panel["y"], panel["w"], panel["h"]), "score": panel["score"]}
    if not aligned or panel["verdict"] is None:
        return SpecPanel.model_validate({**place, "reason": NOT_ALIGNED})
    told = {name: panel[name] for name in ("descriptive", "characters", "verdict", "confidence", "reason")}
    return SpecPanel.model_validate({**place, **told, "literal": panel["pieces"]})


def line_of(page: DataSpec, split: Split) -> bytes:
    """A line of `pages.jsonl`, newline included: the same bytes for the same page, wherever it is written."""
    return canonical({"split": split, "page": page.model_dump(mode="json")}) + b"\n"


def ending(split: Split) -> bytes:
    """What a line of this split ends with: `split` is the last of its sorted keys."""
    return canonical({"split": split})[1:] + b"\n"


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and nothing to spare, as UTF-8."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    # Half a surrogate pair, which no text should have, has no place in UTF-8.
    return text.encode("utf-8", "replace")


def parse_line(line: bytes) -> DatasetLine:
    """A line of `pages.jsonl`; `Reject` when it is none."""
    try:
        return DatasetLine.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Reject(f"this is no line of a dataset: {place} {first['msg']}") from error
