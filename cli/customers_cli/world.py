"""What the command has of the world: its clock, its patience and its way to the network. Tests bring their own."""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from customers_cli.failures import Failure

ATTEMPTS = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 8.0  # seconds between two attempts
LONGEST_RETRY_AFTER = 300.0
TIMEOUT = httpx.Timeout(30, connect=10)
TRANSFER_TIMEOUT = httpx.Timeout(60, connect=10)  # of each block of a file, not of the whole

type Say = Callable[[str], None]  # to the user

# A proxy of the environment is for the network, never for this machine.
DIRECT: dict[str, httpx.BaseTransport | None] = dict.fromkeys(
    ("all://localhost", "all://*.localhost", "all://127.0.0.1", "all://[::1]")
)


@dataclass(frozen=True, slots=True)
class World:
    transport: httpx.BaseTransport | None = None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = random.random

    def pause(self, attempt: int, failure: Failure, say: Say, retry_after: float = 0) -> None:
        """Sleep after the attempt with this number (from 0): twice as long each time, with jitter.

        The first failure is not worth a word: most of them pass at once.
        """
        longest = min(FIRST_PAUSE * 2**attempt, LONGEST_PAUSE)
        seconds = max(longest * (1 + self.chance()) / 2, retry_after)
        if attempt or retry_after > LONGEST_PAUSE:
            say(f"{failure}; trying again in {math.ceil(seconds)} s")
        self.sleep(seconds)

    def http(
        self, *, base_url: str = "", headers: dict[str, str] | None = None, timeout: httpx.Timeout
    ) -> httpx.Client:
        return httpx.Client(
            base_url=base_url, headers=headers, timeout=timeout, transport=self.transport, mounts=DIRECT
        )


def retry_after(response: httpx.Response) -> float:
    """The seconds that a response asks to wait; 0 if it does not. A date, which no part of the service sends, is 0."""
    said = response.headers.get("retry-after", "")
    return min(float(said), LONGEST_RETRY_AFTER) if said.isdecimal() and said.isascii() else 0.0
