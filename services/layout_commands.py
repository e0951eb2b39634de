"""Commands about layouts: `comics panels`."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from services.amounts import counted
from services.asking import ClientOf, Command
from services.wrong_calls import WrongCall
from shared.domain.corrections import PanelCorrection
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.domain.answers import LayoutView
    from shared.http.client import Client

SOURCES = {"model": "the detector", "import": "an import", "person": "a person"}


def add_layout_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""

    def run(chosen: argparse.Namespace, configured: Settings) -> int:
        if not chosen.set and (chosen.author or chosen.reorder):
            raise WrongCall("`--author` and `--reorder` say something about the panels of `--set`, which is not there")
        said = _said(chosen) if chosen.set else None
        with client_of(configured) as client:
            return _panels(client, chosen, said)

    panels = command("panels", run, "a page's panels; correct them, or go back to the machine's")
    panels.add_argument("page", type=int, metavar="PAGE", help="a page's id, as `comics show ID` names it")
    act = panels.add_mutually_exclusive_group()
    act.add_argument(
        "--set", type=Path, metavar="FILE.json", help="[[x, y, w, h], …] in reading order, or what `--json` shows of it"
    )
    act.add_argument("--revert", action="store_true", help="back to the machine's panels; a person's stay stored")
    panels.add_argument("--reorder", action="store_true", help="with --set: let the machine order them")
    panels.add_argument("--author", metavar="NAME", help="with --set: who says so")
    panels.add_argument("--force", action="store_true", help="even where another person has corrected it meanwhile")
    panels.add_argument("--json", action="store_true", help="the layout as JSON")


def _said(chosen: argparse.Namespace) -> PanelCorrection:
    """The correction in a file: boxes alone, the fields of a PanelCorrection, or a layout as `--json` shows it."""
    try:
        given: Any = json.loads(chosen.set.read_text())
    except OSError as error:
        raise WrongCall(f"{chosen.set} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise WrongCall(f"{chosen.set} is not JSON: {error}") from error
    fields: dict[str, Any] = given if isinstance(given, dict) else {"panels": given}
    if "replaces_id" in fields:
        try:
            fields = _of_view(fields)
        except (KeyError, TypeError) as error:
            raise WrongCall(f"{chosen.set}: every panel and object needs a `box`, every object a `label`") from error
    fields |= {name: value for name in ("author", "reorder", "force") if (value := getattr(chosen, name))}
    try:
        return PanelCorrection.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise WrongCall(f"{chosen.set}: {place}: {first['msg'].removeprefix('Value error, ')}") from error


def _of_view(shown: dict[str, Any]) -> dict[str, Any]:
    """What a layout says that was shown and perhaps edited: it is what was looked at, and tells more than is asked."""
    return {
        "panels": [panel["box"] if isinstance(panel, dict) else panel for panel in shown.get("panels", [])],
        "objects": [{"label": seen["label"], "box": seen["box"]} for seen in shown.get("objects", [])],
        "direction": shown.get("direction"),
        "reason": shown.get("reason"),
        "based_on": shown.get("id"),
    }


def _panels(client: "Client", chosen: argparse.Namespace, said: PanelCorrection | None) -> int:
    if said is not None:
        layout = client.correct_panels(chosen.page, said)
    elif chosen.revert:
        layout = client.revert_panels(chosen.page, force=chosen.force)
    else:
        layout = client.active_layout(chosen.page)
    if chosen.json:
        print(layout.model_dump_json(indent=2))
    else:
        _show(layout)
    return 0


def _show(layout: "LayoutView") -> None:
    who = f" ({layout.author})" if layout.author else ""
    why = f", {layout.reason}" if layout.reason else ""
    what = "splash" if layout.kind == "splash" else counted(len(layout.panels), "panel")
    print(f"layout {layout.id} by {SOURCES[layout.source]}{who}: {what}{why}, {layout.direction}")
    changes = layout.changes.panels if layout.changes is not None else []
    told = {change.now: change for change in changes}
    for panel in layout.panels:
        box = ", ".join(f"{number:.0f}" for number in panel.box)
        change = told.get(panel.position)
        mark = "" if change is None else f"  {change.what}{', reordered' if change.reordered else ''}"
        print(f"{panel.position + 1:3}  [{box}]  {panel.score:.2f}{mark}")
    removed = sum(change.what == "removed" for change in changes)
    if removed:
        print(f"{counted(removed, 'panel')} removed")
