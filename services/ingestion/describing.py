"""Everything a comic's file says about itself: its records, the labels of its pages, and the panels it states."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from services.ingestion.metadata.acbf import read_acbf
from services.ingestion.metadata.comicinfo import read_comicinfo
from services.ingestion.metadata.file_names import read_file_name
from services.ingestion.metadata.opf import read_opf
from services.ingestion.truth.acbf_frames import read_frames
from services.ingestion.truth.guided import is_guided, read_guided
from services.ingestion.truth.pages import PageNames, PageTruth, Truths
from services.ingestion.truth.pages import PagePlace as PagePlace
from services.ingestion.truth.regions import has_regions, read_regions
from shared.domain.metadata import OWN_ORIGINS, Metadata, MetadataRecord, Origin, PageLabel
from shared.files.containers import Attachment
from shared.files.documents import BadDocument, local, parse_xml


@dataclass(frozen=True)
class Description:
    """What a file says. Pages are named by their 0-based number; every record is of one of `OWN_ORIGINS`."""

    records: list[MetadataRecord]
    labels: dict[int, PageLabel] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    spreads: set[int] = field(default_factory=set)
    truths: dict[int, PageTruth] = field(default_factory=dict)


WRITTEN = TypeAdapter(Description)
"""A description as JSON, and back."""


def describe(attachments: Sequence[Attachment], *, file_name: str, pages: Sequence[PagePlace]) -> Description:
    """Read what a container brought along; whatever is wrong with it becomes a warning of a record.

    Of several documents of a kind the one nearest to the root speaks; panels come from every one, the first that tells
    of a page wins, ACBF before guided navigation before EPUB regions.
    """
    said = Description([read_file_name(file_name)])
    names = PageNames(pages)
    count = max((place.number for place in pages), default=-1) + 1
    truths: list[tuple[Origin, Truths]] = []
    for attachment in sorted(attachments, key=lambda one: (one.name.count("/"), one.name)):
        name, data = attachment.name, attachment.data
        last = name.rpartition("/")[2].lower()
        if last == "comicinfo.xml" and _new(said, "comicinfo"):
            found = read_comicinfo(data, pages=count, name=name)
            said.records.append(found.record)
            said.labels.update(found.labels)
            said.deleted.update(found.deleted)
            said.spreads.update(found.spreads)
        elif last.endswith(".opf") and _new(said, "epub"):
            said.records.append(read_opf(data, name=name))
        elif last.endswith(".acbf") or (last.endswith(".xml") and _is_acbf(data)):
            if _new(said, "acbf"):
                said.records.append(read_acbf(data, name=name))
            truths.append(("acbf", read_frames(data, names, name=name)))
        elif last.endswith(".json") and is_guided(data):
            truths.append(("epub", read_guided(data, names, name=name)))
        elif last.endswith((".xhtml", ".html", ".htm", ".xml")) and has_regions(data):
            truths.append(("epub", read_regions(data, names, name=name)))
    for origin, told in sorted(truths, key=lambda one: OWN_ORIGINS.index(one[0])):
        for number, truth in told.pages.items():
            said.truths.setdefault(number, truth)
        _warn(said, origin, told.warnings)
    return said


def _new(said: Description, origin: Origin) -> bool:
    return all(record.origin != origin for record in said.records)


def _is_acbf(data: bytes) -> bool:
    """Whether an XML document of no telling name is ACBF."""
    if b"<ACBF" not in data:
        return False
    try:
        return local(parse_xml(data).tag) == "ACBF"
    except BadDocument:
        return False


def _warn(said: Description, origin: Origin, warnings: list[str]) -> None:
    """Put what was wrong with stated panels to the record of its origin, for people look there."""
    if not warnings:
        return
    for record in said.records:
        if record.origin == origin:
            record.warnings.extend(warnings)
            return
    said.records.append(MetadataRecord(origin=origin, fields=Metadata(), warnings=warnings))
