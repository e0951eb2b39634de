"""Named layouts that are hard to read in order, panels listed as a practised reader meets them from left to right.

Units are hundredths of the page's width. What readers prefer where theory leaves a choice follows Cohn ("Navigating
Comics", 2013): blocked rows are read as columns, slight stagger is ignored, overlaps are read in order of their ground.
"""

from shared.domain.schema import Box, Direction


def panels(*sides: tuple[float, float, float, float]) -> list[Box]:
    """Boxes from (left, top, right, bottom)."""
    return [Box(x, y, right - x, bottom - y) for x, y, right, bottom in sides]


def grid(columns: int, rows: int, *, width: float, height: float, across: float, down: float) -> list[Box]:
    """Equal panels row by row, with gaps `across` between columns and `down` between rows."""
    w, h = (width - across * (columns - 1)) / columns, (height - down * (rows - 1)) / rows
    return [Box(c * (w + across), r * (h + down), w, h) for r in range(rows) for c in range(columns)]


def by_columns(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (box.x, box.y))


def shifted(boxes: list[Box], across: float, down: float = 0.0) -> list[Box]:
    return [Box(box.x + across, box.y + down, box.w, box.h) for box in boxes]


def mirrored(boxes: list[Box], width: float = 100.0) -> list[Box]:
    """The same on a page seen in a mirror."""
    return [Box(width - box.right, box.y, box.w, box.h) for box in boxes]


def directed(boxes: list[Box], direction: Direction) -> list[Box]:
    """A layout as a page of this direction shows it."""
    return boxes if direction is Direction.LTR else mirrored(boxes)


