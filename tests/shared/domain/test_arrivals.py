"""What a client calls a file, and what may be said about one on its way in."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.domain.arrivals import LONGEST_LOCATION, KnownRequest, Reference, Sending, SourceFile, location_of


def test_a_location_names_machine_and_path() -> None:
    assert location_of(Path("/comics/Hergé/1.cbz")).endswith(":/comics/Hergé/1.cbz")
    assert location_of(Path("/comics/Hergé/1.cbz")).partition(":")[0]


def test_a_name_of_any_bytes_has_a_location_that_can_be_sent() -> None:
    raw = Path(os.fsdecode(b"/comics/\x83}\x83\x93\x83K.cbz"))
    location = location_of(raw)
    assert location.encode().endswith(b".cbz")
    assert location != location_of(Path(os.fsdecode(b"/comics/\x83}\x83\x93\x83L.cbz")))
    assert KnownRequest(files=[SourceFile(location=location, size=1, mtime_ns=-1)]).model_dump_json()


def test_paths_too_long_for_an_index_stay_apart_and_begin_as_they_do() -> None:
    deep = "/comics/" + "märchen/" * 400
    one, two = location_of(Path(deep + "1.cbz")), location_of(Path(deep + "2.cbz"))
    assert one != two
    assert len(one.encode()) <= LONGEST_LOCATION
    assert one.startswith(location_of(Path("/comics/märchen")))
    assert SourceFile(location=one, size=0, mtime_ns=0)


@pytest.mark.parametrize("location", ["", "x\0y", "x\ud800", "ä" * LONGEST_LOCATION])
def test_a_location_that_cannot_be_stored_is_refused(location: str) -> None:
    with pytest.raises(ValidationError):
        SourceFile(location=location, size=1, mtime_ns=1)


def test_a_path_that_cannot_be_stored_is_refused() -> None:
    for wrong in ({"path": "/x\udfff"}, {"name": "x\ud800"}):
        with pytest.raises(ValidationError):
            Reference.model_validate(
                {"path": "/x", "name": "x", "location": "here:/x", "mtime_ns": 1, "file_size": 1} | wrong
            )


def test_a_location_without_size_and_time_would_recognise_nothing() -> None:
    with pytest.raises(ValidationError, match="file_size"):
        Sending(location="here:/x", mtime_ns=1)
    assert Sending(filename="x").place is None
    assert Sending(location="here:/x", mtime_ns=1, file_size=2).place == SourceFile(
        location="here:/x", size=2, mtime_ns=1
    )
