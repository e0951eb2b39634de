"""Workers hear of new comics at once, and not once for each."""

import asyncio
from collections.abc import Callable

import pytest

from services.ingestion.routes import bell
from services.ingestion.routes.bell import Bell
from shared.work import broker
from shared.work.broker import messages


async def until(done: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not done():
            await asyncio.sleep(0.02)


def heard() -> int:
    return sum(b'"task": "ingest"' in message for message in messages("cpu"))


@pytest.mark.usefixtures("configured")
def test_the_first_comic_is_told_at_once_and_many_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []

    def wake(due: dict[str, int]) -> int:
        told.append(due["ingest"])
        return broker.wake(due)

    monkeypatch.setattr(bell, "wake", wake)

    async def ring() -> None:
        rung = Bell("ingest")
        rung.ring()
        await until(lambda: heard() == 1)
        for _ in range(500):
            rung.ring()
        await until(lambda: heard() > 1)

    asyncio.run(ring())
    assert told == [1, 500]
    assert heard() <= 12


@pytest.mark.usefixtures("configured")
def test_a_bell_whose_loop_ended_rings_in_the_next() -> None:
    rung = Bell("ingest")

    async def lost() -> None:
        rung.ring()

    async def ring() -> None:
        rung.ring()
        await until(lambda: heard() > 0)

    asyncio.run(lost())
    asyncio.run(ring())
