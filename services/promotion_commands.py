"""Commands about models in service: `comics promote | embed | redetect`."""

import argparse
from typing import TYPE_CHECKING

from services import detector_commands as detectors
from services.asking import ClientOf, Command, asking
from services.following import wait_for_promotion
from shared.errors import ComicsError

if TYPE_CHECKING:
    from shared.domain.training import PromotionView
    from shared.http.client import Client


def add_promotion_commands(command: Command, client_of: ClientOf) -> None:
    """Put these commands into the parser; `client_of` gives a client for the settings."""
    promote = command("promote", asking(client_of, _promote), "let an encoder take over the queries, or a detector")
    what = promote.add_mutually_exclusive_group()
    what.add_argument("checkpoint", type=int, nargs="?", help="a checkpoint's number; the newest run's when left out")
    what.add_argument("--rollback", action="store_true", help="back to the encoder before")
    what.add_argument("--rollback-detector", action="store_true", help="back to the detector before")
    what.add_argument("--cancel", action="store_true", help="give up the promotion that is under way")
    what.add_argument("--skip-failed", action="store_true", help="let it switch without the pages that failed")
    promote.add_argument("--no-wait", action="store_true", help="do not wait until it serves")
    embed = command("embed", asking(client_of, _embed), "make vectors")
    embed.add_argument("--missing", action="store_true", required=True, help="of every page that lacks them")
    command(
        "redetect", asking(client_of, _redetect), "let the detector in use look at pages that an earlier one laid out"
    )


def _promote(client: "Client", chosen: argparse.Namespace) -> int:
    under_way = next((known for known in client.promotions() if known.state == "embedding"), None)
    if chosen.cancel or chosen.skip_failed:
        if under_way is None:
            raise ComicsError("No promotion is under way.")
        promotion = (client.cancel_promotion if chosen.cancel else client.skip_failed)(under_way.id)
    elif chosen.rollback or chosen.rollback_detector:
        promotion = client.roll_back("detector" if chosen.rollback_detector else "encoder")
    else:
        promotion = _begun(client, chosen.checkpoint, under_way)
    if promotion.kind == "detector":
        print(*detectors.judged(client, promotion.checkpoint_id), detectors.switched(promotion), sep="\n")
        return 0
    if not chosen.no_wait:
        promotion = wait_for_promotion(client, promotion, skipping=chosen.skip_failed)
    told = f"checkpoint {promotion.checkpoint_id}: {promotion.state}, {promotion.embedded}/{promotion.total} pages"
    if promotion.state == "done":
        told += f"; it answers queries now, instead of checkpoint {promotion.previous_id}"
    print(told)
    wanted = "cancelled" if chosen.cancel else "done"
    return 0 if promotion.state == wanted or chosen.no_wait else 1


def _begun(client: "Client", checkpoint_id: int | None, under_way: "PromotionView | None") -> "PromotionView":
    """The promotion of a checkpoint, or of the newest run's: begun now, or the one that is under way."""
    if checkpoint_id is None:
        made = [run.checkpoint_id for run in client.runs() if run.checkpoint_id is not None]
        if not made:
            raise ComicsError("No run has made a checkpoint yet; train one with `comics train`.")
        checkpoint_id = made[0]
    if under_way is not None and under_way.checkpoint_id == checkpoint_id:
        return under_way
    return client.promote(checkpoint_id)


def _embed(client: "Client", _: argparse.Namespace) -> int:
    queued = client.embed_missing()
    print(", ".join(f"{count} {stage}" for stage, count in queued.items() if count) or "nothing is missing")
    return 0


def _redetect(client: "Client", _: argparse.Namespace) -> int:
    queued = client.look_again()
    print(", ".join(f"{count} {stage}" for stage, count in queued.items() if count) or "no page is outdated")
    return 0
