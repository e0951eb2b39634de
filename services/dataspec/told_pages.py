"""What a VLM told about pages long ago, one JSON file a page, in all the shapes the research scripts left behind.

Plain answers (v1) list panels without places; grounded ones (v2) carry `box_2d`, `[ymin, xmin, ymax, xmax]` in
thousandths of the page. Nothing is repaired: what cannot be understood is left out and said.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.domain.schema import Box, SpokenText, TextKind

THOUSANDTHS = 1000.0
LARGEST = 8 << 20
KINDS: tuple[tuple[str, TextKind], ...] = (
    ("narrat", "narration"), ("caption", "narration"), ("sfx", "sound"), ("sound", "sound"), ("onomato", "sound"),
    ("thought", "thought"), ("dialog", "dialogue"), ("speech", "dialogue"),
)  # fmt: skip


class Unreadable(Exception):
    """The file tells nothing; the text is the reason."""


@dataclass(frozen=True, kw_only=True)
class ToldPanel:
    """One panel as told; `box` in shares of the page (0 to 1), None where none was told."""

    box: Box | None
    description: str
    characters: list[str]
    texts: list[SpokenText]


@dataclass(frozen=True, kw_only=True)
class ToldPage:
    """A page as told. `ids` are the paths the file itself names for its page, the surest first."""

    ids: list[str]
    model: str | None
    panels: list[ToldPanel]
    doubts: list[str] = field(default_factory=list)


def read_told(file: Path) -> ToldPage:
    """Take a VLM file apart. `Unreadable` when it is no JSON or tells of no panels at all."""
    try:
        if file.stat().st_size > LARGEST:
            raise Unreadable(f"is larger than {LARGEST:,} bytes")
        content = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Unreadable("is no JSON that can be read") from error
    doubts: list[str] = []
    if isinstance(content, list):
        # A list is the page's panels, or wraps the one object that has them.
        only = content[0] if len(content) == 1 and isinstance(content[0], dict) else {}
        content = only if "panels" in only else {"panels": content}
        doubts.append("its root is a list")
    if not isinstance(content, dict):
        raise Unreadable("is no JSON object")
    if content.get("error"):
        raise Unreadable(f"says that the VLM failed: {str(content['error'])[:100]}")
    panels = content.get("panels")
    if isinstance(panels, dict):
        panels = [panels[key] for key in sorted(panels, key=_number)]
        doubts.append("its panels are an object")
    if not isinstance(panels, list):
        raise Unreadable("tells of no panels")
    model = content.get("model")
    swapped = isinstance(model, str) and "glm" in model.casefold()
    if swapped:
        doubts.append("boxes of GLM are taken for [xmin, ymin, xmax, ymax]")
    told = [_panel(panel, swapped=swapped) for panel in panels if isinstance(panel, dict)]
    if len(told) < len(panels):
        doubts.append(f"{len(panels) - len(told)} of its panels are no objects")
    ids = [content.get(key) for key in ("canonical_id", "source_image_path")]
    return ToldPage(
        ids=[own for own in ids if isinstance(own, str) and own.strip()],
        model=model if isinstance(model, str) else None,
        panels=told,
        doubts=doubts,
    )


def _panel(panel: Mapping[str, Any], *, swapped: bool) -> ToldPanel:
    told = [_line(panel.get("caption")), _line(panel.get("description"))]
    return ToldPanel(
        box=_box(panel.get("box_2d"), swapped=swapped),
        description="\n".join(dict.fromkeys(line for line in told if line)),
        characters=_characters(panel),
        texts=_texts(panel),
    )


def _box(raw: Any, *, swapped: bool) -> Box | None:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or len(raw) != 4:
        return None
    try:
        sides = [float(side) / THOUSANDTHS for side in raw]
    except (TypeError, ValueError):
        return None
    if not all(-0.05 <= side <= 1.05 for side in sides):
        return None
    y, x, bottom, right = [sides[k] for k in (1, 0, 3, 2)] if swapped else sides
    return Box(x, y, right - x, bottom - y) if right > x and bottom > y else None


def _texts(panel: Mapping[str, Any]) -> list[SpokenText]:
    texts = []
    for key, words in (("text_content", "text"), ("speakers", "dialogue"), ("dialogue", "text")):
        found = panel.get(key)
        for item in found if isinstance(found, list) else [found] if isinstance(found, str) else []:
            said = {words: item} if isinstance(item, str) else item if isinstance(item, dict) else {}
            text = _line(said.get(words))
            if text:
                who = _line(said.get("speaker") or said.get("character")) or None
                label = said.get("label") or said.get("speech_type") or ("dialogue" if key != "text_content" else "")
                texts.append(SpokenText(kind=_kind(label), speaker=who, text=text))
    return texts


def _characters(panel: Mapping[str, Any]) -> list[str]:
    found = panel.get("characters")
    names = [_line(item.get("name") if isinstance(item, dict) else item) for item in _listed(found)]
    names += [_line(item.get("character")) for item in _listed(panel.get("speakers")) if isinstance(item, dict)]
    return list(dict.fromkeys(name for name in names if name))


def _kind(label: Any) -> TextKind:
    word = label.casefold() if isinstance(label, str) else ""
    return next((kind for sign, kind in KINDS if sign in word), "other")


def _line(raw: Any) -> str:
    if isinstance(raw, list):
        return " ".join(part for item in raw if (part := _line(item)))
    return raw.strip() if isinstance(raw, str) else ""


def _listed(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else []


def _number(key: str) -> tuple[int, str]:
    digits = "".join(sign for sign in key if sign.isascii() and sign.isdigit())
    return int(digits[:9]) if digits else 0, key
