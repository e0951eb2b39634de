"""A page that is read the other way."""

from shared.domain.reading_order import reading_order
from shared.domain.schema import Direction, PagePanels


def turned(page: PagePanels, direction: Direction) -> PagePanels:
    """The same layout read in another direction: panels in that order, the other objects still in their panels."""
    boxes = [o.box for o in page.panels]
    order = reading_order(boxes, direction=direction, width=page.width, height=page.height)
    place = {old: new for new, old in enumerate(order)}
    objects = [o if o.panel is None else o.model_copy(update={"panel": place[o.panel]}) for o in page.objects]
    panels = [page.panels[k] for k in order]
    return page.model_copy(update={"direction": direction, "panels": panels, "objects": objects})
