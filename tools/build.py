"""`make build`: what `sam build` makes, finished for Lambda: nothing unused, bytecode everywhere, and checked."""

import argparse
import compileall
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Literal, get_args

import yaml

from tools.pruning import PruningError, prune
from tools.template import ROOT, load

type Architecture = Literal["arm64", "x86_64"]

SAM_BIN = ROOT / ".local" / "sam" / "bin"
ELF_MACHINES: Mapping[str, Architecture] = {"3e": "x86_64", "b7": "arm64"}  # ELF header, e_machine
# Of a function that starts from snapshots: its newest version is called, and only that one kept and paid for.
PUBLISHED = {"AutoPublishAlias": "live", "AutoPublishAliasAllProperties": True, "VersionDeletionPolicy": "Delete"}
MARK = ".sources"  # file of a build directory
UNCHECKED_HASH = 0b01  # PEP 552: the flags of bytecode that nobody compares with its source
INTERPRETER: str = getattr(sys, "_base_executable", sys.executable)  # an environment's would lend its packages
HOST_ARCHITECTURE: Architecture = "arm64" if os.uname().machine in {"aarch64", "arm64"} else "x86_64"


class BuildError(RuntimeError):
    """The build failed or made something that would fail on Lambda; the message says what."""


@dataclass(frozen=True, slots=True)
class Build:
    """What is in a build directory."""

    directory: Path
    architecture: Architecture

    @property
    def template(self) -> Path:
        return self.directory / "template.yaml"

    @property
    def layer(self) -> Path:
        return self.directory / "SharedLayer" / "python"

    @property
    def sources(self) -> str:
        """The mark of what it was made from; empty if `up_to_date` did not make it."""
        mark = self.directory / MARK
        return mark.read_text() if mark.is_file() else ""

    @property
    def apps(self) -> list[Path]:
        return sorted(self.directory.glob("*/app.py"))


def build(architecture: Architecture, directory: Path, *, snap_start: bool = False, root: Path = ROOT) -> Build:
    """Build `root`'s template into `directory`, anew. Raises `BuildError`."""
    if sys.version_info[:2] != (3, 13):
        raise BuildError(f"Bytecode must be Python 3.13's, and this is {sys.version.split()[0]}: use make build")
    built = Build(directory, architecture)
    _sam_build(built, root)
    try:
        prune(built.layer, clients(root), code(root))
    except PruningError as error:
        raise BuildError(str(error)) from error
    _drop_unused(built.layer)
    _choose(built, snap_start=snap_start)
    for folder, at in [(built.layer, "/opt/python"), *((app.parent, "/var/task") for app in built.apps)]:
        _compile(folder, at)
    check(built, root=root)
    return built


def up_to_date(architecture: Architecture, directory: Path, *, root: Path = ROOT) -> Build:
    """The build of the sources as they are: the one in `directory` if it is that, otherwise a new one."""
    digest = f"{architecture}-{digest_of(sources(root), root)}"
    built = Build(directory, architecture)
    if built.sources != digest:
        built = build(architecture, directory, root=root)
        (directory / MARK).write_text(digest)
    return built


def sources(root: Path = ROOT) -> Iterator[Path]:
    """Every file that decides what a build makes, in a fixed order."""
    yield root / "template.yaml"
    yield root / "requirements" / "sam.txt"
    yield from (Path(__file__), ROOT / "tools" / "pruning.py", ROOT / "tools" / "template.py")
    for folder in (root / "functions", root / "layers" / "shared"):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not {"__pycache__", "customers.egg-info"} & set(path.parts):
                yield path


