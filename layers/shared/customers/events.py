"""What other services tell of campaigns and of customers: one model for each EventBridge detail type.

Each event carries the whole of what it tells, not a difference, and says when that became so. `revision` puts all that
was ever told of one thing in one order, whatever the order of arrival: of two events the one with the greater revision
is believed. `customer` is the `id` of a customer's record, not its `customer_id`. Fields that are not named here are
ignored.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import from_json

from customers import keys
from customers.models import AgentId, AiLabel, CampaignStatus, Medium, Short, Status, TargetStage, clean_key, folding

MAX_TEXT_CHARS = 10_000  # at most 40 KB of an item's 400; the largest item has three such texts
MAX_NUMBER = 1_000_000_000
DECIMALS = 6  # of a number that is no integer

# Statuses of a call that nobody has made, unless something else says that it was made. A provider's own word is none.
PLANNED = {"new", "draft", "created", "pending", "queued", "scheduled", "planned", "cancelled", "canceled", "skipped"}
RESULTS = ("answered", "failed", "no_answer", "busy", "timeout", "voicemail")  # of a call; each is counted


def _time(value: object) -> object:
    """Raises ValueError for what is no time as a text; pydantic would take a number, or a mere day."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d[Tt ]", value):
        raise ValueError("not a time")
    return value


def _utc(value: datetime) -> datetime:
    """No zone is UTC. Raises ValueError for what is beyond the years 1 to 9999 there."""
    try:
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    except OverflowError:
        raise ValueError("not a time in UTC") from None


def _lines(value: object) -> object:
    """Trimmed, and None for what is blank; unlike a name, a text may have several lines."""
    return (value.strip() or None) if isinstance(value, str) else value


Instant = Annotated[datetime, BeforeValidator(_time), AfterValidator(_utc), PlainSerializer(keys.timestamp)]
Id = Annotated[UUID, PlainSerializer(str)]
Text = Annotated[Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARS)] | None, BeforeValidator(_lines)]
Word = Annotated[
    Annotated[str, StringConstraints(min_length=1, max_length=50), AfterValidator(folding)], BeforeValidator(clean_key)
]
Name = Annotated[Annotated[str, StringConstraints(min_length=1, max_length=255)], BeforeValidator(clean_key)]
Count = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
_rounded = AfterValidator(lambda number: round(number, DECIMALS))
Score = Annotated[
    Decimal,
    Field(ge=-MAX_NUMBER, le=MAX_NUMBER),
    _rounded,
    WithJsonSchema({"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}),
]
Seconds = Annotated[
    Decimal,
    Field(ge=0, le=MAX_NUMBER),
    _rounded,
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MAX_NUMBER}),
]


class Detail(BaseModel):
    """The `detail` of an event. Times are RFC 3339; without a zone they are UTC."""

    told_by: ClassVar[str] = "updated_at"  # the field that says when this became so
    removes: ClassVar[bool] = False  # of two events of one instant the one that removes is believed

    schema_version: Literal[1] = 1

    @property
    def told_at(self) -> datetime:
        told_at: datetime = getattr(self, self.told_by)
        return told_at

    @cached_property
    def revision(self) -> str:
        """Greater for what is newer. The digest decides between two different events of one instant, always alike."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return f"{keys.timestamp(self.told_at)}#{int(self.removes)}{digest[:16]}"

    def told(self) -> dict[str, Any]:
        """What is stored of the event, and by which revision it was told."""
        return {**self.model_dump(exclude={"schema_version", "customer"}, exclude_none=True), "revision": self.revision}


class CampaignUpserted(Detail):
    """A campaign was made or changed."""

    id: Id
    name: Name
    status: CampaignStatus
    agent_id: AgentId = None
    agent_name: Medium = None
    phone_number_id: Medium = None
    phone_number: Short = None
    whatsapp_channel_id: Medium = None
    goal: Text = None
    created_at: Instant
    updated_at: Instant


class CampaignDeleted(Detail):
    """A campaign is gone, and is no longer shown with any customer."""

    told_by = "deleted_at"
    removes = True

    id: Id
    deleted_at: Instant


class TargetUpserted(Detail):
    """A customer was enrolled in a campaign, or its enrolment has changed.

    The counters and times of contact are what the campaign's service knows; where more has been recorded here, that is
    shown.
    """

    customer: Id
    campaign_id: Id
    target_id: Id
    stage: TargetStage
    calls_made: Count = 0
    whatsapp_sent: Count = 0
    email_sent: Count = 0
    ai_label: AiLabel = "unknown"
    ai_score: Score | None = None
    ai_reason: Text = None
    last_contacted_at: Instant | None = None
    last_email_at: Instant | None = None
    last_conv_id: Medium = None
    call_successful: Short = None
    call_summary_title: Medium = None
    transcript_summary: Text = None
    customer_sentiment: Short = None
    agent_goal_result: Medium = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    analysis_updated_at: Instant | None = None
    created_at: Instant
    updated_at: Instant


class TargetRemoved(Detail):
    """A customer was taken out of a campaign."""

    told_by = "removed_at"
    removes = True

    customer: Id
    campaign_id: Id
    removed_at: Instant


class Activity(Detail):
    """A contact with a customer, or the plan of one. `id` is the provider's: what has it is the same contact."""

    customer: Id
    campaign_id: Id | None = None

    @property
    def type(self) -> str:
        raise NotImplementedError

    @property
    def occurred_at(self) -> datetime:
        """Its place in the customer's timeline."""
        raise NotImplementedError

    @property
    def contacted(self) -> bool:
        """Whether somebody has tried to reach the customer, and not only will."""
        raise NotImplementedError

    @property
    def counted(self) -> list[str]:
        """The statistics that it adds one to."""
        raise NotImplementedError

    def item(self) -> dict[str, Any]:
        """The DynamoDB item.

        `status_key` and `outcome_key` are what a filter compares. What it was counted as is kept, so that it is taken
        back as the same.
        """
        told = self.told()
        return {
            **keys.activity(str(self.customer), keys.timestamp(self.occurred_at), self.type, str(told["id"])),
            **told,
            "type": self.type,
            "contacted": self.contacted,
            "counted": self.counted,
            "status_key": keys.status_key(told["status"]),
            "outcome_key": keys.status_key(told.get("outcome")),
        }


