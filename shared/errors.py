"""Every error the product raises on purpose.

    ComicsError
    ├── Retry(after)          try again, not before `after` seconds: a passing fault outside of us
    ├── Blocked               waits for something a person grants (a budget, a key); resumes by itself
    └── Reject                never try again: the input or the request is wrong
        ├── NotFound          no such comic, page, panel, job …
        ├── Conflict          it contradicts what is already stored
        ├── TooLarge          over a stated limit of bytes, entries or pixels
        ├── Unable            nothing wrong with the input is known; this machine cannot take it as things are
        └── Unauthorized      no token, or a wrong one

The text of a `ComicsError` is public: it says what was wrong, names the file or id, and says what to do. It never
carries a path of the server, a secret or a stack trace. Everything else is internal and is only logged.
"""

from typing import ClassVar


class ComicsError(Exception):
    """Root of the tree. `status` is the HTTP status, `title` the constant headline of the class (RFC 9457)."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "The server could not do this"


class Retry(ComicsError):
    """A passing fault; the same call may succeed after `after` seconds."""

    status = 503
    title = "Try again later"

    def __init__(self, message: str, *, after: float = 5.0) -> None:
        super().__init__(message)
        self.after = after


class Blocked(ComicsError):
    """Work that may not go on until a person allows it; not a failure."""

    status = 402
    title = "Waiting for permission"


class Reject(ComicsError):
    """The input is wrong; repeating it changes nothing."""

    status = 422
    title = "Not acceptable"


class NotFound(Reject):
    """The named thing does not exist."""

    status = 404
    title = "Not found"


class Conflict(Reject):
    """The request contradicts the stored state."""

    status = 409
    title = "Conflict"


class TooLarge(Reject):
    """Over a stated limit."""

    status = 413
    title = "Too large"


class Unable(Reject):
    """This machine cannot take the input as things are: a program is missing, memory or time ran out.

    That says nothing for good about the input: who remembers refusals does not remember this one.
    """


class Unauthorized(Reject):
    """The call carries no valid token."""

    status = 401
    title = "Unauthorized"
