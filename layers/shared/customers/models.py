"""What comes in, what is stored and what goes out.

Input is validated once, on its way in. What is stored was valid then and is not validated again on its way out.
Two names that look alike: `id` is the record's own uuid; `customer_id` is the caller's key for it.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from customers import keys
from customers.keys import State

MAX_EMAIL_CHARS = 254  # RFC 3696, erratum 1690


def clean(value: object) -> object:
    """Trimmed, and None for what is blank; refuses characters that no name, address or number contains."""
    if not isinstance(value, str):
        return value
    value = value.strip()
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in value):
        raise PydanticCustomError("control_character", "String should not contain control characters")
    return value or None


def clean_key(value: object) -> object:
    """Trimmed; a key is never blank."""
    cleaned = clean(value)
    return "" if cleaned is None and value is not None else cleaned


def _email(value: str) -> str:
    """The address as typed, its domain in lower case. Raises for what RFC 5321 and 6531 do not allow; asks no DNS."""
    from email_validator import EmailNotValidError, validate_email  # noqa: PLC0415 - 30 ms that a read need not pay

    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError as error:
        raise PydanticCustomError(
            "value_error", "value is not a valid email address: {reason}", {"reason": str(error)}
        ) from None


def folding(value: str) -> str:
    """Refuse what folds to nothing, such as a lone accent: it would be counted as no status."""
    if not keys.fold(value):
        raise PydanticCustomError("value_error", "String should contain more than combining marks")
    return value


Short = Annotated[Annotated[str, StringConstraints(max_length=50)] | None, BeforeValidator(clean)]
Status = Annotated[
    Annotated[str, StringConstraints(max_length=50), AfterValidator(folding)] | None, BeforeValidator(clean)
]
Medium = Annotated[Annotated[str, StringConstraints(max_length=255)] | None, BeforeValidator(clean)]
CustomerId = Annotated[Annotated[str, StringConstraints(min_length=1, max_length=255)], BeforeValidator(clean_key)]
Email = Annotated[
    Annotated[
        str,
        StringConstraints(max_length=MAX_EMAIL_CHARS),
        AfterValidator(_email),
        WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_EMAIL_CHARS}),
    ]
    | None,
    BeforeValidator(clean),
]
AgentId = Annotated[Annotated[UUID, PlainSerializer(str)] | None, BeforeValidator(clean)]

# Output only: stored as text that was checked on its way in.
Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Uuid = Annotated[str, WithJsonSchema({"type": "string", "format": "uuid"})]
Address = Annotated[str, WithJsonSchema({"type": "string", "format": "email"})]

# What both events and answers say.
CampaignStatus = Literal["draft", "running", "paused", "done"]
TargetStage = Literal["new", "in_progress", "succeeded", "failed"]
AiLabel = Literal["positive", "negative", "neutral", "unknown"]
ActivityType = Literal["call", "whatsapp", "email"]


class CustomerFields(BaseModel):
    """What a client may set besides the key. Blank means none."""

    name: Medium = None
    surname: Medium = None
    email: Email = None
    phone: Short = None
    status: Status = None
    agent_id: AgentId = None


class CustomerCreate(CustomerFields):
    customer_id: CustomerId


class CustomerUpdate(CustomerFields):
    """Absent means unchanged, null means none."""

    customer_id: CustomerId = Field(default_factory=str)  # never applied: an update takes only what was sent


class RecordQuery(BaseModel):
    """Ids that the original takes and ignores: they must be uuids and change nothing."""

    obj_id: UUID | None = None
    agent_id: UUID | None = None
    campaign_id: UUID | None = None
    knowledge_base_id: UUID | None = None
    id: UUID | None = None


class DetailQuery(BaseModel):
    include_deleted: bool = False


class GetQuery(RecordQuery, DetailQuery):
    pass


class DeleteQuery(BaseModel):
    purge: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """A customer as stored: the whole item but for its keys and index attributes, which are derived from it.

    Times are timestamps as `keys.timestamp` writes them.
    """

    id: str
    owner_id: str
    customer_id: str
    created_at: str
    updated_at: str
    state: State = "live"
    version: int = 1
    name: str | None = None
    surname: str | None = None
    email: str | None = None
    phone: str | None = None
    status: str | None = None
    agent_id: str | None = None
    deleted_at: str | None = None
    purge_at: str | None = None

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Self:
        known = {field.name: item[field.name] for field in fields(cls) if field.name in item}
        return cls(**known | {"version": int(item["version"])})

    def item(self) -> dict[str, Any]:
        """The DynamoDB item."""
        own = asdict(self)
        return {
            **keys.customer(self.id),
            **own,
            "purge_shard": keys.purge_shard(self.id) if self.purge_at else None,
            **keys.DirectoryEntry.of(own).index_attributes(),
        }

    @property
    def status_key(self) -> str:
        return keys.status_key(self.status)

    @property
    def etag(self) -> str:
        return f'"v{self.version}"'

    def changed(self, at: str, **changes: Any) -> Self:
        """The next version, with `updated_at` moved to `at`."""
        return replace(self, **changes, version=self.version + 1, updated_at=at)


class CustomerOut(BaseModel):
    """A field without a value is left out, but for `deleted_at`. `owner_id` is for administrators."""

    customer_id: Annotated[str, Field(max_length=255)] | None = None
    name: Annotated[str, Field(max_length=255)] | None = None
    surname: Annotated[str, Field(max_length=255)] | None = None
    email: Address | None = None
    phone: Annotated[str, Field(max_length=50)] | None = None
    status: Annotated[str, Field(max_length=50)] | None = None
    id: Uuid
    agent_id: Uuid | None = None
    created_at: Time
    updated_at: Time
    deleted_at: Time | None  # no default: always there, so that OpenAPI says so
    version: int
    owner_id: str | None = None

    @classmethod
    def of(cls, customer: Customer, *, show_owner: bool) -> "CustomerOut":
        shown = {name: value for name in cls.model_fields if (value := getattr(customer, name)) is not None}
        if not show_owner:
            del shown["owner_id"]
        return cls.model_construct(**shown | {"deleted_at": customer.deleted_at})


class SortOut(BaseModel):
    field: str
    direction: Literal["asc", "desc"]


class MetaOut(BaseModel):
    total: int
    limit: int
    offset: int
    sort: SortOut


class QueryOut(BaseModel):
    """The query as it was understood: dates in UTC, the status filter folded."""

    q: str | None = None
    filters: dict[str, Any]
    date_from: Time | None = None
    date_to: Time | None = None
    sort: SortOut


class AggregationsOut(BaseModel):
    """How many records each quick filter would show: `all`, `deleted`, `status:none` and `status:<folded value>`."""

    quick_filters: dict[str, int]
    extra: dict[str, Any]


class PaginatedResponse[Out: BaseModel](BaseModel):
    data: list[Out]
    meta: MetaOut
    query: QueryOut
    aggregations: AggregationsOut | None = None


class CustomerDetailStatsOut(BaseModel):
    calls_total: int = 0
    calls_answered: int = 0
    calls_failed: int = 0
    calls_no_answer: int = 0
    calls_busy: int = 0
    calls_timeout: int = 0
    calls_voicemail: int = 0
    whatsapp_sent: int = 0
    emails_sent: int = 0
    last_contacted_at: Time | None = None

    @classmethod
    def of(cls, stats: Mapping[str, Any]) -> "CustomerDetailStatsOut":
        """The counters of a stats item; what it does not count is 0."""
        shown: dict[str, Any] = {name: int(stats.get(name, 0)) for name in STATISTICS}
        if last := stats.get("last_contact"):
            shown["last_contacted_at"] = keys.activity_time(last)
        return cls.model_construct(**shown)


STATISTICS = CustomerDetailStatsOut.model_fields.keys() - {"last_contacted_at"}  # counters of a stats item


class CustomerDetailCallOut(BaseModel):
    id: Uuid
    attempt_no: int
    status: str
    outcome: str | None = None
    conv_id: str | None = None
    direction: str | None = None
    external_from: str | None = None
    external_to: str | None = None
    duration_seconds: float | None = None
    messages_count: int = 0
    call_successful: str | None = None
    call_summary_title: str | None = None
    transcript_summary: str | None = None
    customer_sentiment: str | None = None
    customer_sentiment_rationale: str | None = None
    agent_goal_result: str | None = None
    agent_goal_rationale: str | None = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    scheduled_at: Time
    dispatched_at: Time | None = None
    finished_at: Time | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, activity: Mapping[str, Any]) -> "CustomerDetailCallOut":
        return cls.model_construct(**_shown(cls, activity))


# The counter of a target that an activity of each type adds one to.
TARGET_COUNTERS: Mapping[str, str] = {"call": "calls_made", "whatsapp": "whatsapp_sent", "email": "email_sent"}


class CustomerDetailCampaignOut(BaseModel):
    campaign_id: Uuid
    campaign_name: str
    campaign_status: CampaignStatus
    target_id: Uuid
    target_stage: TargetStage
    calls_made: int = 0
    whatsapp_sent: int = 0
    email_sent: int = 0
    ai_label: AiLabel
    ai_score: float | None = None
    ai_reason: str | None = None
    last_contacted_at: Time | None = None
    last_email_at: Time | None = None
    last_conv_id: str | None = None
    call_successful: str | None = None
    call_summary_title: str | None = None
    transcript_summary: str | None = None
    customer_sentiment: str | None = None
    agent_goal_result: str | None = None
    follow_up_required: bool | None = None
    escalation_required: bool | None = None
    analysis_updated_at: str | None = None

    @classmethod
    def of(cls, target: Mapping[str, Any], campaign: Mapping[str, Any]) -> "CustomerDetailCampaignOut":
        """An enrolment. Where both its campaign's service and the activity recorded here tell, the greater is shown."""
        enrolment = target["enrolment"]
        recorded = {name: target[name] for name in TARGET_COUNTERS.values() if name in target}
        for name, newest in (("last_contacted_at", "last_contact"), ("last_email_at", "last_email")):
            if newest in target:
                recorded[name] = keys.activity_time(target[newest])
        greater = {name: max(value, enrolment.get(name, value)) for name, value in recorded.items()}
        of_campaign = {"campaign_name": campaign["name"], "campaign_status": campaign["status"]}
        shown = _shown(cls, {**enrolment, **greater, **of_campaign})
        return cls.model_construct(**shown | {"target_stage": enrolment["stage"]})


