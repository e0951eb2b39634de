"""Numbers as people say them."""

UNITS = ("bytes", "kB", "MB", "GB", "TB")


def counted(count: int, noun: str) -> str:
    """So many of something: `1 page`, `2 pages`, `1 open group`."""
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else plural}"


def amount(size: int) -> str:
    """Bytes, in powers of a thousand."""
    value, unit = float(size), UNITS[0]
    for unit in UNITS:
        if value < 1000 or unit == UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == UNITS[0] else f"{value:.1f} {unit}"
