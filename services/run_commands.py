"""Commands about runs: `comics train | runs`."""

import argparse
import sys
from typing import TYPE_CHECKING, get_args

from services import detector_commands as detectors
from services.asking import ClientOf, Command, asking
from services.following import follow_run
from services.wrong_calls import WrongCall, checked, flag
from shared.domain.training import OPTIONS, RunConfig, RunRequest
from shared.errors import ComicsError

if TYPE_CHECKING:
    from shared.domain.training import RunView
    from shared.http.client import Client

# What a run can be told: a word for the value, and what it is.
SETTINGS = {
    "seed": ("N", "another seed gives another run, the same seed the same one"),
    "epochs": ("N", "epochs to train; the recalls are measured after each"),
    "steps_per_epoch": ("N", "steps of an epoch (default: as many as show every page once)"),
    "pages_per_batch": ("N", "pages of a step; more need more memory"),
    "rate": ("RATE", "peak learning rate of what is trained from scratch"),
    "backbone_rate": ("SHARE", "share of that rate for pretrained parts; 0 freezes them"),
    "weight_decay": ("DECAY", "pull of the weights towards zero"),
    "temperature": ("T", "of the contrastive losses; lower minds the likest wrong answers more"),
    "start": ("", "go on from the active encoder, or begin a new one"),
    "size": ("PIXELS", "side of the pictures a new encoder sees"),
    "image_backbone": (
        "MODEL",
        "transformers vision model of a new encoder, name or folder (default: a small network)",
    ),
    "text_backbone": ("MODEL", "transformers text model, name or folder (default: a table of hashed words)"),
    "stories": ("N", "made comics with known content added to the pages"),
    "precision": ("", "numbers the network calculates with"),
    "recompute": ("", "gradient checkpointing: less memory, a third slower"),
}


def add_run_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""
    _add_train(
        command("train", asking(client_of, _train), "train an encoder on a dataset, or a detector, and follow it")
    )
    runs = command("runs", asking(client_of, _runs), "the runs there are, newest first; stop or follow one")
    act = runs.add_mutually_exclusive_group()
    act.add_argument("--stop", type=int, metavar="RUN", help="stop a run after its current step; it can be resumed")
    act.add_argument("--follow", type=int, metavar="RUN", help="watch a run until it has ended")


def _add_train(train: argparse.ArgumentParser) -> None:
    train.add_argument("what", nargs="?", choices=("encoder", "detector"), help="what to train (default encoder)")
    train.add_argument("--dataset", type=int, metavar="ID", help="a dataset's number; the newest when left out")
    train.add_argument(
        "--option", choices=OPTIONS, help="what it learns, see docs/training.md (default context-denoise)"
    )
    train.add_argument("--resume", type=int, metavar="RUN", help="go on with a stopped or failed run instead")
    train.add_argument("--no-wait", action="store_true", help="do not follow the run")
    settings = train.add_argument_group("how it trains")
    for name, about in RunConfig.model_fields.items():
        metavar, text = SETTINGS[name]
        if about.annotation is bool:
            settings.add_argument(flag(name), action="store_true", default=None, help=text)
            continue
        choices = [one for one in get_args(about.annotation) if isinstance(one, str)] or None
        said = text if about.default is None else f"{text} (default {about.default})"
        settings.add_argument(
            flag(name), choices=choices, metavar=metavar or None, help=said + detectors.default_of(name)
        )
    detectors.add_detector_options(train)


def _train(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.resume is not None:
        for name in ("dataset", "option", *RunConfig.model_fields, *detectors.OF_DETECTORS):
            if getattr(chosen, name) is not None:
                raise WrongCall(f"`{flag(name)}` means nothing with `--resume`: a run goes on as it was begun")
        run = client.resume_run(chosen.resume)
    elif chosen.what == "detector":
        run = client.train(detectors.detector_order(chosen))
    else:
        detectors.only_of("encoder", chosen)
        run = client.train(_order(client, chosen))
    print(f"run {run.id}: {detectors.described(run)}")
    if chosen.no_wait:
        return 0
    return _ended(client, follow_run(client, run.id))


def _ended(client: "Client", run: "RunView") -> int:
    """Tell how a run ended."""
    if run.state != "done":
        print(
            f"comics: run {run.id} {run.state}: {run.error or f'resume it with `comics train --resume {run.id}`'}",
            file=sys.stderr,
        )
        return 1
    if run.kind == "detector":
        print(*detectors.judged(client, run.checkpoint_id), sep="\n")
    else:
        print(f"checkpoint {run.checkpoint_id}; `comics promote {run.checkpoint_id}` lets it answer queries")
    return 0


def _order(client: "Client", chosen: argparse.Namespace) -> RunRequest:
    """The run that was asked for, on the newest dataset unless one is named."""
    told = {name: getattr(chosen, name) for name in RunConfig.model_fields if getattr(chosen, name) is not None}
    for name, value in told.items():  # what has no value unless it is told may be told so
        if value == "none" and RunConfig.model_fields[name].default is None:
            told[name] = None
    told = {"config": checked(RunConfig, told), **({"option": chosen.option} if chosen.option else {})}
    if chosen.dataset is not None:
        return checked(RunRequest, {**told, "dataset_id": chosen.dataset}, dataset_id="--dataset")
    known = client.datasets()
    if not known:
        raise ComicsError("There is no dataset yet; make one with `comics dataset`.")
    return RunRequest.model_validate({**told, "dataset_id": known[0].id})


def _runs(client: "Client", chosen: argparse.Namespace) -> int:
    if chosen.stop is not None:
        run = client.stop_run(chosen.stop)
        print(f"run {run.id}: {run.state}{', stops after its current step' if run.stopping else ''}")
        return 0
    if chosen.follow is not None:
        return _ended(client, follow_run(client, chosen.follow))
    for run in client.runs():
        made = f"checkpoint {run.checkpoint_id}" if run.checkpoint_id else run.error or ""
        steps = f"step {run.step}/{run.steps or '?'}"
        trained_on = "corrections" if run.dataset_id is None else f"dataset {run.dataset_id}"
        print(f"{run.id:5} {run.state:8} {run.option or run.kind:16} {trained_on} {steps:14} {made}")
    return 0
