"""`comics train detector`, and what the commands about learning say of detectors."""

import argparse
from typing import TYPE_CHECKING

from services.amounts import counted
from services.wrong_calls import WrongCall, checked, flag
from shared.domain.training import DetectorRunConfig, DetectorRunRequest, RunConfig

if TYPE_CHECKING:
    from shared.domain.training import PromotionView, RunView
    from shared.http.client import Client

SHARED = frozenset(RunConfig.model_fields) & frozenset(DetectorRunConfig.model_fields)
OF_ENCODERS = ("dataset", "option", *(name for name in RunConfig.model_fields if name not in SHARED))
OWN = tuple(name for name in DetectorRunConfig.model_fields if name not in SHARED)
OF_DETECTORS = ("from_corrections", "include_imports", *OWN)
METAVARS = {int: "N", float: "SHARE", str: "NAME"}


def default_of(name: str) -> str:
    """What a setting that both kinds know is for a detector, where it differs."""
    told = DetectorRunConfig.model_fields[name].default if name in SHARED else None
    return f"; of a detector {told}" if told not in (None, RunConfig.model_fields[name].default) else ""


def add_detector_options(train: argparse.ArgumentParser) -> None:
    """What `comics train detector` can be told beyond what it shares with an encoder."""
    group = train.add_argument_group("detectors only")
    group.add_argument(
        "--from-corrections", action="store_true", default=None, help="learn from the panels that people corrected"
    )
    group.add_argument(
        "--include-imports", action="store_true", default=None, help="and from those that comics' own files state"
    )
    for name in OWN:
        about = DetectorRunConfig.model_fields[name]
        said = about.description or ""
        said += "" if about.default is None else f" (default {about.default})"
        group.add_argument(flag(name), metavar=METAVARS.get(type(about.default), "NAME"), help=said)


def only_of(kind: str, chosen: argparse.Namespace) -> None:
    """WrongCall for an option that means nothing for this kind of model."""
    for name in OF_ENCODERS if kind == "detector" else OF_DETECTORS:
        if getattr(chosen, name) is not None:
            raise WrongCall(f"`{flag(name)}` means nothing for {'a detector' if kind == 'detector' else 'an encoder'}")


def detector_order(chosen: argparse.Namespace) -> DetectorRunRequest:
    """The detector's run that was asked for."""
    only_of("detector", chosen)
    if not chosen.from_corrections:
        raise WrongCall("`comics train detector` needs `--from-corrections`: it has nothing else to learn from")
    told = {name: getattr(chosen, name) for name in DetectorRunConfig.model_fields}
    config = checked(DetectorRunConfig, {name: value for name, value in told.items() if value is not None})
    return DetectorRunRequest(include_imports=bool(chosen.include_imports), config=config)


def described(run: "RunView") -> str:
    """What a run trains, and on what."""
    return "detector on corrections" if run.kind == "detector" else f"{run.option} on dataset {run.dataset_id}"


def measured(epoch: float, values: dict[str, float]) -> str:
    """One line of how well panels were found, on made pages and on corrected ones that are kept aside."""
    told = [
        f"{title} {values[f'{name}_panel_f1']:.3f} ({values[f'{name}_panel_ap']:.3f})"
        for title, name in (("made pages", "made"), ("corrected pages", "real"))
        if f"{name}_panel_f1" in values
    ]
    return f"epoch {epoch:g}: panels F1 (AP)  {'  '.join(told)}"


def judged(client: "Client", checkpoint_id: int | None) -> list[str]:
    """What was found of a detector beside the one before, and what can be done; nothing of other models."""
    found = next((known for known in client.checkpoints() if known.id == checkpoint_id), None)
    if found is None or found.verdict is None:
        return []
    name = f"Checkpoint {checkpoint_id}"
    if found.active:
        return [found.verdict.why]
    if found.verdict.better:
        return [found.verdict.why, f"{name} is better; `comics promote {checkpoint_id}` lets it detect panels."]
    return [found.verdict.why, f"{name} is not better and stays out of use; more corrected pages may make another so."]


def switched(promotion: "PromotionView") -> str:
    """What a detector's promotion did."""
    return (
        f"checkpoint {promotion.checkpoint_id} detects panels now, instead of checkpoint {promotion.previous_id}; "
        "pages whose panels nobody has stated are detected anew"
    )


def offered(pages: int) -> str:
    """What can be done about pages that show panels of an earlier detector."""
    show = "shows" if pages == 1 else "show"
    return f"{counted(pages, 'page')} {show} panels of an earlier detector; `comics redetect` lets the new one look"
