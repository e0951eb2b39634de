"""Somebody without rights: root may read everything, so what others may not must be tried as another user."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

NOBODY = 65_534


@contextmanager
def somebody_else() -> Iterator[None]:
    """Be a user without rights, where the tests run as root. Folders of pytest's are closed to that user."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
