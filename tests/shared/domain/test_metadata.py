"""What is said about a comic: the contract that every record and every edit keeps."""

import pytest
from pydantic import ValidationError

from shared.domain.metadata import Metadata, MetadataChanges, direction_of_language


@pytest.mark.parametrize("written", ["ja", "JA", "jpn", "Japanese", "日本語", "jp"])
def test_a_language_is_kept_by_one_code_however_it_is_written(written: str) -> None:
    for said in (Metadata(language=written), MetadataChanges(language=written)):
        assert said.language == "ja"
    assert direction_of_language(written) == "rtl"


def test_a_language_that_nobody_knows_is_not_stated_and_one_that_is_none_refused() -> None:
    assert Metadata(language="und").stated() == {}
    assert Metadata(language="pt_BR").language == "pt-br"
    with pytest.raises(ValidationError):
        Metadata(language="the tongue of Mordor")


def test_an_edit_covers_every_field_and_takes_each_back() -> None:
    assert set(MetadataChanges.model_fields) == set(Metadata.model_fields)
    nothing = dict.fromkeys(Metadata.model_fields)
    assert MetadataChanges(**nothing).model_dump(exclude_unset=True) == nothing
