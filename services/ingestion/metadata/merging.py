"""What several records come to together: each field from the origin that is believed first."""

from collections.abc import Iterable
from typing import Any

from services.ingestion.metadata.file_names import without_suffix
from shared.domain.metadata import ORIGINS, Metadata, MetadataRecord, Origin


def merge(records: Iterable[MetadataRecord]) -> tuple[Metadata, dict[str, Origin]]:
    """The merged record, and which origin each of its fields is from; lists are taken whole, never mixed."""
    merged: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    for record in sorted(records, key=lambda record: ORIGINS.index(record.origin)):
        for field, value in record.fields.stated().items():
            if field not in merged:
                merged[field], origins[field] = value, record.origin
    return Metadata(**merged), origins


def tidy_title(file_name: str) -> str:
    """What a comic is called that nothing else names: its file's name without suffix and underscores."""
    return " ".join(without_suffix(file_name).replace("_", " ").split()) or file_name
