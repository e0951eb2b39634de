"""`comics detect`: the panels of a folder's images, without a server."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from services.amounts import counted
from services.asking import Command
from shared.errors import ComicsError, Reject
from shared.settings import Settings

WIDTH = 28  # of the bar, in characters


def add_detect_command(command: Command) -> None:
    """Put the command into the parser."""
    detect = command("detect", _detect, "find the panels of a folder's images, without a server")
    detect.add_argument("folder", type=Path, metavar="DIR", help="page images, also in folders below")
    detect.add_argument("--direction", choices=("ltr", "rtl", "auto"), default="auto", help="reading direction")
    detect.add_argument(
        "--out", type=Path, default=Path("panels.json"), metavar="FILE", help="{file_name: [[x, y, w, h], …]}"
    )
    detect.add_argument("--coco", type=Path, metavar="FILE", help="the same as COCO, with all objects and scores")
    detect.add_argument(
        "--weights", type=Path, metavar="FOLDER", help="a detector's folder (default COMICS_DETECTOR, or ours)"
    )


def _detect(chosen: argparse.Namespace, configured: Settings) -> int:
    from services.detection.detector import WEIGHTS
    from services.detection.panel_files import detect_folder
    from shared.domain.schema import Direction
    from shared.nn.device import pick_device

    for file in filter(None, (chosen.out, chosen.coco)):
        _require_place(file)
    weights = chosen.weights or configured.detector or WEIGHTS
    if not (weights / "config.json").is_file():
        raise Reject(f"{weights} is no detector: it holds no config.json; `comics import-detector` makes one")
    try:
        found = detect_folder(
            chosen.folder,
            direction=chosen.direction if chosen.direction == "auto" else Direction(chosen.direction),
            progress=bar("page"),
            weights=weights,
            device=pick_device(configured.device),
        )
    except KeyboardInterrupt:
        print("\nstopped; nothing was written", file=sys.stderr)
        return 130
    panels = {name: [[round(side, 2) for side in box] for box in boxes] for name, boxes in found.panels.items()}
    _write(chosen.out, [json.dumps(panels, indent=1).encode(), b"\n"])
    if chosen.coco:
        _write(chosen.coco, found.coco())
    for reason in found.unread.values():
        print(f"comics: {reason}", file=sys.stderr)
    count = sum(map(len, panels.values()))
    print(f"{counted(count, 'panel')} on {counted(len(panels), 'page')} in {chosen.out}")
    return 1 if found.unread else 0


def bar(noun: str) -> Callable[[int, int], None] | None:
    """Draws pages done, rate and time to go on a terminal; a file or a pipe wants no moving picture."""
    if not sys.stderr.isatty():
        return None
    begun = time.monotonic()

    def draw(done: int, total: int) -> None:
        rate = done / max(time.monotonic() - begun, 1e-3)
        drawn = "█" * round(done / total * WIDTH)
        left = f"{(total - done) / rate:5.0f} s left" if done < total else " " * 13
        end = "" if done < total else "\n"
        print(
            f"\r[{drawn:·<{WIDTH}}] {done}/{total} {noun}s {rate:5.1f}/s {left}", end=end, file=sys.stderr, flush=True
        )

    return draw


def _require_place(file: Path) -> None:
    """Whether a file can be written at all is told before an hour of work, not after it."""
    if file.is_dir():
        raise Reject(f"{file} is a folder; name a file")
    if not file.absolute().parent.is_dir():
        raise Reject(f"{file.parent} is no folder; make it first")


def _write(file: Path, pieces: Iterable[bytes]) -> None:
    """Put a file in its place whole, or leave what is there."""
    draft = file.with_name(f".{file.name}.tmp")
    try:
        with draft.open("wb") as out:
            out.writelines(pieces)
        draft.replace(file)
    except OSError as error:
        raise ComicsError(f"{file} cannot be written: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)
