"""docs/openapi.json, from the models, the routes of template.yaml and the words of `tools.operations`.

The words about imports and exports are in `tools.transfer_operations`.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic.json_schema import models_json_schema

from customers.errors import ApiError, CustomerIdTaken, Invalid
from customers.models import Uuid
from tools import operations, template, transfer_operations
from tools.operations import (
    ERRORS,
    EVERYWHERE,
    INTRODUCTION,
    ON_EVERY_RESPONSE,
    REQUEST_HEADERS,
    REQUEST_ID,
    RESPONSE_HEADERS,
    Operation,
)
from tools.template import ROOT

DOCUMENT = ROOT / "docs/openapi.json"
OPERATIONS = {**operations.OPERATIONS, **transfer_operations.OPERATIONS}
PARAMETERS = {**operations.PARAMETERS, **transfer_operations.PARAMETERS}
PATH_PARAMETERS = {**operations.PATH_PARAMETERS, **transfer_operations.PATH_PARAMETERS}
PROPERTIES = {**operations.PROPERTIES, **transfer_operations.PROPERTIES}
SCHEMAS = "#/components/schemas/{model}"

type Json = dict[str, Any]
type Mode = Literal["validation", "serialization"]
type Route = tuple[str, str]  # method in lower case, path


class Problem(BaseModel):
    """A problem document (RFC 9457). Program against `code`; `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str


class CustomerIdTakenProblem(Problem):
    """A problem document that names the customer which has the `customer_id`."""

    existing_id: Uuid
    existing_deleted: bool


class ValidationError(BaseModel):
    """`loc` starts with body, query, path or header."""

    loc: list[str | int] = Field(title="Location")
    msg: str = Field(title="Message")
    type: str = Field(title="Error Type")


class HTTPValidationError(BaseModel):
    detail: list[ValidationError]


def routes() -> dict[str, Route]:
    """The route of each function that has one, by the function's directory; sorted by path."""
    found = {
        Path(function["CodeUri"]).name: (event["Properties"]["Method"].lower(), event["Properties"]["Path"])
        for function in template.resources("AWS::Serverless::Function").values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }
    return dict(sorted(found.items(), key=lambda item: (item[1][1], item[1][0])))


def generate() -> Json:
    """The document. Raises `ValueError` if routes and operations are not of the same functions."""
    if unmatched := routes().keys() ^ OPERATIONS.keys():
        raise ValueError(f"template.yaml and the operations in tools differ in {', '.join(sorted(unmatched))}")
    paths: dict[str, Json] = {}
    for function, (method, path) in routes().items():
        paths.setdefault(path, {})[method] = _operation(function, method, path)
    groups = {classes for operation in OPERATIONS.values() for classes in _by_status(operation).values()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Customers API",
            "version": tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"],
            "description": INTRODUCTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearerAuth": []}, {"apiKeyAuth": []}],
        "tags": [
            {"name": "customers", "description": "Customers, their campaigns, their activity, and files of them."}
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearerAuth": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKeyAuth": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
            "parameters": _parameters(),
            "headers": {
                name: {"description": text, "required": always, "schema": schema, "example": example}
                for name, (schema, example, always, text) in RESPONSE_HEADERS.items()
            },
            "responses": {_name(classes): _problem(classes) for classes in sorted(groups, key=_name)},
            "schemas": _schemas(),
        },
    }


def _operation(function: str, method: str, path: str) -> Json:
    operation = OPERATIONS[function]
    success: Json = {
        "description": operation.success,
        "headers": _headers(*operation.response_headers),
    }
    if operation.response:
        shown = operation.response_example
        if isinstance(shown, BaseModel):
            shown = shown.model_dump(mode="json", exclude_unset=True)
        success["content"] = {"application/json": {"schema": _ref("schemas", operation.response), "example": shown}}
    responses: dict[HTTPStatus, Json] = {operation.status: success}
    if operation.not_modified:
        responses[HTTPStatus.NOT_MODIFIED] = {"description": "The version that was named.", "headers": _headers("ETag")}
    own = operation.own_examples
    responses |= {
        status: _problem(classes, own) if own.keys() & set(classes) else _ref("responses", _name(classes))
        for status, classes in _by_status(operation).items()
    }
    responses[Invalid.status] = _invalid(operation)
    names = [*re.findall(r"{(\w+)}", path), *sorted((*operation.request_headers, "X-API-Key"))]
    described: Json = {
        "tags": ["customers"],
        "summary": operation.summary,
        "description": f"{operation.description}\n\nNeeds the scope `{operation.scope}`.",
        "operationId": re.sub(r"\W", "_", function + path) + f"_{method}",  # as FastAPI makes them: the contract's
        "parameters": [_ref("parameters", name) for name in names] + _query(operation.query),
        "responses": {str(int(status)): responses[status] for status in sorted(responses)},
    }
    if operation.body:
        content: Json = {"schema": _ref("schemas", operation.body), "example": operation.body_example}
        if operation.parts:
            content["encoding"] = {part: {"contentType": types} for part, types in operation.parts.items()}
        media_type = "multipart/form-data" if operation.parts else "application/json"
        described["requestBody"] = {"required": True, "content": {media_type: content}}
    return described


def _query(model: type[BaseModel] | None) -> list[Json]:
    if not model:
        return []
    words = PARAMETERS[model]
    return [
        {"name": name, "in": "query", "required": False, "description": words[name], "schema": _never_null(schema)}
        for name, schema in model.model_json_schema(ref_template=SCHEMAS)["properties"].items()
    ]


def _parameters() -> Json:
    """The parameters of paths and headers, by name."""
    sources = (("path", PATH_PARAMETERS), ("header", REQUEST_HEADERS))
    return {
        name: {"name": name, "in": where, "required": where == "path", "description": text, "schema": schema}
        | ({"example": example} if example else {})
        for where, source in sources
        for name, (schema, example, text) in source.items()
    }


def _headers(*names: str) -> Json:
    return {name: _ref("headers", name) for name in sorted((*names, *ON_EVERY_RESPONSE))}


def _by_status(operation: Operation) -> dict[HTTPStatus, tuple[type[ApiError], ...]]:
    """The problem documents that an operation may answer."""
    problems: list[type[ApiError]] = [each for each in (*operation.errors, *EVERYWHERE) if each is not Invalid]
    return {each.status: tuple(other for other in problems if other.status == each.status) for each in problems}


def _name(classes: tuple[type[ApiError], ...]) -> str:
    return "Or".join(each.__name__ for each in classes)


def _problem(classes: tuple[type[ApiError], ...], own: Mapping[type[ApiError], ApiError] | None = None) -> Json:
    shown = {each: ERRORS[each][0] for each in classes} | {**(own or {})}
    plain = [each.code for each in classes if each is not CustomerIdTaken]
    schemas = [_narrowed(Problem, plain)] if plain else []
    if CustomerIdTaken in classes:
        schemas.insert(0, _narrowed(CustomerIdTakenProblem, [CustomerIdTaken.code]))
    names = {name for each in classes for name in shown[each].headers}
    examples = {each.code: {"value": example_body(shown[each])} for each in classes}
    return {
        "description": " Or: ".join(ERRORS[each][1] for each in classes),
        "headers": _headers(*names),
        "content": {
            "application/problem+json": {
                "schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas},
                "examples": examples,
            }
        },
    }


def _narrowed(model: type[BaseModel], codes: list[str]) -> Json:
    return {**_ref("schemas", model), "properties": {"code": {"enum": codes}}}


def _invalid(operation: Operation) -> Json:
    examples = {error.problems[0]["type"]: {"value": example_body(error)} for error in operation.invalid}
    content = {"schema": _ref("schemas", HTTPValidationError), "examples": examples}
    return {"description": ERRORS[Invalid][1], "headers": _headers(), "content": {"application/json": content}}


def example_body(error: ApiError) -> Json:
    """What `customers.api` answers for an error."""
    if isinstance(error, Invalid):
        return {"detail": error.problems}
    return Problem(
        type="about:blank",
        title=error.status.phrase,
        status=error.status,
        detail=error.detail,
        code=error.code,
        request_id=REQUEST_ID,
    ).model_dump() | dict(error.members)


def _schemas() -> Json:
    responses: list[type[BaseModel]] = [HTTPValidationError, Problem, CustomerIdTakenProblem]
    responses += [each.response for each in OPERATIONS.values() if each.response]
    requests = [each.body for each in OPERATIONS.values() if each.body]
    schemas = _definitions(requests, "validation")
    for definition in schemas.values():  # null clears, but absent is not null
        _change_properties(definition, _without_null_default)
    answered = _definitions(responses, "serialization")
    for definition in answered.values():
        _change_properties(definition, _never_null)
    schemas |= answered
    for name, properties in PROPERTIES.items():
        for each, text in properties.items():
            schemas[name]["properties"][each]["description"] = text
    return dict(sorted(schemas.items()))


def _definitions(models: list[type[BaseModel]], mode: Mode) -> dict[str, Json]:
    wanted = [(model, mode) for model in dict.fromkeys(models)]
    _, definitions = models_json_schema(wanted, ref_template=SCHEMAS)
    found: dict[str, Json] = definitions["$defs"]
    return found


def _change_properties(definition: Json, change: Callable[[Json], Json]) -> None:
    """Of an object; what else has a name, such as a list of values, has none."""
    if "properties" in definition:
        definition["properties"] = {name: change(each) for name, each in definition["properties"].items()}


def _without_null_default(schema: Json) -> Json:
    return {key: value for key, value in schema.items() if (key, value) != ("default", None)}


def _never_null(schema: Json) -> Json:
    """A field whose default is None is left out when it has no value, and so is a parameter: neither is ever null."""
    if "default" not in schema or schema["default"] is not None:
        return schema
    (only,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    return {**only, **{key: value for key, value in schema.items() if key not in {"anyOf", "default"}}}


def _ref(kind: str, of: type[BaseModel] | str) -> Json:
    name = of if isinstance(of, str) else re.sub(r"\W", "_", of.__name__)
    return {"$ref": f"#/components/{kind}/{name}"}
