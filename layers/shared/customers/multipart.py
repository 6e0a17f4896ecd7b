"""multipart/form-data (RFC 7578), parsed by python-multipart, which bounds what a hostile body can cost."""

import logging
from collections.abc import Callable
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header

from customers.errors import Invalid, UnsupportedMediaType

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a body, the caller hears


def file_of(body: bytes, content_type: str) -> bytes:
    """The content of the part `file`, the first of that name. Raises `UnsupportedMediaType`, `Invalid`.

    Other parts are refused: an option that is sent as one, `dry_run` for instance, must not be passed over.
    """
    media_type, options = parse_options_header(content_type)
    boundary = options.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise UnsupportedMediaType("The body must be multipart/form-data with a part named file")
    files, others, ended = list[bytes](), list[bytes](), list[bool]()
    keep = _keeper(files, others)
    in_memory: Any = {"MAX_MEMORY_FILE_SIZE": len(body) + 1, "MAX_FIELD_SIZE": len(body) + 1}
    parser = FormParser("multipart/form-data", keep, keep, lambda: ended.append(True), boundary, config=in_memory)
    try:
        parser.write(body)
        parser.finalize()
    except FormParserError:
        raise Invalid.at("body", msg="The body is no well-formed multipart/form-data", kind="multipart") from None
    if not ended:
        raise Invalid.at("body", msg="The body ends before its last boundary", kind="multipart")
    if not files:
        raise Invalid.at("body", "file", msg="Field required", kind="missing")
    if others:
        name = others[0].decode(errors="replace")
        raise Invalid.at("body", name, msg="Options are parameters of the query", kind="extra_forbidden")
    return files[0]


def _keeper(files: list[bytes], others: list[bytes]) -> Callable[[Any], None]:
    """Keeps the parts named file, whether they have a file name (library class `File`) or not (`Field`).

    Of all others it keeps the names.
    """

    def keep(part: Any) -> None:
        if part.field_name != b"file":
            others.append(part.field_name or b"")
        elif hasattr(part, "file_object"):
            part.file_object.seek(0)
            files.append(part.file_object.read())
        else:
            files.append(part.value or b"")

    return keep
