"""The Celery application: four queues by resource, and wake-ups.

A message says only "this stage has work": `{"task": "detect", "args": []}`. What the work is stands in PostgreSQL, so a
lost message costs a sweep and a doubled one costs a claim that finds nothing.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import kombu
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from shared.domain.pipeline import QUEUES, STAGES, Queue, services_of
from shared.settings import settings

log = logging.getLogger(__name__)
WAKEUPS = 12  # messages of one stage that may wait at once; more would wake nobody


def _configuration() -> dict[str, Any]:
    configured = settings()
    return {
        "broker_url": configured.redis_url or "redis://127.0.0.1:6379/0",
        "broker_transport_options": {"visibility_timeout": configured.visibility, "socket_keepalive": True},
        "broker_connection_retry_on_startup": True,
        "task_queues": [kombu.Queue(name) for name in QUEUES],
        "task_default_queue": "cpu",
        "task_create_missing_queues": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "task_track_started": False,
        "worker_prefetch_multiplier": 1,
        "worker_soft_shutdown_timeout": 10.0,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_send_task_events": True,
        "task_send_sent_event": True,
        "worker_hijack_root_logger": False,
        "beat_scheduler": "shared.work.sweeper:Sweeper",
        "beat_schedule": {"sweep": {"task": "sweep", "schedule": configured.sweep}},
        "beat_max_loop_interval": configured.sweep,
    }


app = Celery("comics")
app.add_defaults(_configuration)  # read on first use, not at import


def messages(queue: str) -> list[bytes]:
    """The raw messages that wait in one queue."""
    url = settings().redis_url or "redis://127.0.0.1:6379/0"
    with redis.Redis.from_url(url) as client:
        waiting: list[bytes] = client.lrange(queue, 0, -1)
    return waiting


def wake(due: Mapping[str, int]) -> int:
    """Tell workers how many jobs of each named stage are due; the messages sent.

    A message stands for one batch, and at most `WAKEUPS` of a stage wait at once. Redis out of reach is no error: the
    sweep will wake.
    """
    sent = 0
    try:
        for name, count in due.items():
            stage = STAGES[name]
            mark = f'"task": "{name}"'.encode()
            waiting = sum(mark in message for message in messages(stage.queue))
            for _ in range(min(-(-count // stage.batch), WAKEUPS - waiting)):
                app.send_task(name, queue=stage.queue, retry=False)
                sent += 1
    except (redis.RedisError, OperationalError) as error:
        log.warning("could not wake a worker, the next sweep will: %s", error)
    return sent


def work(queue: Queue, *, concurrency: int, modules: Sequence[str] | None = None) -> None:
    """Be the worker of one queue until told to stop; blocks. `modules` replaces the services' task modules.

    `gpu` and `train` children are spawned, not forked: CUDA and threads of numeric libraries do not survive a fork.
    """
    tasks = modules if modules is not None else [f"services.{name}.tasks" for name in services_of(queue)]
    app.conf.imports = ["shared.work.stages", *tasks]
    if queue in ("gpu", "train"):
        app.conf.worker_pool_start_method = "spawn"
    app.worker_main(
        ["worker", "-Q", queue, "-n", f"{queue}@%h", "-c", str(concurrency), "-E", "--loglevel", "INFO",
         "--without-mingle", "--without-gossip"]
    )  # fmt: skip
