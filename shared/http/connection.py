"""One connection pool to one server: what every call of the client goes through."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx

from shared.errors import ComicsError

PIECE = 1 << 20


class ApiError(ComicsError):
    """The server refused: `status`, and its problem+json as the text."""

    def __init__(self, status: int, title: str, detail: str) -> None:
        super().__init__(detail)
        self.http_status, self.headline = status, title


class Unreachable(ComicsError):
    """No server answers at the address, or it stopped answering."""


class Connection:
    """One connection pool to one server. Every method raises `ApiError` or `Unreachable`.

    `timeout`: seconds until a call is given up; those that may rightly take longer wait for their answer.
    """

    def __init__(self, server: str, *, token: str | None = None, timeout: float = 60.0) -> None:
        self.server = server.rstrip("/")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout, self._patient = timeout, httpx.Timeout(timeout, read=None)
        self._http = httpx.Client(base_url=self.server, headers=headers, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _events(self, address: str) -> Iterator[Any]:
        """The documents of a stream of server-sent events."""
        try:
            with self._http.stream("GET", address, timeout=self._patient) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refused(answer)
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        yield json.loads(line[6:])
        except httpx.HTTPError as error:
            raise Unreachable(f"The server at {self.server} went away: {error}") from error

    def _download(self, address: str, path: Path, **parameters: Any) -> None:
        """Write an answer's bytes to a file as they come, whole or not at all."""
        draft = path.with_name(path.name + ".tmp")
        try:
            with self._http.stream("GET", address, params=parameters, timeout=self._patient) as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise _refused(answer)
                with draft.open("wb") as file:
                    for piece in answer.iter_bytes(PIECE):
                        file.write(piece)
            draft.replace(path)
        except httpx.HTTPError as error:
            raise Unreachable(f"The server at {self.server} went away: {error}") from error
        finally:
            draft.unlink(missing_ok=True)

    def _get(self, address: str, **parameters: Any) -> Any:
        given = {name: value for name, value in parameters.items() if value is not None}
        return self._send("GET", address, params=given).json()

    def _send(self, method: str, address: str, **options: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, address, **options)
        except httpx.ReadTimeout as error:
            raise Unreachable(
                f"The server at {self.server} did not answer within {self._timeout:g} s; it may still be working."
            ) from error
        except (httpx.ReadError, httpx.WriteError, httpx.WriteTimeout, httpx.RemoteProtocolError) as error:
            raise Unreachable(f"The server at {self.server} went away: {error}") from error
        except httpx.HTTPError as error:
            raise Unreachable(
                f"No server answers at {self.server} ({type(error).__name__}). Start one with `comics up`."
            ) from error
        if answer.status_code >= 400:
            raise _refused(answer)
        return answer


def _refused(answer: httpx.Response) -> ApiError:
    try:
        body = answer.json()
        return ApiError(answer.status_code, str(body["title"]), str(body["detail"]))
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, answer.reason_phrase, f"{answer.request.url} answered {answer.status_code}")


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, a mebibyte at a time."""
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
