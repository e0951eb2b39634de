"""EPUB and ACBF documents made on the fly."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from tests.equipment.hostile_files import zipped

CONTAINER = "<container><rootfiles><rootfile full-path='{}'/></rootfiles></container>"
XHTML = (
    "<?xml version='1.0'?>"
    "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.1//EN' 'http://www.w3.org/TR/xhtml11/DTD/xhtml11.dtd'>"
    "<html xmlns='http://www.w3.org/1999/xhtml' xmlns:xlink='http://www.w3.org/1999/xlink'><body>{}</body></html>"
)
TYPES = {
    "xhtml": "application/xhtml+xml", "html": "text/html", "svg": "image/svg+xml", "jpg": "image/jpeg",
    "png": "image/png", "json": "application/guided-navigation+json", "css": "text/css",
}  # fmt: skip


def package(
    items: Iterable[str], spine: Iterable[str], *, extra: str = "", attributes: Mapping[str, str] | None = None
) -> bytes:
    """A package document: every item is listed under its own href as id, `attributes` are added by href."""
    more = attributes or {}
    types = {href: TYPES.get(href.rpartition(".")[2], "x/y") for href in items}
    manifest = "".join(
        f"<item id='{href}' href='{href}' media-type='{kind}' {more.get(href, '')}/>" for href, kind in types.items()
    )
    references = "".join(f"<itemref idref='{href}' {more.get('#' + href, '')}/>" for href in spine)
    text = (
        "<?xml version='1.0'?><package xmlns='http://www.idpf.org/2007/opf' version='3.0'>"
        f"<metadata>{extra}</metadata><manifest>{manifest}</manifest><spine>{references}</spine></package>"
    )
    return text.encode()


def epub_of(files: Mapping[str, Any], *, opf: bytes, name: str = "OPS/book.opf") -> bytes:
    """An EPUB of these files (bytes or text) by their whole names, its package document `opf` under `name`."""
    parts: dict[str, bytes] = {
        "mimetype": b"application/epub+zip",
        "META-INF/container.xml": CONTAINER.format(name).encode(),
        name: opf,
    }
    return zipped(parts | {key: data.encode() if isinstance(data, str) else data for key, data in files.items()})


def showing(*sources: str) -> str:
    """An XHTML document that shows these pictures."""
    return XHTML.format("".join(f"<p><img src='{source}' alt=''/></p>" for source in sources))


def acbf_of(pictures: Mapping[str, bytes], *, cover: str = "", pages: Iterable[str] | None = None) -> bytes:
    """An ACBF document with these pictures embedded, its pages all of them in order or those named."""
    body = "".join(f"<page><image href='#{name}'/></page>" for name in (pictures if pages is None else pages))
    front = f"<coverpage><image href='#{cover}'/></coverpage>" if cover else ""
    data = "".join(
        f"<binary content-type='image/jpeg' id='{name}'>\n{base64.encodebytes(data).decode()}</binary>"
        for name, data in pictures.items()
    )
    return (
        "<?xml version='1.0' encoding='utf-8'?><ACBF xmlns='http://www.fictionbook-lib.org/xml/acbf/1.1'>"
        f"<meta-data><book-info>{front}</book-info></meta-data><body>{body}</body><data>{data}</data></ACBF>"
    ).encode()
