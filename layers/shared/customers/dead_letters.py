"""Where messages go that can never be understood: a letter says what is wrong with one, and quotes nothing of it."""

import json
from collections.abc import Mapping
from typing import Any

from customers import aws

# Two attempts with the SDK's pause between them, of 1 s to connect and 2 s to read each.
SEND_MILLISECONDS = 8_000
_CONFIG: dict[str, Any] = {
    "connect_timeout": 1,
    "read_timeout": 2,
    "retries": {"mode": "standard", "total_max_attempts": 2},
}


class DeadLetters:
    def __init__(self, queue_url: str) -> None:
        self._queue_url = queue_url
        self.renew()

    def renew(self) -> None:
        """Forget the client and its credentials."""
        self._client: Any = None  # made when it is needed, which is hardly ever

    def send(self, letter: Mapping[str, Any]) -> None:
        """Raises botocore's `ClientError` and `BotoCoreError`."""
        self._client = self._client or aws.client("sqs", **_CONFIG)
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(letter))
