"""Every idea between boxes and panels as a switch, so that each can be measured by leaving it out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rules:
    """What `arrange` makes use of; on by default where it helped on real and on made pages. Most need the picture.

    `threshold` is the probability from which a box alone is a panel.
    """

    jointly: bool = True
    """Choose the set of panels that goes together best, not one box after the other: off, scores alone decide, without
    outlines, cuts, gutters and holes."""
    outline: bool = True
    """Believe boxes more whose outline the picture shows: frame lines, gutters, drawing up to the page's edge."""
    cuts: bool = True
    """Believe boxes more that recursive cuts of the page find as well."""
    gutters: bool = False
    """Believe boxes less that a gutter crosses from side to side. Off: open panels on white paper lost by it."""
    holes: bool = True
    """Take unlikely boxes for panels where they fill what the others leave free."""
    snap: bool = True
    """Move sides to the gutter or line next to them."""
    pageless: bool = True
    """No full-page panel where the page is lettering, or paper all round."""
    threshold: float = 0.45
