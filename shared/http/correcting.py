"""The client's calls about what people say of a page's panels, and about those of an earlier detector."""

from shared.domain.answers import LayoutView, OutdatedLayouts
from shared.domain.corrections import PanelCorrection
from shared.http.connection import Connection


class CorrectingCalls(Connection):
    """Corrections of layouts."""

    def active_layout(self, page_id: int) -> LayoutView:
        """The layout of a page that counts."""
        return LayoutView.model_validate(self._get(f"/pages/{page_id}/panels"))

    def correct_panels(self, page_id: int, correction: PanelCorrection) -> LayoutView:
        """Say what a page's panels are; the layout that counts now."""
        said = correction.model_dump(mode="json", exclude_unset=True)
        return LayoutView.model_validate(self._send("PUT", f"/pages/{page_id}/panels", json=said).json())

    def revert_panels(self, page_id: int, *, based_on: int | None = None, force: bool = False) -> LayoutView:
        """Go back to the machine's panels; what people said stays stored."""
        seen = {} if based_on is None else {"based_on": based_on}
        answer = self._send("DELETE", f"/pages/{page_id}/panels", params={**seen, "force": force})
        return LayoutView.model_validate(answer.json())

    def outdated_layouts(self) -> OutdatedLayouts:
        """How many pages show panels of an earlier detector."""
        return OutdatedLayouts.model_validate(self._get("/layouts/outdated"))

    def look_again(self) -> dict[str, int]:
        """Let the detector in use look at them; jobs queued by stage."""
        queued: dict[str, int] = self._send("POST", "/layouts/outdated", timeout=self._patient).json()
        return queued
