"""Storage: what is written is whole, what is absent is said, and no key leaves the place."""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.errors import Conflict, NotFound, Reject, Retry
from shared.store import bucket_storage
from shared.store.storage import Storage, open_storage

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(params=["folder", "file url", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    urls = {"folder": str(tmp_path / "a b"), "file url": f"file://{tmp_path}/a%20b", "memory": "memory://"}
    return open_storage(urls[request.param])


def test_bytes_come_back_as_they_went_in(place: Storage) -> None:
    place.put("blobs/ab/cd", b"first")
    place.put("blobs/ab/cd", b"second")
    assert place.get("blobs/ab/cd") == b"second"
    assert place.size("blobs/ab/cd") == 6
    assert place.get_range("blobs/ab/cd", start=1, length=3) == b"eco"
    assert place.get_range("blobs/ab/cd", start=4, length=30) == b"nd"
    assert place.get_range("blobs/ab/cd", start=6, length=3) == b""


def test_put_if_absent_never_replaces(place: Storage) -> None:
    assert place.put_if_absent("a", b"mine")
    assert not place.put_if_absent("a", b"yours")
    assert place.get("a") == b"mine"


def test_of_many_writers_exactly_one_creates_a_key(place: Storage) -> None:
    wins: list[int] = []
    start = threading.Barrier(8)

    def write(number: int) -> None:
        start.wait()
        if place.put_if_absent("once", str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert place.get("once") == str(wins[0]).encode()


def test_an_absent_key_is_not_found_and_deleting_it_is_harmless(place: Storage) -> None:
    for read in (place.get, place.size, lambda key: place.get_range(key, start=0, length=1)):
        with pytest.raises(NotFound, match="no/such"):
            read("no/such")
    assert not place.exists("no/such")
    place.delete("no/such")
    place.delete_folder("no/such")


def test_a_folder_is_not_a_key(place: Storage) -> None:
    place.put("a/b", b"")
    with pytest.raises(NotFound):
        place.get("a")
    assert not place.exists("a")


@pytest.mark.parametrize("key", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a/.hidden", "a\\b", "a b", "a\0", "é"])
def test_a_key_that_could_leave_the_place_is_refused(place: Storage, key: str) -> None:
    for call in (place.get, place.delete, place.local_path, place.size, lambda key: place.put(key, b"")):
        with pytest.raises(Reject, match="not a storage key"):
            call(key)
    with pytest.raises(Reject):
        place.put_folder("folder", {key: b""})
    assert list(place.list()) == []


def test_list_gives_the_keys_below_a_folder_and_nothing_unfinished(place: Storage) -> None:
    for key in ("a/1", "a/b/2", "ab/3", "4"):
        place.put(key, b"")
    with place.scratch_file() as path:
        path.write_bytes(b"half")
        assert sorted(place.list()) == ["4", "a/1", "a/b/2", "ab/3"]
        assert sorted(place.list("a")) == ["a/1", "a/b/2"]
    assert list(place.list("zzz")) == []


def test_a_large_file_is_moved_from_scratch_and_copied_from_elsewhere(place: Storage, tmp_path: Path) -> None:
    with place.scratch_file() as path:
        path.write_bytes(b"upload")
        assert place.put_file("uploads/1", path)
    assert not path.exists()
    own = tmp_path / "own.cbz"
    own.write_bytes(b"own")
    assert place.put_file("uploads/2", own)
    assert not place.put_file("uploads/2", own)
    own.write_bytes(b"changed")
    assert (place.get("uploads/1"), place.get("uploads/2")) == (b"upload", b"own")


def test_a_folder_is_kept_as_one_and_never_replaced(place: Storage) -> None:
    assert place.put_folder("s/one", {"x/1": b"1", "last": b"2"})
    assert not place.put_folder("s/one", {"x/1": b"other", "last": b"other"})
    assert {key: place.get(key) for key in place.list()} == {"s/one/x/1": b"1", "s/one/last": b"2"}
    place.delete_folder("s/one")
    assert list(place.list()) == []


def test_a_write_that_dies_leaves_nothing_that_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_storage(str(tmp_path))
    place.put("kept", b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: place.put("kept", b"new"),
        lambda: place.put_if_absent("other", b"new"),
        lambda: place.put_folder("folder", {"a": b"", "b": b""}),
    ):
        with pytest.raises(Retry, match="free some disk space"):
            write()
    monkeypatch.undo()
    assert {key: place.get(key) for key in place.list()} == {"kept": b"old"}
    assert place.sweep_scratch(older_than_s=-1) == 0  # nothing was left behind


def test_bytes_are_on_disk_before_they_have_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_storage(str(tmp_path))
    place.put("new/a", b"")  # its folder exists from here on
    events: list[str] = []
    fsync, link, replace = os.fsync, os.link, Path.replace

    def synced(handle: int) -> None:
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{handle}") else "file"
        events.append(f"sync {kind}")
        fsync(handle)

    def linked(source: Path, target: Path) -> None:
        events.append("name")
        link(source, target)

    def replaced(self: Path, target: Path) -> Path:
        events.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(Path, "replace", replaced)
    place.put("new/a", b"1")
    place.put_if_absent("new/b", b"2")
    assert events == ["sync file", "name", "sync folder"] * 2


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_many_keys_are_measured_and_forgotten_at_once(tmp_path: Path, kind: str) -> None:
    place = open_storage("memory://" if kind == "memory" else str(tmp_path))
    for number in range(30):
        place.put(f"a/{number % 3}/{number}", b"." * number)
    place.put("b/other", b"1")
    found = {entry.key: entry.size for entry in place.entries("a")}
    assert found == {f"a/{number % 3}/{number}": number for number in range(30)}
    assert all(-5 < entry.age < 60 for entry in place.entries("a"))
    some = [f"a/{number % 3}/{number}" for number in range(20)]
    assert place.sizes([*some, "a/absent"]) == {key: found[key] for key in some}
    place.delete_all([*some, "a/absent"])
    assert set(place.list()) == {*found, "b/other"} - set(some)


def test_what_killed_writers_left_is_swept_by_age(tmp_path: Path) -> None:
    place = open_storage(str(tmp_path))
    scratch = tmp_path / ".scratch"
    (scratch / "dead").mkdir()
    (scratch / "dead" / "x").write_bytes(b"")
    (scratch / "dead.part").write_bytes(b"")
    for entry in scratch.iterdir():
        os.utime(entry, (0, 0))
    (scratch / "busy.part").write_bytes(b"")
    assert place.scratch(older_than_s=3600).count == 2
    assert place.sweep_scratch(older_than_s=3600) == 2
    assert place.scratch(older_than_s=3600).count == 0
    assert [entry.name for entry in scratch.iterdir()] == ["busy.part"]


def test_a_folder_used_before_a_fork_works_in_the_forked_worker(tmp_path: Path) -> None:
    place = open_storage(str(tmp_path))
    place.put("before", b"1")
    worker = multiprocessing.get_context("fork").Process(target=lambda: place.put("after", place.get("before")))
    worker.start()
    worker.join(20)
    worker.kill()
    assert worker.exitcode == 0
    assert place.get("after") == b"1"


def test_a_bucket_used_before_a_fork_says_so_instead_of_waiting_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    place = open_storage("memory://")
    place.put("a", b"")
    monkeypatch.setattr(bucket_storage, "_first_process", os.getpid() - 1)
    with pytest.raises(RuntimeError, match="forked"):
        place.get("a")


def test_a_name_that_is_both_folder_and_key_is_a_conflict(tmp_path: Path) -> None:
    place = open_storage(str(tmp_path))
    place.put("a/b", b"")
    for key in ("a", "a/b/c"):
        with pytest.raises(Conflict, match="both"):
            place.put(key, b"")


def test_an_unreachable_bucket_is_tried_again_later_and_names_no_secret() -> None:
    options = {
        "endpoint": "http://127.0.0.1:9",
        "region": "nowhere",
        "access_key_id": "me",
        "secret_access_key": "hush-hush",
    }
    place = open_storage("s3://bucket/prefix", options=options)
    with pytest.raises(Retry) as raised:
        place.get("a/b")
    assert "a/b" in str(raised.value)
    assert "hush" not in str(raised.value)
    assert "127.0.0.1" not in str(raised.value)


@pytest.mark.parametrize("url", ["ftp://host/x", "s3://", "https://host/x"])
def test_an_unknown_kind_of_place_is_refused(url: str) -> None:
    with pytest.raises(Reject):
        open_storage(url)


def test_a_place_that_cannot_be_made_is_refused_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Reject) as raised:
        open_storage(str(tmp_path / "file" / "data"))
    assert str(tmp_path) not in str(raised.value)


def test_a_folder_without_permission_blocks() -> None:
    """In a process without root's privileges, since root may read anything."""
    code = """
import os, sys, tempfile, uuid, shared.store.folder_storage  # before the user who may not read them
from shared.errors import Blocked
from shared.store.storage import open_storage
if os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
with tempfile.TemporaryDirectory() as folder:
    place = open_storage(folder + "/data")
    place.put("a", b"")
    os.chmod(folder + "/data/a", 0)
    try:
        place.get("a")
    except Blocked as error:
        sys.exit(0 if folder not in str(error) else 2)
sys.exit(1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