class CallUpserted(Activity):
    """A call was planned, made, or has been analysed."""

    id: Id
    attempt_no: Count
    status: Word
    outcome: Status = None
    conv_id: Medium = None
    direction: Short = None
    external_from: Medium = None
    external_to: Medium = None
    duration_seconds: Seconds | None = None
    messages_count: Count = 0
    call_successful: Short = None
    call_summary_title: Medium = None
    transcript_summary: Text = None
    customer_sentiment: Short = None
    customer_sentiment_rationale: Text = None
    agent_goal_result: Medium = None
    agent_goal_rationale: Text = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    scheduled_at: Instant
    dispatched_at: Instant | None = None
    finished_at: Instant | None = None
    created_at: Instant
    updated_at: Instant

    @property
    def type(self) -> str:
        return "call"

    @property
    def occurred_at(self) -> datetime:
        return self.dispatched_at or self.finished_at or self.scheduled_at

    @property
    def contacted(self) -> bool:
        return bool(self.dispatched_at or self.finished_at or self._result or _plain(self.status) not in PLANNED)

    @property
    def counted(self) -> list[str]:
        return ["calls_total", *([f"calls_{self._result}"] if self._result else [])]

    @property
    def _result(self) -> str | None:
        """How it ended, of those ends that are counted, by its outcome or else its status; `No answer` is no_answer."""
        return next((word for word in map(_plain, (self.outcome, self.status)) if word in RESULTS), None)


class MessageSent(Activity):
    """A WhatsApp message or an email went out, or its status has changed since."""

    id: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,255}$")]
    channel: Literal["whatsapp", "email"]
    status: Word = "sent"
    outcome: Status = None
    conv_id: Medium = None
    external_from: Medium = None
    external_to: Medium = None
    subject: Medium = None
    text: Text = None
    sent_at: Instant
    updated_at: Instant | None = None

    @property
    def told_at(self) -> datetime:
        return self.updated_at or self.sent_at

    @property
    def type(self) -> str:
        return self.channel

    @property
    def occurred_at(self) -> datetime:
        return self.sent_at

    @property
    def contacted(self) -> bool:
        return True

    @property
    def counted(self) -> list[str]:
        return ["whatsapp_sent" if self.channel == "whatsapp" else "emails_sent"]


DETAIL_TYPES: Mapping[str, type[Detail]] = {
    model.__name__: model
    for model in (CampaignUpserted, CampaignDeleted, TargetUpserted, TargetRemoved, CallUpserted, MessageSent)
}


class _Envelope(BaseModel):
    """An event as EventBridge delivers it; the rest of its members are not used."""

    id: UUID  # nothing else may get into a log or a letter
    detail_type: Annotated[str, Field(alias="detail-type")]
    detail: dict[str, Any]


def _plain(word: str | None) -> str:
    return re.sub("[ -]", "_", keys.fold(word or ""))


@dataclass(frozen=True, slots=True)
class Event:
    id: str  # EventBridge's
    detail_type: str
    detail: Detail


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A message that is no event of ours. `problems` say where and of what kind they are, and quote nothing of it."""

    problems: Sequence[str]
    id: str | None = None
    detail_type: str | None = None


def read(text: str) -> Event | Unreadable:
    """The event in a message of the queue."""
    try:
        envelope = _Envelope.model_validate(from_json(text, allow_inf_nan=False))
    except ValidationError as error:
        return Unreadable(_problems(error))
    except ValueError:
        return Unreadable(["not JSON"])
    id, model = str(envelope.id), DETAIL_TYPES.get(envelope.detail_type)
    if not model:
        return Unreadable(["detail-type: unknown"], id)
    try:
        return Event(id, envelope.detail_type, model.model_validate(envelope.detail))
    except ValidationError as error:
        return Unreadable(_problems(error), id, envelope.detail_type)


def _problems(error: ValidationError) -> list[str]:
    """Fields and kinds only: a message of pydantic's may quote what it refuses."""
    return [f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False)]
