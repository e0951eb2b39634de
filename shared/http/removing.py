"""The client's calls about what goes: deleting comics, and freeing what nobody needs."""

from shared.domain.removal import Garbage, RemovedComic
from shared.http.connection import Connection


class RemovingCalls(Connection):
    """What is taken away."""

    def remove(self, comic_id: int, *, force: bool = False) -> RemovedComic:
        """Delete a comic; what went with it. `force`: even when datasets lose images for good."""
        answer = self._send("DELETE", f"/comics/{comic_id}", params={"force": force}, timeout=self._patient)
        return RemovedComic.model_validate(answer.json())

    def garbage(self) -> Garbage:
        """What lies around that nobody needs."""
        return Garbage.model_validate(self._send("GET", "/gc", timeout=self._patient).json())

    def free_garbage(self) -> Garbage:
        """Free it; what was freed."""
        return Garbage.model_validate(self._send("POST", "/gc", timeout=self._patient).json())
