"""Whether a client of one OpenAPI document is well served by another: what differs, in sentences.

The other document may say more: operations, optional parameters, statuses, properties of responses. What the contract
says must be there with the same meaning. Words are free: descriptions, summaries, examples.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

type Json = dict[str, Any]
type Direction = Literal["request", "response"]

METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
WORDS = {"description", "examples", "example"}
ATOMS = {"type", "format", "title", "default", "minimum", "maximum", "minLength", "maxLength", "pattern", "const"}
KNOWN = WORDS | ATOMS | {"enum", "required", "properties", "items", "additionalProperties", "anyOf"}
NULL = {"type": "null"}

# What requests are held to beyond the contract, on purpose.
TIGHTENED = {
    ("CustomerCreate.customer_id", "minLength", 1),  # the record's key: never blank
    ("CustomerCreate.customer_id", "maxLength", 255),  # as the contract has it on updates
    ("CustomerUpdate.customer_id", "minLength", 1),
    ("CustomerCreate.email", "maxLength", 254),  # which `format: email` implies (RFC 3696, erratum 1690)
    ("CustomerUpdate.email", "maxLength", 254),
}


def operations(document: Json) -> set[tuple[str, str]]:
    """Method and path of each."""
    return {(method, path) for path, item in document["paths"].items() for method in item.keys() & METHODS}


def differences(contract: Json, ours: Json) -> list[str]:
    """What of `contract` is missing in `ours` or has another meaning there."""
    return list(_Comparison(contract, ours).run())


@dataclass
class _Comparison:
    contract: Json
    ours: Json
    seen: set[tuple[str, Direction]] = field(default_factory=set)  # named schemas, each compared once a direction

    def run(self) -> Iterator[str]:
        yield from self._security()
        for method, path in sorted(operations(self.contract)):
            if (method, path) in operations(self.ours):
                yield from self._operation(
                    f"{method.upper()} {path}", self.contract["paths"][path][method], self.ours["paths"][path][method]
                )
            else:
                yield f"{method.upper()} {path} is missing"

    def _security(self) -> Iterator[str]:
        schemes = self.ours["components"].get("securitySchemes", {})
        for name, scheme in self.contract["components"]["securitySchemes"].items():
            yield from _same(f"security scheme {name}", scheme, schemes.get(name))
        yield from _same("security", self.contract["security"], self.ours.get("security"))

    def _operation(self, where: str, contract: Json, ours: Json) -> Iterator[str]:
        for part in ("operationId", "tags", "security"):
            yield from _same(f"{where}: {part}", contract.get(part), ours.get(part))
        yield from self._parameters(where, contract, ours)
        yield from self._body(where, contract.get("requestBody"), ours.get("requestBody"))
        for status, response in contract["responses"].items():
            if status in ours["responses"]:
                theirs = _resolve(self.ours, ours["responses"][status])
                yield from self._content(f"{where}: {status}", "response", response, theirs)
            else:
                yield f"{where}: response {status} is missing"

    def _parameters(self, where: str, contract: Json, ours: Json) -> Iterator[str]:
        wanted, offered = _by_name(self.contract, contract), _by_name(self.ours, ours)
        for (place, name), parameter in wanted.items():
            at = f"{where}: {place} parameter {name}"
            if (place, name) in offered:
                theirs = offered[place, name]
                yield from _same(f"{at}: required", parameter["required"], theirs.get("required", False))
                yield from self._schema(at, "request", parameter["schema"], theirs["schema"])
            else:
                yield f"{at} is missing"
        for place, name in offered.keys() - wanted.keys():
            if offered[place, name].get("required"):
                yield f"{where}: {place} parameter {name} is required, and the contract does not know it"

    def _body(self, where: str, contract: Json | None, ours: Json | None) -> Iterator[str]:
        if contract and ours:
            yield from _same(f"{where}: body: required", contract["required"], ours.get("required", False))
            yield from self._content(f"{where}: body", "request", contract, ours)
        elif contract:
            yield f"{where}: the body is missing"
        elif ours and ours.get("required"):
            yield f"{where}: a body is required, and the contract has none"

    def _content(self, where: str, direction: Direction, contract: Json, ours: Json) -> Iterator[str]:
        offered = ours.get("content", {})
        if not contract.get("content") and offered:
            yield f"{where} has content, and the contract has none"
        for media_type, content in contract.get("content", {}).items():
            if media_type in offered:
                yield from self._schema(where, direction, content["schema"], offered[media_type]["schema"])
            else:
                yield f"{where} is not {media_type}"

    def _schema(self, where: str, direction: Direction, contract: Json, ours: Json) -> Iterator[str]:
        if "$ref" in contract:
            name = contract["$ref"].rpartition("/")[2]
            if {key: ours[key] for key in ours.keys() - WORDS} != contract:
                yield f"{where} should be {name}"
            elif (name, direction) not in self.seen:
                self.seen.add((name, direction))
                yield from self._schema(
                    name, direction, _resolve(self.contract, contract), _resolve(self.ours, contract)
                )
            return
        if direction == "request":
            ours = _not_null(ours)
        if unknown := (contract.keys() | ours.keys()) - KNOWN:
            yield f"{where}: this comparison does not know {', '.join(sorted(unknown))}"
        for keyword in sorted(ATOMS):
            if direction == "request" and (where, keyword, ours.get(keyword)) in TIGHTENED:
                continue
            yield from _same(f"{where}: {keyword}", contract.get(keyword), ours.get(keyword))
        yield from _same(f"{where}: enum", sorted(contract.get("enum", ())), sorted(ours.get("enum", ())))
        yield from self._parts(where, direction, contract, ours)
        yield from self._properties(where, direction, contract, ours)

    def _parts(self, where: str, direction: Direction, contract: Json, ours: Json) -> Iterator[str]:
        """The schemas of items, of additional properties, of alternatives."""
        for keyword in ("items", "additionalProperties"):
            wanted, offered = contract.get(keyword), ours.get(keyword)
            if isinstance(wanted, dict) and isinstance(offered, dict):
                yield from self._schema(f"{where}: {keyword}", direction, wanted, offered)
            else:
                yield from _same(f"{where}: {keyword}", wanted, offered)
        alternatives, others = contract.get("anyOf", []), ours.get("anyOf", [])
        if len(alternatives) != len(others):
            yield f"{where}: anyOf should have {len(alternatives)} alternatives and has {len(others)}"
        else:
            for wanted, offered in zip(alternatives, others, strict=True):
                yield from self._schema(f"{where}: anyOf", direction, wanted, offered)

    def _properties(self, where: str, direction: Direction, contract: Json, ours: Json) -> Iterator[str]:
        offered = ours.get("properties", {})
        for name, schema in contract.get("properties", {}).items():
            if name in offered:
                yield from self._schema(f"{where}.{name}", direction, schema, offered[name])
            else:
                yield f"{where}.{name} is missing"
        needed, stated = set(contract.get("required", ())), set(ours.get("required", ()))
        for name in sorted(needed - stated):
            yield f"{where}.{name} should be required"
        if direction == "request":  # a response may promise more
            for name in sorted(stated - needed):
                yield f"{where}.{name} should not be required"


def _resolve(document: Json, node: Json) -> Json:
    if "$ref" not in node:
        return node
    kind, name = node["$ref"].split("/")[-2:]
    found: Json = document["components"][kind].get(name, {})
    return found


def _by_name(document: Json, operation: Json) -> dict[tuple[str, str], Json]:
    resolved = [_resolve(document, parameter) for parameter in operation.get("parameters", [])]
    return {(each["in"], each["name"]): each for each in resolved}


def _not_null(schema: Json) -> Json:
    """What may be sent besides null, which the contract does not speak of."""
    others = [each for each in schema.get("anyOf", []) if each != NULL]
    if len(others) != 1:
        return schema
    return {**others[0], **{keyword: value for keyword, value in schema.items() if keyword != "anyOf"}}


def _same(where: str, contract: Any, ours: Any) -> Iterator[str]:
    if (type(contract), contract) != (type(ours), ours):  # False is not 0
        yield f"{where} should be {_shown(contract)} and is {_shown(ours)}"


def _shown(value: Any) -> str:
    return "absent" if value is None else repr(value)
