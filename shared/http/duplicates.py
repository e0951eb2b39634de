"""The client's calls about duplicates and hidden pages."""

from collections.abc import Iterator, Sequence

from shared.domain.answers import PageView
from shared.domain.duplicates import (
    DuplicateCounts,
    DuplicateDecision,
    DuplicateGroup,
    DuplicateKind,
    DuplicateOutcome,
    DuplicateSlice,
    DuplicateState,
    PageChanges,
)
from shared.http.connection import Connection


class DuplicateCalls(Connection):
    """What looks the same, and what to do about it."""

    def duplicates(self, kind: DuplicateKind, *, state: DuplicateState | None = None) -> Iterator[DuplicateGroup]:
        """Every group of a kind, each with the one to keep and why."""
        after: int | None = 0
        while after is not None:
            slice_ = DuplicateSlice.model_validate(self._get("/duplicates", kind=kind, state=state, after=after))
            yield from slice_.items
            after = slice_.next

    def open_duplicates(self) -> DuplicateCounts:
        """How many groups of each kind somebody is to decide about."""
        return DuplicateCounts.model_validate(self._get("/duplicates/counts"))

    def hide_duplicates(self, kind: DuplicateKind, *, keep: int, hide: Sequence[int]) -> DuplicateOutcome:
        """Keep one and put the others aside."""
        return self._decide(DuplicateDecision(kind=kind, keep=keep, hide=list(hide)))

    def tell_apart(self, kind: DuplicateKind, ids: Sequence[int]) -> DuplicateOutcome:
        """These only look the same: never group them again."""
        return self._decide(DuplicateDecision(kind=kind, distinct=list(ids)))

    def undo_decisions(self, kind: DuplicateKind, ids: Sequence[int]) -> DuplicateOutcome:
        """Forget what was decided about these among each other; what it hid is shown again."""
        return self._decide(DuplicateDecision(kind=kind, undo=list(ids)))

    def hide_page(self, page_id: int, *, hidden: bool = True) -> PageView:
        """A person's own wish: no work on this page and no answer from it, or the contrary."""
        changes = PageChanges(hidden=hidden).model_dump()
        return PageView.model_validate(self._send("PATCH", f"/pages/{page_id}", json=changes).json())

    def _decide(self, decision: DuplicateDecision) -> DuplicateOutcome:
        answer = self._send("POST", "/duplicates/decisions", json=decision.model_dump(mode="json"))
        return DuplicateOutcome.model_validate(answer.json())
