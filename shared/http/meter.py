"""What a process counts about its requests, in Prometheus' text format."""

import time
from collections.abc import Sequence

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Meter:
    """Requests of this process by route and status, in Prometheus' text format."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.requests: dict[tuple[str, str, int], tuple[int, float]] = {}

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request."""
        count, total = self.requests.get((method, route, status), (0, 0.0))
        self.requests[method, route, status] = (count + 1, total + seconds)

    def text(self, jobs: Sequence[tuple[str, str, int]]) -> str:
        """The exposition: requests, their seconds, and jobs by stage and state."""
        lines = ["# TYPE comics_http_requests_total counter", "# TYPE comics_http_request_seconds_total counter"]
        for (method, route, status), (count, seconds) in sorted(self.requests.items()):
            labels = f'{{service="{self.service}",method="{method}",route="{route}",status="{status}"}}'
            lines.append(f"comics_http_requests_total{labels} {count}")
            lines.append(f"comics_http_request_seconds_total{labels} {seconds:.6f}")
        lines.append("# TYPE comics_jobs gauge")
        lines += [f'comics_jobs{{stage="{stage}",state="{state}"}} {count}' for stage, state, count in jobs]
        return "\n".join(lines) + "\n"


class Measured:
    """ASGI middleware that feeds the meter."""

    def __init__(self, app: ASGIApp, meter: Meter) -> None:
        self.app, self.meter = app, meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, timing it until its last byte."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watch)
        finally:
            # The route, not the path: a label per comic would grow without end.
            route = getattr(scope.get("route"), "path", "unmatched")
            self.meter.add(scope["method"], route, status, time.perf_counter() - begun)
