"""Where the API has pictures: addresses that name the content, so that browsers may keep it for ever."""

from hashlib import sha256 as hash_of

from shared.domain.schema import Box


def page_address(sha256: str) -> str:
    """Of a page's image, verbatim; with `?width=` drawn at that width."""
    return f"/images/{sha256}"


def panel_address(panel_id: int, sha256: str, box: Box) -> str:
    """Of a panel's picture, the part of the page image `sha256` inside `box`; with `&width=` at that width."""
    return f"/panels/{panel_id}/image?v={panel_version(sha256, box)}"


def panel_version(sha256: str, box: Box) -> str:
    """Another one for another picture; browsers would show a panel of a library that is no more."""
    return hash_of(f"{sha256} {' '.join(f'{side:g}' for side in box)}".encode()).hexdigest()[:12]
