"""The client's calls about panels in other people's formats."""

from collections.abc import Sequence
from pathlib import Path

from shared.domain.panel_exchange import PanelImport
from shared.http.connection import Connection


class ExchangeCalls(Connection):
    """Panels in, panels out."""

    def import_panels(self, path: Path, *, mapping: str = "", dry_run: bool = False) -> PanelImport:
        """Take in a COCO or Kumiko file; `mapping` is the text of CSV or JSON that says which pages its images are."""
        with path.open("rb") as file:
            answer = self._send(
                "POST",
                "/layouts/import",
                params={"dry_run": dry_run},
                data={"mapping": mapping} if mapping else {},
                files={"file": (path.name, file)},
                timeout=self._patient,
            )
        return PanelImport.model_validate(answer.json())

    def export_panels(self, path: Path, *, comics: Sequence[int] = ()) -> None:
        """Write the active layouts of these comics, or of all, as COCO."""
        self._download("/layouts/export", path, comic=list(comics))
