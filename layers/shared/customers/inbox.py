"""The envelope of events: a batch of the queue's messages in, and out which of them to deliver again.

A message that is no event of ours will never become one: it is done once a dead letter says so. One that could not be
written is delivered again, for as long as the queue keeps it.
"""

from collections.abc import Mapping
from typing import Any

from customers import lifecycle, observability
from customers.context import Context
from customers.dead_letters import SEND_MILLISECONDS, DeadLetters
from customers.dynamodb import Table
from customers.errors import Unavailable
from customers.events import Unreadable, read
from customers.recorder import Recorder
from customers.settings import InboxSettings, Settings


class Inbox:
    """What `record_activity` sets up once, at its cold start. Raises `SettingsError`."""

    def __init__(self) -> None:
        self.table = Table(Settings.from_env().table_name)
        self._recorder = Recorder(self.table)
        self._dead_letters = DeadLetters(InboxSettings.from_env().dead_letter_queue_url)
        lifecycle.ready(self.table.connect, self.table.renew, self._dead_letters.renew)

    def receive(self, batch: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Record each message by itself; the answer is a partial batch response."""
        self.table.begin(context.get_remaining_time_in_millis)
        undone = [message["messageId"] for message in batch["Records"] if not self._settled(message, context)]
        return {"batchItemFailures": [{"itemIdentifier": id} for id in undone]}

    def _settled(self, message: Mapping[str, Any], context: Context) -> bool:
        """Whether nothing is left to do for a message. What goes wrong with one is no matter of the others."""
        event = read(message["body"])
        outcome = "failed"
        try:
            if isinstance(event, Unreadable):
                outcome = self._bury(message["messageId"], event, context)
            else:
                outcome = self._recorder.record(event.detail)
        except Exception as error:  # the one place where they end: the queue delivers the message again
            observability.record_fault(error)
        observability.record_event(event.detail_type, outcome=outcome, id=event.id)
        return outcome != "failed"

    def _bury(self, message_id: str, event: Unreadable, context: Context) -> str:
        """Send a dead letter: what is wrong, and which event it was, so that its sender can find it."""
        if context.get_remaining_time_in_millis() < SEND_MILLISECONDS:
            raise Unavailable
        letter = {"message_id": message_id, "event_id": event.id, "detail_type": event.detail_type}
        self._dead_letters.send({**letter, "problems": event.problems})
        return "unreadable"
