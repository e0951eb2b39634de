"""The client's calls about what comics say about themselves, and what people say about them."""

from typing import Any
from urllib.parse import quote

from shared.domain.answers import ComicView
from shared.domain.metadata import ComicMetadata, Metadata, Origin
from shared.http.connection import Connection


class DescribingCalls(Connection):
    """Records of comics, and their edits."""

    def edit(self, comic_id: int, **changes: Any) -> ComicView:
        """Say what a comic is: fields of `MetadataChanges`; None takes back what was said of one."""
        return ComicView.model_validate(self._send("PATCH", f"/comics/{comic_id}", json=changes).json())

    def metadata(self, comic_id: int) -> ComicMetadata:
        """Every record of a comic, what they come to together, and where its file lies."""
        return ComicMetadata.model_validate(self._get(f"/comics/{comic_id}/metadata"))

    def put_metadata(self, comic_id: int, origin: Origin, metadata: Metadata) -> ComicMetadata:
        """State a record of `calibre`, `folder` or the `command line`, in place of the one it had."""
        answer = self._send("PUT", f"/comics/{comic_id}/metadata/{quote(origin)}", json=metadata.stated())
        return ComicMetadata.model_validate(answer.json())
