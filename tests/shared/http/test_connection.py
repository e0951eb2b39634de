"""The client tells a server that is slow from one that is not there, and waits where waiting is right."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa

from shared.http.client import ApiError, Client, Unreachable
from shared.settings import Settings
from shared.store.db import unit_of_work
from tests.equipment.api import running_api


@contextmanager
def held_up(configured: Settings, *, seconds: float) -> Iterator[None]:
    """Nobody can read the promotions for so long."""
    begun, over = threading.Event(), threading.Event()

    def hold() -> None:
        with unit_of_work(str(configured.database_url)) as connection:
            connection.execute(sa.text("LOCK TABLE promotion IN ACCESS EXCLUSIVE MODE"))
            begun.set()
            over.wait(seconds)

    holding = threading.Thread(target=hold)
    holding.start()
    try:
        assert begun.wait(10)
        yield
    finally:
        over.set()
        holding.join()


def test_a_slow_answer_is_not_called_an_absent_server(configured: Settings) -> None:
    with running_api(configured) as address, Client(address, timeout=0.3) as client:
        with held_up(configured, seconds=20), pytest.raises(Unreachable, match=r"within 0\.3 s; it") as slow:
            client.promotions()
        assert "may still be working" in str(slow.value)
        assert "comics up" not in str(slow.value)
        assert client.promotions() == []
    with Client(address) as client, pytest.raises(Unreachable, match="Start one with `comics up`"):
        client.promotions()


def test_a_call_that_may_take_long_waits_for_its_answer(configured: Settings) -> None:
    with (
        running_api(configured) as address,
        Client(address, timeout=0.3) as client,
        held_up(configured, seconds=1),
        pytest.raises(ApiError, match="replaced no other"),
    ):
        client.roll_back()
