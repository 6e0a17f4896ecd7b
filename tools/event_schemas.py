"""The JSON Schemas (2020-12) of docs/events: one for the `detail` of each event of `customers.events`.

They come from the models, the words below, and the examples in `events/`. The service reads a little more than they
allow, such as a time without a zone.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from customers.events import DETAIL_TYPES, PLANNED, RESULTS, Detail
from tools.template import ROOT

DIRECTORY = ROOT / "docs/events"

type Json = dict[str, Any]

WHOLE = "It tells all that is so, not what has changed: a field that is absent has no value. Other fields are ignored."
NEWER = "Of two events of the same {thing} the one with the later time is believed, whatever the order of arrival."
_PLANNED = ", ".join(f"`{word}`" for word in sorted(PLANNED))
_RESULTS = f"{', '.join(f'`{word}`' for word in RESULTS[:-1])} and `{RESULTS[-1]}`"
_GREATER = "By the count of the campaign's service; where more have been recorded here, that number is shown."
_LATER = "As the campaign's service knows it; where a later one has been recorded here, that is shown."

# What a property means wherever it is, and in one type of event only.
PROPERTIES: Mapping[str, str] = {
    "schema_version": "The version of this schema.",
    "customer": "The customer's `id` (not its `customer_id`).",
    "campaign_id": "The campaign's `id`. The campaign itself may be told later.",
    "conv_id": "The conversation's id at the provider.",
    "external_from": "The number or address of the sender or caller.",
    "external_to": "The number or address of the one who is reached.",
}
PROPERTIES_OF: Mapping[str, Mapping[str, str]] = {
    "CampaignUpserted": {
        "id": "The campaign's id.",
        "updated_at": f"When this became so. {NEWER.format(thing='campaign')}",
    },
    "CampaignDeleted": {
        "id": "The campaign's id.",
        "deleted_at": (
            "When it was deleted, which is believed over what was so at that time or before; a CampaignUpserted with a "
            "later `updated_at` brings it back."
        ),
    },
    "TargetUpserted": {
        "target_id": "The enrolment's own id. A customer has one enrolment in a campaign.",
        "calls_made": _GREATER,
        "whatsapp_sent": _GREATER,
        "email_sent": _GREATER,
        "ai_score": "Shown as it is told; what it measures is up to the campaign's service.",
        "last_contacted_at": _LATER,
        "last_email_at": _LATER,
        "last_conv_id": "The conversation that the analysis is of: from `call_successful` to `escalation_required`.",
        "analysis_updated_at": "When that analysis became so.",
        "created_at": "When the customer was enrolled. Its campaigns are shown by this time, newest first.",
        "updated_at": f"When this became so. {NEWER.format(thing='customer and campaign')}",
    },
    "TargetRemoved": {
        "removed_at": (
            "When it was taken out, which is believed over what was so at that time or before; a TargetUpserted with a "
            "later `updated_at` enrols it again."
        ),
    },
    "CallUpserted": {
        "id": "The provider's id: what has it is the same call.",
        "status": (
            "Where the call stands. Counted as the outcome is, if that is none of the words that are counted. A call "
            "with neither `dispatched_at` nor `finished_at` is taken for one that was made, unless its status is one "
            f"of {_PLANNED}."
        ),
        "outcome": f"How the call ended. {_RESULTS} are counted, in any case and with a space or a hyphen for `_`.",
        "scheduled_at": "When it is to be made. Its place in the timeline, until one of the two that follow is known.",
        "dispatched_at": "When it was sent on its way. Its place in the timeline.",
        "finished_at": "When it ended. Its place in the timeline, if it has no `dispatched_at`.",
        "updated_at": f"When this became so. {NEWER.format(thing='call')}",
    },
    "MessageSent": {
        "id": "The provider's id: what has it, and came by the same channel, is the same message.",
        "status": "What has become of it, in the provider's words.",
        "sent_at": "When it was sent. Its place in the timeline.",
        "updated_at": f"When this became so; if absent, `sent_at`. {NEWER.format(thing='message')}",
    },
}


def example(detail_type: str) -> Json:
    """The `detail` of the recorded event of a type."""
    event = json.loads((ROOT / f"events/{detail_type}.json").read_text())
    detail: Json = event["detail"]
    return detail


def generate() -> dict[str, Json]:
    """The schema of each detail type. Raises `KeyError` for words about a property that no model has."""
    return {name: _schema(name, model) for name, model in DETAIL_TYPES.items()}


def _schema(name: str, model: type[Detail]) -> Json:
    schema = model.model_json_schema()
    properties = {each: {k: v for k, v in of.items() if k != "title"} for each, of in schema["properties"].items()}
    words = {**{each: text for each, text in PROPERTIES.items() if each in properties}, **PROPERTIES_OF[name]}
    for each, text in words.items():
        properties[each]["description"] = text
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "title": name,
        "description": f"{schema['description']}\n\n{WHOLE}",
        "type": "object",
        "properties": properties,
        "required": schema["required"],
        "examples": [example(name)],
    }
