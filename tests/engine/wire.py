"""Faults and orders on the wire between the handlers and a real engine."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from unittest.mock import patch

from botocore.exceptions import ConnectionClosedError
from botocore.httpsession import URLLib3Session

type Send = Callable[[URLLib3Session, Any], Any]


@contextmanager
def sending[Wire: Callable[[Send, URLLib3Session, Any], Any]](wire: Wire) -> Iterator[Wire]:
    """Put `wire` in the place of every client's own way to send a request; pauses take no time."""
    original: Send = URLLib3Session.send
    with (
        patch.object(URLLib3Session, "send", lambda session, request: wire(original, session, request)),
        patch("time.sleep", lambda _seconds: None),
    ):
        yield wire


@dataclass
class Faults:
    """Spoils the requests whose number is in `at` (the first is 0), in the way that `kind` says.

    dropped: the request never arrives; lost: it is carried out, its answer does not arrive; garbled: its answer arrives
    as a 200 whose body is no JSON, which the SDK does not repeat.
    """

    at: range
    kind: Literal["dropped", "lost", "garbled"] = "lost"
    sent: list[str] = field(default_factory=list)

    def __call__(self, send: Send, session: URLLib3Session, request: Any) -> Any:
        number = len(self.sent)
        self.sent.append(request.headers["X-Amz-Target"].decode().partition(".")[2])
        if number not in self.at:
            return send(session, request)
        if self.kind != "dropped":
            response = send(session, request)
        if self.kind != "garbled":
            raise ConnectionClosedError(endpoint_url=request.url)
        del response.headers["x-amz-crc32"]
        response._content = b"\xff"
        return response


@dataclass
class Interleaving:
    """Runs actors in threads, one wire call at a time, in the order that `choices` says (0 where it says nothing).

    `options` holds how many actors could have gone on at each choice, so that all orders can be enumerated.
    """

    choices: list[int]
    options: list[int] = field(default_factory=list)
    _waiting: set[str] = field(default_factory=set)
    _running: int = 0
    _turn: str | None = None
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, send: Send, session: URLLib3Session, request: Any) -> Any:
        name = threading.current_thread().name
        with self._changed:
            self._waiting.add(name)
            self._running -= 1
            self._next()
            assert self._changed.wait_for(lambda: self._turn == name, timeout=10)
            self._turn = None
            self._waiting.remove(name)
            self._running += 1
        return send(session, request)

    def run(self, **actors: Callable[[], Any]) -> dict[str, Any]:
        """What each actor returned."""
        results: dict[str, Any] = {}

        def act(name: str) -> None:
            try:
                results[name] = actors[name]()
            finally:
                with self._changed:
                    self._running -= 1
                    self._next()

        self._running = len(actors)
        threads = [threading.Thread(target=act, args=[name], name=name, daemon=True) for name in actors]
        with sending(self):
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(timeout=30)
        assert results.keys() == actors.keys()
        return results

    def _next(self) -> None:
        """Once every actor waits or has ended, let one of those that wait go on."""
        if self._running or not self._waiting:
            return
        candidates = sorted(self._waiting)
        step = len(self.options)
        self.options.append(len(candidates))
        self._turn = candidates[self.choices[step] if step < len(self.choices) else 0]
        self._changed.notify_all()


def all_orders(run: Callable[[Interleaving], None]) -> int:
    """Call `run` with every order in which its actors' wire calls can meet; returns how many there were."""
    orders = 0
    choices: list[int] | None = []
    while choices is not None:
        interleaving = Interleaving(choices)
        run(interleaving)
        orders += 1
        choices = _following(choices, interleaving.options)
    return orders


def _following(choices: list[int], options: list[int]) -> list[int] | None:
    taken = choices + [0] * (len(options) - len(choices))
    for step in reversed(range(len(options))):
        if taken[step] + 1 < options[step]:
            return [*taken[:step], taken[step] + 1]
    return None
