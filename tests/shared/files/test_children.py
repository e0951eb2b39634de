"""What a hostile file may do to a decoder it does to a child: its parent, its siblings and the next file live on."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.processes import start_time, wait_until
from shared.errors import NotFound, Reject, Retry, TooLarge
from shared.files import children as children_module
from shared.files.children import (
    Answer,
    ChildDied,
    ChildFailed,
    ChildLost,
    ChildOutOfMemory,
    Children,
    ChildTooSlow,
)
from shared.files.containers import Unreadable
from tests.equipment.offspring import zombies

ROOT = Path(__file__).resolve().parents[3]
FALLING = "tests.equipment.falling"
MEMORY = 256 << 20


@pytest.fixture
def children() -> Iterator[Children]:
    made = Children(2, memory=MEMORY, seconds=20)
    yield made
    made.close()
    assert zombies() == []


def ask(pool: Children, function: str, **request: object) -> list[Answer]:
    return list(pool.call(f"{FALLING}:{function}", request))


def process_of(pool: Children) -> int:
    return int(ask(pool, "counts", count=1)[0].about["process"])


def test_answers_come_whole_and_in_order_whatever_a_library_prints(children: Children) -> None:
    answers = ask(children, "counts", count=50)
    assert [answer.about["number"] for answer in answers] == list(range(50))
    assert [answer.data for answer in answers] == [bytes(number) for number in range(50)]
    assert len(ask(children, "counts", count=0)) == 0


def test_a_large_answer_comes_through(children: Children) -> None:
    last = ask(children, "holds", size=20 << 20)[-1]
    assert last.data == bytes(20 << 20)


def test_a_child_lives_through_many_calls(children: Children) -> None:
    assert len({process_of(children) for _ in range(5)}) == 1


@pytest.mark.parametrize("kind", [Reject, NotFound, TooLarge, Unreadable, Retry])
def test_our_own_errors_cross_as_themselves(children: Children, kind: type[Exception]) -> None:
    with pytest.raises(kind, match=r"^page.jpg is of no use$") as raised:
        ask(children, "refuses", kind=kind.__name__)
    assert type(raised.value) is kind


def test_a_bug_is_told_with_its_traceback_and_costs_no_child(children: Children) -> None:
    before = process_of(children)
    with pytest.raises(ChildFailed, match=r"in fails\n(.*\n)*KeyError: 'a bug'"):
        ask(children, "fails")
    assert process_of(children) == before


@pytest.mark.parametrize(
    ("function", "kind", "reason"),
    [
        ("crashes", ChildDied, r"makes the decoder crash \(SIGSEGV\)"),
        ("exits", ChildDied, r"makes the decoder stop \(exit status 3\)"),
        ("swells", ChildOutOfMemory, r"needs more memory than 256 MB to decode"),
    ],
)
def test_a_child_that_goes_down_leaves_a_reason_and_a_successor(
    children: Children, function: str, kind: type[ChildLost], reason: str
) -> None:
    before = process_of(children)
    with pytest.raises(kind, match=f"^{reason}$"):
        ask(children, function)
    assert start_time(before) is None
    assert process_of(children) != before
    assert zombies() == []


def test_silence_ends_a_child_with_all_that_it_started() -> None:
    pool = Children(1, memory=MEMORY, seconds=1)
    answers = pool.call(f"{FALLING}:hangs", {})
    started = next(answers).about
    with pytest.raises(ChildTooSlow, match=r"^takes longer than 1 s to decode$"):
        next(answers)
    assert wait_until(lambda: all(start_time(process) is None for process in started.values()), seconds=5)
    assert process_of(pool) not in started.values()
    pool.close()


def test_a_crash_ends_what_the_child_started(children: Children) -> None:
    answers = children.call(f"{FALLING}:crashes_after_starting", {})
    started = next(answers).about
    with pytest.raises(ChildDied, match="SIGSEGV"):
        next(answers)
    assert wait_until(lambda: start_time(started["started"]) is None, seconds=5)


def test_a_child_that_the_system_kills_is_replaced_once(children: Children, tmp_path: Path) -> None:
    assert len(ask(children, "is_killed_once", mark=str(tmp_path / "mark"))) == 1
    with pytest.raises(ChildDied, match="SIGKILL"):
        ask(children, "is_killed_once", mark="/dev/null")  # which forgets that it was


def test_each_thread_has_a_child_of_its_own_and_one_too_many_waits(children: Children, tmp_path: Path) -> None:
    processes: list[int] = []

    def work() -> None:
        processes.append(ask(children, "waits", **{"for": str(tmp_path / "go")})[0].about["process"])

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    assert processes == []
    (tmp_path / "go").touch()
    for thread in threads:
        thread.join()
    assert len(processes) == 3
    assert len(set(processes)) == 2


def test_who_stops_asking_leaves_no_answers_for_the_next(children: Children) -> None:
    answers = children.call(f"{FALLING}:counts", {"count": 100_000})
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert len(ask(children, "counts", count=3)) == 3


def test_a_child_killed_while_idle_is_nobody_s_fault(children: Children) -> None:
    before = process_of(children)
    os.kill(before, signal.SIGKILL)
    assert wait_until(lambda: start_time(before) is None, seconds=5)
    assert process_of(children) != before


def test_a_child_is_replaced_after_many_calls(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "MOST_CALLS", 3)
    processes = [process_of(children) for _ in range(6)]
    assert processes == [processes[0]] * 3 + [processes[3]] * 3
    assert start_time(processes[0]) is None


def test_idle_children_are_sent_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children_module, "IDLE", 0.1)
    pool = Children(1, memory=MEMORY, seconds=20)
    process = process_of(pool)
    assert wait_until(lambda: start_time(process) is None, seconds=5)
    assert process_of(pool) != process
    pool.close()


def test_a_child_knows_no_secrets(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMICS_VLM_API_KEY", "secret")
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    told = ask(children, "tells")[0].about
    assert "secret" not in str(told)
    assert not any(name.startswith("COMICS") for name in told)


def script(text: str) -> "subprocess.Popen[str]":
    """A program of its own that has the pool `pool`."""
    head = """
        import os, sys, time
        from shared.files.children import Children
        pool = Children(2, memory=1 << 30, seconds=60)
        def process():
            return next(iter(list(pool.call("tests.equipment.falling:counts", {"count": 1})))).about["process"]
        """
    code = textwrap.dedent(head) + textwrap.dedent(text)
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_children_die_with_a_killed_parent_even_at_work() -> None:
    parent = script("""
        print(process(), flush=True)
        answers = pool.call("tests.equipment.falling:hangs", {})
        print(next(answers).about["child"], flush=True)
        time.sleep(60)
        """)
    assert parent.stdout is not None
    processes = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    assert wait_until(lambda: all(start_time(process) is None for process in processes), seconds=5)


def test_no_child_outlives_a_parent_that_ends() -> None:
    parent = script("print(process(), flush=True)")
    told, _ = parent.communicate(timeout=20)
    assert parent.returncode == 0
    assert start_time(int(told)) is None


def test_a_pool_carried_through_a_fork_has_children_of_its_own() -> None:
    parent = script("""
        first = process()
        forked = os.fork()
        if not forked:
            print(process() != first, process() != first, flush=True)
            os._exit(0)
        os.waitpid(forked, 0)
        print(process() == first, flush=True)
        """)
    told, _ = parent.communicate(timeout=20)
    assert told.split() == ["True"] * 3
