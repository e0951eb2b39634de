"""PDF pages that are nothing but one JPEG over the whole page: their bytes can be kept as they came.

Everything here is a white list. A page that does one thing not foreseen is drawn instead, which is always right.
"""

from dataclasses import dataclass, field

Matrix = tuple[float, float, float, float, float, float]
Edges = tuple[float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
LONGEST = 4096
# Half a percent of the page: rounding of producers, invisible to a reader.
TOLERANCE = 0.005
SET_STYLE = frozenset(
    (b"g", b"G", b"rg", b"RG", b"k", b"K", b"cs", b"CS", b"sc", b"SC", b"scn", b"SCN", b"w", b"J", b"j", b"M", b"i",
     b"ri", b"BMC", b"EMC", b"BX", b"EX")
)  # fmt: skip
PAINT_PATH = frozenset((b"f", b"F", b"f*", b"S", b"s", b"B", b"B*", b"b", b"b*"))


@dataclass
class _State:
    matrix: Matrix = IDENTITY
    stack: list[Matrix] = field(default_factory=list)
    path: list[Edges | None] = field(default_factory=list)
    clipping: bool = False
    clips: list[Edges | None] = field(default_factory=list)
    image: str | None = None
    placed: Matrix = IDENTITY


def sole_image(contents: bytes, *, page: Edges) -> str | None:
    """Name of the image resource that a content stream paints upright over the whole `page` and over all else.

    `contents` is the decoded stream, `page` the visible area (x0, y0, x1, y1) in its coordinates, y upwards. None when
    the stream does anything else that can be seen, or anything not understood.
    """
    if len(contents) > LONGEST or any(sign in contents for sign in (b"(", b"<", b"[", b"%", b"{")):
        return None
    state = _State()
    operands: list[bytes] = []
    for token in contents.split():
        if token[:1] in b"/0123456789+-.":
            operands.append(token)
            continue
        try:
            understood = _apply(state, token, operands)
        except (ValueError, IndexError):
            return None
        if not understood:
            return None
        operands = []
    if state.image is None or not all(clip is not None and _covers(clip, page) for clip in state.clips):
        return None
    placed = _edges(state.placed, (0.0, 0.0, 1.0, 1.0))
    a, d = state.placed[0], state.placed[3]
    upright = placed is not None and a > 0 and d > 0
    return state.image if upright and placed is not None and _matches(placed, page) else None


def _apply(state: _State, operator: bytes, operands: list[bytes]) -> bool:
    """Follow one operator; False for one that is not understood or that spoils the page."""
    if operator == b"q":
        state.stack.append(state.matrix)
    elif operator == b"Q":
        state.matrix = state.stack.pop()
    elif operator == b"cm":
        a, b, c, d, e, f = (float(operand) for operand in operands)
        state.matrix = _product((a, b, c, d, e, f), state.matrix)
    elif operator == b"re":
        x, y, w, h = (float(operand) for operand in operands)
        state.path.append(_edges(state.matrix, (x, y, x + w, y + h)))
    elif operator in (b"W", b"W*"):
        state.clipping = True
    elif operator == b"n" or operator in PAINT_PATH:
        if operator != b"n" and state.image is not None:
            return False
        if state.clipping:
            state.clips.append(state.path[0] if len(state.path) == 1 else None)
        state.path, state.clipping = [], False
    elif operator == b"Do":
        if state.image is not None or not operands[-1].startswith(b"/"):
            return False
        state.image, state.placed = operands[-1][1:].decode("ascii"), state.matrix
    else:
        return operator in SET_STYLE
    return True


def _product(m: Matrix, n: Matrix) -> Matrix:
    a, b, c, d, e, f = m
    p, q, r, s, t, u = n
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _edges(matrix: Matrix, rect: Edges) -> Edges | None:
    """A rectangle after a transformation without turn or skew; None with one."""
    a, b, c, d, e, f = matrix
    if abs(b) > 1e-6 or abs(c) > 1e-6:
        return None
    x0, x1 = sorted((a * rect[0] + e, a * rect[2] + e))
    y0, y1 = sorted((d * rect[1] + f, d * rect[3] + f))
    return x0, y0, x1, y1


def _slack(page: Edges) -> float:
    return TOLERANCE * max(page[2] - page[0], page[3] - page[1])


def _covers(rect: Edges, page: Edges) -> bool:
    slack = _slack(page)
    return (
        rect[0] <= page[0] + slack
        and rect[1] <= page[1] + slack
        and rect[2] >= page[2] - slack
        and rect[3] >= page[3] - slack
    )


def _matches(rect: Edges, page: Edges) -> bool:
    return all(abs(found - wanted) <= _slack(page) for found, wanted in zip(rect, page, strict=True))
