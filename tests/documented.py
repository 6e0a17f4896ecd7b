"""Whether docs/openapi.json tells the truth: a response must be what it documents, to the last member and header."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tools.openapi import DOCUMENT, routes

type Json = dict[str, Any]

FROM_THE_CONTENT = {"content-type"}  # OpenAPI describes it with the content, not with the headers


def assert_documented(operation: str, response: Json) -> None:
    """Fail unless `response`, a Lambda proxy response, is one of the function's responses in docs/openapi.json.

    A member of the body or a header that the document does not know is a failure.
    """
    status, headers, body = response["statusCode"], response["headers"], response.get("body")
    what = f"{operation} answered {status}"
    documented = responses(operation).get(str(status))
    assert documented, f"{what}, which is not documented"
    names = {name.lower() for name in headers} - FROM_THE_CONTENT
    known = {name.lower(): header["required"] for name, header in documented["headers"].items()}
    assert names <= known.keys(), f"{what} with undocumented headers: {names - known.keys()}"
    missing = {name for name, required in known.items() if required} - names
    assert not missing, f"{what} without {missing}"
    content = documented.get("content", {})
    if not content:
        assert body is None, f"{what} with a body, which is not documented"
        return
    media_type = headers.get("content-type")
    assert media_type in content, f"{what} as {media_type}, which is not documented"
    problems = errors(json.dumps(content[media_type]["schema"]), json.loads(body or "null"))
    assert not problems, f"{what}, but {'; '.join(problems)}: {body}"


@cache
def document() -> Json:
    read: Json = json.loads(DOCUMENT.read_text())
    return read


@cache
def responses(operation: str) -> Json:
    """The function's responses by status, with every reference to a response or a header resolved."""
    method, path = routes()[operation]
    found = {status: resolved(each) for status, each in document()["paths"][path][method]["responses"].items()}
    return {
        status: {**each, "headers": {name: resolved(header) for name, header in each["headers"].items()}}
        for status, each in found.items()
    }


def resolved(node: Json) -> Json:
    if "$ref" not in node:
        return node
    _, components, kind, name = node["$ref"].split("/")
    found: Json = document()[components][kind][name]
    return found


def errors(schema: str, instance: Any) -> list[str]:
    """What is wrong with `instance` by a schema of the document, in JSON."""
    found = _validator(schema).iter_errors(instance)
    return [f"{'.'.join(map(str, error.absolute_path)) or 'the body'}: {error.message}" for error in found]


@cache
def _validator(schema: str) -> Draft202012Validator:
    closed = {
        name: {"additionalProperties": False} | each for name, each in document()["components"]["schemas"].items()
    }
    whole = json.loads(schema) | {"components": {"schemas": closed}}
    return Draft202012Validator(whole, format_checker=Draft202012Validator.FORMAT_CHECKER)