def digest_of(files: Iterator[Path], root: Path = ROOT) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{os.path.relpath(path, root)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def sam_environment() -> dict[str, str]:
    """The environment for SAM CLI: its own Python first on the PATH, its settings in this checkout, no telemetry."""
    return os.environ | {
        "PATH": f"{SAM_BIN}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "SAM_CLI_TELEMETRY": "0",
        "__SAM_CLI_APP_DIR": str(ROOT / ".local" / "sam-home"),
    }


def _sam_build(built: Build, root: Path) -> None:
    command = ["sam", "build", "--template", "template.yaml", "--build-dir", str(built.directory)]
    command += ["--parameter-overrides", f"Architecture={built.architecture}"]
    done = subprocess.run(  # noqa: S603 - our own command line
        [str(SAM_BIN / command[0]), *command[1:]],
        cwd=root,
        env=sam_environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed:\n{done.stdout[-3_000:]}{done.stderr[-3_000:]}")


def _drop_unused(layer: Path) -> None:
    """Remove what nothing reads: stubs, package tests and examples, build leftovers."""
    for pattern in (
        "*.egg-info",
        "*.data",
        "requirements.txt",
        "bin",
        "boto3/examples",
        "**/__pycache__",
        "**/tests",
        "**/*.pyi",
    ):
        for path in list(layer.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _choose(built: Build, *, snap_start: bool) -> None:
    """Leave the built template one Architecture, and one SnapStart, so that no deployment can mix two builds.

    An update sends the stack's old value for a parameter that is not named; CloudFormation then refuses it. SnapStart
    takes snapshots of published versions only, and SAM publishes them under an alias that can depend on no parameter.
    Functions with a route get one: nobody waits for the others.
    """
    template = load(built.template)
    chosen = {"Architecture": built.architecture, "SnapStart": "true" if snap_start else "false"}
    for parameter, value in chosen.items():
        template["Parameters"][parameter] |= {"AllowedValues": [value], "Default": value}
    if snap_start:
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Serverless::LayerVersion":
                resource["Properties"]["PublishLambdaVersion"] = True  # a new layer alone is a new version, too
            elif any(event["Type"] == "HttpApi" for event in resource.get("Properties", {}).get("Events", {}).values()):
                resource["Properties"] |= PUBLISHED
    built.template.write_text(yaml.safe_dump(template, sort_keys=False))


def _compile(folder: Path, deployed_at: str) -> None:
    """Compile every module: Lambda's file system is read-only, so that without bytecode every cold start would compile.

    Unchecked, because a zip changes the modification times that ordinary bytecode is compared by.
    """
    compiled = compileall.compile_dir(
        folder,
        quiet=1,
        force=True,
        workers=0,
        stripdir=folder,
        prependdir=deployed_at,  # the path in a traceback
        invalidation_mode=PycInvalidationMode.UNCHECKED_HASH,
    )
    if not compiled:
        raise BuildError(f"Some module in {folder.name} does not compile")


def check(built: Build, *, root: Path = ROOT) -> None:
    """Look for what fails only on Lambda. Raises `BuildError` with all of it."""
    problems = [*missing_packages(built, root), *wrong_libraries(built), *missing_bytecode(built)]
    if not built.apps:
        problems.append("no function was built")
    if built.architecture == HOST_ARCHITECTURE:
        problems += [problem for app in built.apps if (problem := import_problem(built, app))]
    if problems:
        raise BuildError("The build is not fit for Lambda:\n  " + "\n  ".join(problems))


def clients(root: Path = ROOT) -> set[str]:
    """The AWS services that the layer's code makes clients of."""
    return set(re.findall(r'aws\.client\(\s*"(\w+)"', code(root)))


def code(root: Path = ROOT) -> str:
    """All of the layer's own code."""
    return "".join(path.read_text() for path in (root / "layers" / "shared" / "customers").rglob("*.py"))


def missing_packages(built: Build, root: Path = ROOT) -> Iterator[str]:
    """The pinned requirements that the layer does not hold."""
    held = {path.name.lower().replace("-", "_") for path in built.layer.glob("*.dist-info")}
    for line in (root / "layers" / "shared" / "requirements.txt").read_text().splitlines():
        if pin := re.match(r"([A-Za-z0-9._-]+)(?:\[.*])?==([^ ;]+)", line):
            name = re.sub(r"[-_.]+", "_", pin[1]).lower()
            if f"{name}_{pin[2].lower()}.dist_info" not in held:
                yield f"{pin[1]} {pin[2]} is not in the layer"
    if not (built.layer / "customers").is_dir():
        yield "the package customers is not in the layer"
    for service in sorted(clients(root)):
        if not (built.layer / "botocore" / "data" / service).is_dir():
            yield f"botocore's description of {service} is not in the layer"


def wrong_libraries(built: Build) -> Iterator[str]:
    """The shared libraries that are not for this build's architecture."""
    libraries = [path for path in built.layer.rglob("*") if re.search(r"\.so(\.|$)", path.name)]
    if not libraries:
        yield "the layer has no shared library at all, where pydantic_core has one"
    for path in libraries:
        with path.open("rb") as file:
            machine = ELF_MACHINES.get(file.read(20)[18:19].hex())
        if machine != built.architecture:
            yield f"{path.relative_to(built.layer)} is for {machine or 'another machine'}, not {built.architecture}"


def missing_bytecode(built: Build) -> Iterator[str]:
    """The modules without bytecode that Python 3.13 takes as it is."""
    for folder in [built.layer, *(app.parent for app in built.apps)]:
        for source in folder.rglob("*.py"):
            bytecode = Path(importlib.util.cache_from_source(str(source)))
            header = bytecode.read_bytes()[:8] if bytecode.is_file() else b""
            if header[:4] != importlib.util.MAGIC_NUMBER or int.from_bytes(header[4:], "little") != UNCHECKED_HASH:
                yield f"{source.relative_to(built.directory)} has no bytecode"


def import_problem(built: Build, app: Path) -> str | None:
    """Why `app` cannot be imported with only the layer beside it; None if it can."""
    program = "import sys; sys.path[:0] = sys.argv[1:]; import app; app.lambda_handler"
    done = subprocess.run(  # noqa: S603 - our own command line
        [INTERPRETER, "-I", "-S", "-c", program, str(built.layer), str(app.parent)],
        env=FUNCTION_ENVIRONMENT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode == 0:
        return None
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return f"{app.parent.name} cannot be imported: {last}"


# What a cold start needs to read, with nothing behind it.
FUNCTION_ENVIRONMENT: Mapping[str, str] = {
    "AWS_REGION": "us-east-1",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "TABLE_NAME": "none",
    "API_KEYS_ONLY": "true",
    "DEAD_LETTER_QUEUE_URL": "https://sqs.example/none",
    "BUCKET_NAME": "none",
    "EXPORT_FUNCTION": "none",
    "POWERTOOLS_SERVICE_NAME": "customers",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make build", description="Build the functions and their layer for Lambda.")
    parser.add_argument("--arch", choices=get_args(Architecture.__value__), default="arm64")
    parser.add_argument("--snap-start", action="store_true", help="publish versions, which can start from snapshots")
    parser.add_argument("--out", type=Path, default=ROOT / ".aws-sam" / "build", help="directory of the artefacts")
    arguments = parser.parse_args()
    try:
        built = build(arguments.arch, arguments.out.resolve(), snap_start=arguments.snap_start)
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    megabytes = sum(path.stat().st_size for path in built.layer.rglob("*") if path.is_file()) / 1e6
    print(
        f"Built {len(built.apps)} functions and a layer of {megabytes:.1f} MB for {built.architecture}: {arguments.out}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
