"""What a built layer keeps of its libraries: of botocore the descriptions of what the code calls, and no documentation.

botocore describes 400 services in 30 MB of JSON. A cold start looks through their names, reads the endpoints of all of
them, and every operation of those that it makes a client of: 170 M of a start's 1,440 M instructions.
"""

import gzip
import json
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

ENDPOINT_RULES = "endpoint-rule-set-1"
SERVICE = "service-2"
# What botocore calls by itself, or looks up to sign a form: S3's, when a bucket turns out to be in another region.
OF_BOTOCORE = {"create_bucket", "head_bucket"}
# Those of botocore are written when somebody reads them, by what takes 28 M instructions to import.
DOCSTRINGS = '''"""Docstrings of clients, which nobody reads here: empty."""


class _Empty(str):
    def __new__(cls, *_: object, **__: object) -> "_Empty":
        return super().__new__(cls)


ClientMethodDocstring = PaginatorDocstring = WaiterDocstring = _Empty
'''


# Who imports `importlib.metadata`, and with it `zipfile` and a dozen others, at every start: to look for plugins, which
# the template disables, and for HTTP/2, which nobody asks for. 17 M instructions, and 15 files to open.
METADATA = {"pydantic/plugin/_loader.py": "entry_points", "urllib3/http2/__init__.py": "version"}
LATER = """
def {name}(*args, **options):
    from importlib.metadata import {name}

    return {name}(*args, **options)

"""


class PruningError(RuntimeError):
    """A library is not as it was when this was written."""


def prune(layer: Path, services: Collection[str], code: str) -> None:
    """Leave in the layer what `code` calls of these AWS services. Raises `PruningError`."""
    _prune_botocore(layer / "botocore", services, code)
    for module, name in METADATA.items():
        _import_later(layer / module, name)


def _import_later(module: Path, name: str) -> None:
    line, later = rf"^from importlib\.metadata import {name}\n", LATER.format(name=name)
    source, replaced = re.subn(line, later, module.read_text(), flags=re.MULTILINE)
    if replaced != 1:
        raise PruningError(f"{module.parent.name}/{module.name} does not import {name} as it did")
    module.write_text(source)


def _prune_botocore(botocore: Path, services: Collection[str], code: str) -> None:
    data = botocore / "data"
    for path in data.iterdir():
        if path.is_dir() and path.name not in services:
            shutil.rmtree(path)
    for service in services:
        _prune_service(data / service, code)
    _write(data / "endpoints.json", _of_services(_read(data / "endpoints.json"), services))
    for path in (botocore / "docs").iterdir():
        if path.name != "utils.py":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (botocore / "docs" / "__init__.py").write_text("")
    (botocore / "docs" / "docstring.py").write_text(DOCSTRINGS)


def _prune_service(folder: Path, code: str) -> None:
    """Leave its latest version, of that the two files which every client reads, and of those what is called."""
    latest = max(path for path in folder.iterdir() if list(path.glob(f"{SERVICE}.json*")))
    for path in folder.iterdir():
        if path != latest:
            shutil.rmtree(path)
    kept = {name: _read(latest / f"{name}.json.gz") for name in (ENDPOINT_RULES, SERVICE)}
    kept[SERVICE] = used(kept[SERVICE], code)
    for path in latest.iterdir():
        if not path.name.startswith(f"{SERVICE}.sdk-extras"):  # which botocore merges into the service's description
            path.unlink()
    for name, content in kept.items():
        _write(latest / f"{name}.json", content)


def used(description: Mapping[str, Any], code: str) -> dict[str, Any]:
    """A service's description with only the operations that `code` names, and the shapes that they use."""
    called = {*re.findall(r"\w+", code), *OF_BOTOCORE}
    operations = {name: each for name, each in description["operations"].items() if _method(name) in called}
    shapes = dict[str, Any]()
    wanted = _shapes(operations)
    while wanted:
        name = wanted.pop()
        if name not in shapes:
            shapes[name] = description["shapes"][name]
            wanted |= _shapes(shapes[name])
    return {**description, "operations": _undocumented(operations), "shapes": _undocumented(shapes)}


def _method(operation: str) -> str:
    """The name of a client's method: `GetItem` is `get_item`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", operation).lower()


def _shapes(part: Any) -> set[str]:
    """The names of all shapes that a part of a description refers to."""
    if isinstance(part, dict):
        own = {part["shape"]} if isinstance(part.get("shape"), str) else set[str]()
        return own.union(*map(_shapes, part.values()))
    return set[str]().union(*map(_shapes, part)) if isinstance(part, list) else set()


def _undocumented(part: Any) -> Any:
    if isinstance(part, dict):
        return {
            name: _undocumented(each)
            for name, each in part.items()
            if not (name == "documentation" and isinstance(each, str))
        }
    return [_undocumented(each) for each in part] if isinstance(part, list) else part


def _of_services(endpoints: dict[str, Any], services: Collection[str]) -> dict[str, Any]:
    """Every partition and region, with the endpoints of these services only."""
    for partition in endpoints["partitions"]:
        partition["services"] = {name: each for name, each in partition["services"].items() if name in services}
    return endpoints


def _read(path: Path) -> Any:
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def _write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))
