"""Writes what is generated: docs/openapi.json, a schema in docs/events for each type of event, the README's costs.

`python -m tools.documents` writes; with `--check` it fails if a file is not what it would write.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tools import costs, event_schemas, openapi
from tools.template import ROOT


def documents() -> dict[Path, str]:
    """The text of each document."""
    contents: dict[Path, dict[str, Any]] = {openapi.DOCUMENT: openapi.generate()}
    contents |= {event_schemas.DIRECTORY / f"{name}.json": schema for name, schema in event_schemas.generate().items()}
    texts = {path: json.dumps(content, indent=1, ensure_ascii=False) + "\n" for path, content in contents.items()}
    return texts | {costs.README: costs.written(costs.README.read_text())}


def main(arguments: list[str]) -> str | None:
    """What is wrong, or None."""
    wanted = documents()
    stray = set(event_schemas.DIRECTORY.glob("*.json")) - wanted.keys()  # of types that are no more
    if arguments == ["--check"]:
        missing = {path for path, text in wanted.items() if not path.exists() or path.read_text() != text}
        drifted = ", ".join(sorted(str(path.relative_to(ROOT, walk_up=True)) for path in missing | stray))
        return f"Out of date: {drifted}. Run `python -m tools.documents` and commit." if drifted else None
    if arguments:
        return "usage: python -m tools.documents [--check]"
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for path in stray:
        path.unlink()
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
