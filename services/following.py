"""Work that goes on at the server, followed until it has ended: comics, runs and promotions."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TextIO

from services.detector_commands import measured
from shared.domain.pipeline import STAGES
from shared.errors import ComicsError

if TYPE_CHECKING:
    from shared.domain.answers import Progress
    from shared.domain.training import PromotionView, RunView
    from shared.http.client import Client

POLL = 0.3  # seconds between looks at a promotion
LOOK = 2.0  # seconds between looks at the work on everything: it is counted for each
FOLLOWED = 20  # comics that are followed by themselves; of more, all work on comics is
CLEAR = "\r\x1b[K"


def follow(client: "Client", *comic_ids: int) -> None:
    """A progress bar of these comics together, or of everything, until nothing of it is left to do."""
    _draw(client.follow_comics(comic_ids) if len(comic_ids) > 1 else client.follow(*comic_ids))


def follow_work(client: "Client") -> None:
    """The same of all work on comics and pages; runs that train go on, and nobody watches the bar for them."""
    _draw(_work_on_comics(client))


def _work_on_comics(client: "Client") -> Iterator["Progress"]:
    while True:
        progress = client.status()
        stages = {name: counts for name, counts in progress.stages.items() if STAGES[name].subject != "run"}
        total = sum(sum(counts.model_dump().values()) for counts in stages.values())
        left = sum(counts.queued + counts.running for counts in stages.values())
        failed = sum(counts.failed for counts in stages.values())
        yield progress.model_copy(
            update={"stages": stages, "total": total, "ended": total - left, "failed": failed, "finished": not left}
        )
        if not left:
            return
        time.sleep(LOOK)


def _draw(states: Iterable["Progress"]) -> None:
    begun, first = time.monotonic(), None
    for progress in states:
        first = progress.ended if first is None else first
        seconds = time.monotonic() - begun
        rate = (progress.ended - first) / seconds if seconds > 1 else 0.0
        if sys.stdout.isatty():
            _show(f"{CLEAR}{bar(progress, rate=rate)}", sys.stdout)
        elif progress.finished:  # a file or a pipe wants no moving picture
            _show(bar(progress, rate=rate), sys.stdout)
    _show("\n", sys.stdout)


def bar(progress: "Progress", *, rate: float, width: int = 28) -> str:
    """One line: bar, counts, rate in jobs per second, seconds to go, and what each stage still has to do."""
    share = progress.ended / progress.total if progress.total else 1.0
    filled = round(share * width)
    left = progress.total - progress.ended
    eta = f"{left / rate:4.0f} s left" if rate > 0 and left else "           "
    busy = " ".join(
        f"{name}:{counts.queued + counts.running}"
        for name, counts in progress.stages.items()
        if counts.queued + counts.running
    )
    failed = f" failed:{progress.failed}" if progress.failed else ""
    drawn = "█" * filled + "·" * (width - filled)
    return f"[{drawn}] {progress.ended}/{progress.total} {rate:5.1f}/s {eta} {busy}{failed}"


def follow_run(client: "Client", run_id: int) -> "RunView":
    """A progress bar fed by the server's events, with the recalls of every epoch, until the run has ended."""
    begun, first, run = time.monotonic(), None, client.run(run_id)
    for event in client.follow_run(run_id):
        run = event.run
        first = run.step if first is None else first
        for point in event.points:
            if point.kind == "held_out":
                told = (recalls if run.kind == "encoder" else measured)(point.epoch, point.values)
                _show(f"{CLEAR if sys.stderr.isatty() else ''}{told}\n")
        if run.steps and sys.stderr.isatty():
            done = run.step - first
            pace = done / max(time.monotonic() - begun, 1e-9)
            left = f"{(run.steps - run.step) / pace:.0f} s left" if done else ""
            drawn = "█" * (24 * run.step // run.steps)
            loss = run.latest.get("loss", float("nan"))
            _show(f"{CLEAR}{drawn:24} {run.step}/{run.steps} {pace:.1f} steps/s loss {loss:.3f} {left}")
    _show("\n")
    return run


def recalls(epoch: float, values: dict[str, float]) -> str:
    """One line of what was measured on held-out comics, beside chance."""
    named = [
        (title, values[f"{name}_r10"], values.get(f"{name}_r10_chance", 0.0))
        for title, name in (
            ("crop→panel", "crop_to_panel"), ("picture→text", "image_to_text"), ("text→picture", "text_to_image"),
            ("masked panel", "masked_panel"),
        )
        if f"{name}_r10" in values
    ]  # fmt: skip
    told = "  ".join(f"{title} {value:.2f} ({chance:.2f})" for title, value, chance in named)
    return f"epoch {epoch:g}: recall@10 (chance)  {told}"


def wait_for_promotion(client: "Client", promotion: "PromotionView", *, skipping: bool = False) -> "PromotionView":
    """Wait until a promotion has ended. `skipping`: pages that failed do not hold it up.

    ComicsError when nothing but failed pages is left: it would wait for ever.
    """
    while promotion.state == "embedding":
        if sys.stderr.isatty():
            _show(f"{CLEAR}{promotion.embedded}/{promotion.total} pages")
        if not skipping and promotion.failed and promotion.failed == promotion.total - promotion.embedded:
            raise ComicsError(
                f"{promotion.failed} pages could not be embedded and hold the promotion of checkpoint "
                f"{promotion.checkpoint_id} up: `comics status --retry` tries them again, `comics promote "
                "--skip-failed` switches without them, `comics promote --cancel` gives it up."
            )
        time.sleep(POLL)
        promotion = client.promotion(promotion.id)
    if sys.stderr.isatty():
        _show(CLEAR)
    return promotion


def _show(text: str, stream: TextIO | None = None) -> None:
    """Write to a stream, standard error unless told otherwise, so that it is seen at once."""
    stream = stream or sys.stderr
    stream.write(text)
    stream.flush()