LAYOUTS: dict[str, list[Box]] = {
    "four equal panels": grid(2, 2, width=100, height=140, across=2, down=2),
    "nine equal panels": grid(3, 3, width=100, height=140, across=2, down=2),
    "eight equal panels with equal gutters": grid(2, 4, width=100, height=140, across=2, down=2),
    "tiers of one, three and two": panels(
        (0, 0, 100, 40), (0, 43, 30, 90), (33, 43, 66, 90), (69, 43, 100, 90), (0, 93, 60, 140), (63, 93, 100, 140)
    ),
    "pyramid of one, two and three": panels(
        (0, 0, 100, 45), (0, 48, 49, 92), (51, 48, 100, 92), (0, 95, 32, 140), (34, 95, 66, 140), (68, 95, 100, 140)
    ),
    "bricks": panels(
        (0, 0, 35, 45), (37, 0, 100, 45), (0, 47, 65, 92), (67, 47, 100, 92), (0, 94, 35, 140), (37, 94, 100, 140)
    ),
    "tall panel, then a stack": panels((0, 0, 40, 140), (43, 0, 100, 45), (43, 48, 100, 92), (43, 95, 100, 140)),
    "a stack, then a tall panel": panels((0, 0, 60, 68), (0, 71, 60, 140), (63, 0, 100, 140)),
    "tall panel between two stacks": panels(
        (0, 0, 30, 68), (0, 71, 30, 140), (33, 0, 66, 140), (69, 0, 100, 50), (69, 53, 100, 140)
    ),
    "tall panel beside two of three rows": panels(
        (0, 0, 35, 92), (38, 0, 100, 45), (38, 48, 100, 92), (0, 95, 49, 140), (51, 95, 100, 140)
    ),
    "blocked row below a wide panel": panels(
        (0, 0, 100, 50), (0, 53, 60, 95), (0, 98, 28, 140), (31, 98, 60, 140), (63, 53, 100, 140)
    ),
    "block within a block": panels(
        (0, 0, 30, 140), (33, 0, 100, 40), (33, 43, 64, 100), (67, 43, 100, 70), (67, 73, 100, 100), (33, 103, 100, 140)
    ),
    "tall panel that ends a little before its stack": panels((0, 0, 60, 66), (0, 69, 60, 140), (63, 0, 100, 128)),
    "small last panel in a stack before a tall one": panels((0, 0, 60, 118), (0, 121, 60, 140), (63, 0, 100, 140)),
    "rows of three against rows of two": panels(
        (0, 0, 48, 44), (0, 47, 48, 92), (0, 95, 48, 140), (52, 0, 100, 68), (52, 71, 100, 140)
    ),
    "rows of four against rows of three": panels(
        (0, 0, 55, 33), (0, 35, 55, 68), (0, 70, 55, 103), (0, 105, 55, 140),
        (58, 0, 100, 46), (58, 48, 100, 92), (58, 94, 100, 140),
    ),
    "low panel at the far top beside a stack of unlike height": panels(
        (0, 2, 48, 68), (0, 71, 48, 140), (52, 0, 100, 12), (52, 15, 100, 36), (52, 40, 100, 90), (52, 93, 100, 140)
    ),
    "slightly staggered rows": panels((0, 0, 48, 66), (52, 0, 100, 74), (0, 70, 48, 140), (52, 78, 100, 140)),
    "slightly staggered rows, the other way": panels(
        (0, 0, 48, 74), (52, 0, 100, 66), (0, 78, 48, 140), (52, 70, 100, 140)
    ),
    "clearly staggered columns": panels((0, 0, 48, 42), (0, 46, 48, 140), (52, 0, 100, 94), (52, 98, 100, 140)),
    "rows with one long slanted gutter each": panels(
        (0, 0, 49, 52), (51, 0, 100, 44), (0, 38, 62, 98), (64, 30, 100, 88), (0, 84, 38, 140), (40, 78, 100, 140)
    ),
    "row of panels with slanted sides": panels(
        (0, 0, 38, 66), (28, 0, 72, 66), (62, 0, 100, 66), (0, 70, 58, 140), (44, 70, 100, 140)
    ),
    "page split on its diagonal": panels((0, 0, 100, 92), (0, 50, 100, 140)),
    "three slanted tiers": panels((0, 0, 100, 56), (0, 38, 100, 104), (0, 86, 100, 140)),
    "three wedges": panels((0, 0, 60, 80), (40, 0, 100, 70), (0, 62, 100, 140)),
    "inset in the middle of the first panel": panels(
        (0, 0, 100, 70), (35, 20, 60, 50), (0, 73, 48, 140), (52, 73, 100, 140)
    ),
    "inset in the starting corner of its panel": panels((0, 0, 100, 70), (4, 4, 30, 30), (0, 73, 100, 140)),
    "inset in the far corner of a panel in a row": panels(
        (0, 0, 60, 70), (40, 45, 58, 68), (63, 0, 100, 70), (0, 73, 100, 140)
    ),
    "insets down one side of a tall panel": panels(
        (0, 0, 50, 140), (4, 10, 20, 40), (4, 50, 20, 80), (4, 90, 20, 120), (53, 0, 100, 68), (53, 71, 100, 140)
    ),
    "inset reaching out of its panel's foot": panels((0, 0, 100, 66), (66, 52, 92, 78), (0, 69, 100, 140)),
    "ground with a row of insets at its foot": panels(
        (0, 0, 100, 140), (4, 100, 32, 134), (36, 100, 64, 134), (68, 100, 96, 134)
    ),
    "ground with a row of insets filling its top": panels(
        (4, 4, 32, 38), (36, 4, 64, 38), (68, 4, 96, 38), (0, 0, 100, 140)
    ),
    "ground between two rows of insets": panels(
        (4, 4, 48, 38), (52, 4, 96, 38), (0, 0, 100, 140), (4, 104, 48, 136), (52, 104, 96, 136)
    ),
    "small panel over the gutter of a row": panels(
        (0, 0, 49, 66), (36, 22, 64, 44), (51, 0, 100, 66), (0, 70, 100, 140)
    ),
    "small panel over the gutter between rows": panels((0, 0, 100, 66), (30, 54, 64, 84), (0, 70, 100, 140)),
    "cascade down the diagonal": panels((0, 0, 52, 58), (26, 42, 78, 100), (48, 84, 100, 140)),
    "cascade from side to side": panels(
        (0, 0, 64, 42), (34, 32, 100, 76), (0, 66, 66, 110), (36, 100, 100, 140)
    ),
    "panels grown over their neighbours": panels(
        (0, 0, 56, 50), (46, 4, 100, 46), (0, 44, 46, 92), (42, 50, 100, 98), (0, 94, 100, 140)
    ),
    "high panels overlapping a wide one below": panels(
        (0, 0, 28, 54), (60, 0, 100, 40), (0, 28, 100, 90), (0, 93, 48, 140), (52, 93, 100, 140)
    ),
    "white space where a panel could be": panels(
        (0, 0, 48, 45), (52, 48, 100, 92), (0, 95, 48, 140), (52, 95, 100, 140)
    ),
    "page without gutters": panels(
        (0, 0, 40, 50), (40, 0, 100, 50), (0, 50, 100, 90), (0, 90, 70, 140), (70, 90, 100, 140)
    ),
    "bleeding outer panels": panels(
        (0, 0, 44, 50), (47, 5, 100, 48), (7, 53, 60, 96), (63, 51, 100, 98), (7, 101, 100, 145)
    ),
    "one row of a newspaper": grid(4, 1, width=100, height=30, across=2, down=0),
    "two rows of a newspaper": grid(4, 2, width=100, height=64, across=2, down=4),
    "strip of four": grid(1, 4, width=100, height=280, across=0, down=4),
    "two strips of four": by_columns(grid(2, 4, width=100, height=140, across=8, down=2)),
    "two strips of four below a heading picture": [
        *panels((0, 0, 100, 30)), *shifted(by_columns(grid(2, 4, width=100, height=120, across=8, down=2)), 0, 34),
    ],
    "two strips of four, one panel unseen": by_columns(grid(2, 4, width=100, height=140, across=8, down=2))[:-1],
    "strip for scrolling from side to side": panels(
        (0, 0, 60, 80), (35, 95, 100, 170), (0, 180, 62, 260), (40, 240, 100, 330), (0, 345, 100, 420)
    ),
    "strip for scrolling with a pair": panels(
        (10, 0, 90, 70), (0, 80, 48, 170), (52, 100, 100, 180), (0, 200, 100, 330)
    ),
    "two pages with rows of their own": panels(
        (2, 2, 48, 24), (2, 26, 24, 68), (26, 26, 48, 68),
        (52, 2, 74, 44), (76, 2, 98, 44), (52, 46, 98, 68),
    ),
    "two like pages with a wide fold": [
        *grid(2, 3, width=46, height=66, across=1, down=1),
        *shifted(grid(2, 3, width=46, height=66, across=1, down=1), 54),
    ],
    "a splash beside a page of rows": panels((0, 0, 50, 70), (52, 2, 98, 24), (52, 26, 74, 68), (76, 26, 98, 68)),
    "a page of rows beside a splash": panels((2, 2, 48, 24), (2, 26, 24, 68), (26, 26, 48, 68), (50, 0, 100, 70)),
}  # fmt: skip