class CustomerDetailOut(BaseModel):
    customer: CustomerOut
    stats: CustomerDetailStatsOut
    last_call: CustomerDetailCallOut | None = None
    campaigns: list[CustomerDetailCampaignOut]

    @classmethod
    def of(
        cls, customer: CustomerOut, stats: Mapping[str, Any], campaigns: list[CustomerDetailCampaignOut]
    ) -> "CustomerDetailOut":
        shown: dict[str, Any] = {
            "customer": customer,
            "stats": CustomerDetailStatsOut.of(stats),
            "campaigns": campaigns,
        }
        if last_call := stats.get("last_call"):
            shown["last_call"] = CustomerDetailCallOut.of(last_call)
        return cls.model_construct(**shown)


class FailureOut(BaseModel):
    """Why something that went on in the background has failed."""

    code: str
    message: str


class CampaignOut(BaseModel):
    """A field without a value is left out."""

    id: Uuid
    name: str
    status: CampaignStatus
    agent_id: Uuid | None = None
    agent_name: str | None = None
    phone_number_id: str | None = None
    phone_number: str | None = None
    whatsapp_channel_id: str | None = None
    goal: str | None = None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, campaign: Mapping[str, Any]) -> "CampaignOut":
        return cls.model_construct(**_shown(cls, campaign))


