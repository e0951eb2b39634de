"""The cache stays within its limit, gives back only what was put, and never gets in anybody's way."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shared.settings import Settings
from shared.store.cache import FileCache, cache_of

ROOT = Path(__file__).resolve().parents[3]
LIMIT = 100_000


@pytest.fixture
def cache(tmp_path: Path) -> FileCache:
    return FileCache(tmp_path / "cache", limit=LIMIT)


def held(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def test_what_was_put_is_given_back(cache: FileCache) -> None:
    assert cache.get("ab") is None
    cache.put("ab", b"first")
    cache.put("ab", b"second")
    cache.put("empty", b"")
    assert (cache.get("ab"), cache.get("empty")) == (b"second", b"")


def test_it_stays_within_its_limit_and_keeps_what_is_used(cache: FileCache, tmp_path: Path) -> None:
    cache.put("favourite", bytes(1000))
    for number in range(300):
        cache.put(f"page-{number}", os.urandom(1000))
        os.utime(tmp_path / "cache" / "fa" / "favourite", (number, number))
        for file in (tmp_path / "cache" / "pa").iterdir():
            if file.stat().st_mtime > 10**6:  # clocks of file systems are too coarse for this test
                os.utime(file, (number, number))
        assert cache.get("favourite") is not None
        assert held(tmp_path) <= LIMIT * 17 / 16 + 1100
    assert cache.get("page-0") is None
    assert cache.get("page-299") is not None


def test_what_is_too_large_is_not_kept(cache: FileCache, tmp_path: Path) -> None:
    cache.put("large", bytes(LIMIT // 2))
    assert cache.get("large") is None
    assert held(tmp_path) == 0


def test_a_limit_of_nothing_keeps_nothing(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, limit=0)
    cache.put("ab", b"x")
    assert cache.get("ab") is None


@pytest.mark.parametrize("damage", [b"", b"\0\0", b"\0\0\0\0half"])
def test_a_file_that_a_power_cut_left_half_is_not_given_back(cache: FileCache, tmp_path: Path, damage: bytes) -> None:
    cache.put("ab", b"whole")
    (file,) = (file for file in tmp_path.rglob("*") if file.is_file())
    file.write_bytes(damage)
    assert cache.get("ab") is None
    assert not file.exists()


def test_anybody_may_delete_it_at_any_time(cache: FileCache, tmp_path: Path) -> None:
    cache.put("ab", b"x")
    subprocess.run(["rm", "-r", str(tmp_path / "cache")], check=True)
    assert cache.get("ab") is None
    cache.put("ab", b"y")
    assert cache.get("ab") == b"y"


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "cache").write_bytes(b"a file in its place")
    cache = FileCache(tmp_path / "cache", limit=LIMIT)
    cache.put("ab", b"x")
    assert cache.get("ab") is None


def test_what_may_not_be_removed_stays_and_others_go_in_its_place(cache: FileCache, tmp_path: Path) -> None:
    """As nobody: root may remove anything."""
    for key in ("aa", "bb", "cc"):
        cache.put(key, bytes(100))
    kept = tmp_path / "cache" / "aa"
    os.utime(kept / "aa", (1, 1))  # the first to go
    kept.chmod(0o555)
    code = f"""
import os
from pathlib import Path
from shared.store.cache import FileCache
os.chdir({str(tmp_path / "cache")!r})
cache = FileCache(Path(), limit=200)
if not os.geteuid():
    os.chmod("bb", 0o777)
    os.chmod("cc", 0o777)
    os.setresuid(65534, 65534, 65534)
print(cache.evict())
cache.put("bb", b"x" * 12)  # looks through the folder, too
print(cache.get("bb"))
"""
    told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    kept.chmod(0o755)
    assert (told.stdout, told.stderr) == ("2\nb'xxxxxxxxxxxx'\n", "")
    assert cache.get("aa") is not None


def test_what_a_killed_writer_left_is_removed(cache: FileCache, tmp_path: Path) -> None:
    cache.put("ab", b"x")
    draft = tmp_path / "cache" / "ab" / ".0123"
    draft.write_bytes(b"half")
    cache.evict()
    assert draft.exists()  # it may be somebody's who writes just now
    os.utime(draft, (1, 1))
    cache.evict()
    assert not draft.exists()
    assert cache.get("ab") == b"x"


def test_everything_under_a_name_is_told_and_dropped_together(cache: FileCache, tmp_path: Path) -> None:
    for key in ("abc", "abc-64x64.webp", "abcd", "abd-1", "other-1", "other-2"):
        cache.put(key, bytes(96))
    (tmp_path / "cache" / "ab" / ".0123").write_bytes(b"being written")
    found = {name: sizes for some in cache.names() for name, sizes in some.items()}
    assert found == {"abc": [100, 100], "abcd": [100], "abd": [100], "other": [100, 100]}
    assert cache.drop(["abc", "other", "nothing"]) == 4
    assert [cache.get(key) is not None for key in ("abc", "abc-64x64.webp", "other-1", "abcd", "abd-1")] == [
        False, False, False, True, True,
    ]  # fmt: skip


@pytest.mark.parametrize("key", ["", "a", "../x", "a/b", ".hidden", "x" * 200, "ab\n"])
def test_a_key_is_never_a_path(cache: FileCache, key: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        cache.put(key, b"x")


def test_threads_and_processes_share_it(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from shared.store.cache import FileCache
cache = FileCache(Path({str(tmp_path)!r}), limit={LIMIT})
for number in range(400):
    key = f"page-{{number % 40}}"
    cache.put(key, key.encode() * 200)
    found = cache.get(f"page-{{number * 7 % 40}}")
    assert found is None or found == f"page-{{number * 7 % 40}}".encode() * 200
"""
    others = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(2)]
    threads = [threading.Thread(target=exec, args=(code, {})) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(timeout=30) for other in others] == [0, 0]
    assert held(tmp_path) <= LIMIT * (1 + 4 / 16)
    assert list(tmp_path.rglob(".*")) == []


def test_the_cache_is_the_installation_s_own(tmp_path: Path) -> None:
    configured = Settings(home=tmp_path, cache_limit=LIMIT)
    cache_of(configured).put("ab", b"x")
    assert (tmp_path / "cache" / "ab" / "ab").is_file()
    assert cache_of(configured) is cache_of(configured)