class MessageOut(BaseModel):
    conv_id: str | None = None
    external_from: str | None = None
    external_to: str | None = None
    subject: str | None = None
    text: str | None = None
    sent_at: Time
    updated_at: Time | None = None


class ActivityOut(BaseModel):
    """One entry of the timeline: `call` is there for a call, `message` for a WhatsApp message or an email."""

    type: ActivityType
    id: str
    occurred_at: Time
    status: str
    outcome: str | None = None
    campaign_id: Uuid | None = None
    call: CustomerDetailCallOut | None = None
    message: MessageOut | None = None

    @classmethod
    def of(cls, activity: Mapping[str, Any]) -> "ActivityOut":
        shown = _shown(cls, activity) | {"occurred_at": keys.activity_time(activity["sk"])}
        if activity["type"] == "call":
            shown["call"] = CustomerDetailCallOut.of(activity)
        else:
            shown["message"] = MessageOut.model_construct(**_shown(MessageOut, activity))
        return cls.model_construct(**shown)


def _shown(model: type[BaseModel], item: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an item that a model has, as JSON has them: DynamoDB knows decimal numbers only."""
    known = {name: item[name] for name in model.model_fields if name in item}
    return {name: _number(value) if isinstance(value, Decimal) else value for name, value in known.items()}


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)
