"""What `make build` makes, for both architectures, and what `tools.build` finds wrong with a build."""

import importlib.util
import json
import marshal
import py_compile
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import distributions
from pathlib import Path
from types import CodeType

import pytest
from botocore import xform_name
from botocore.session import Session

from tests.handlers import FUNCTIONS, OPERATIONS
from tools import build as tool
from tools.build import (
    HOST_ARCHITECTURE,
    INTERPRETER,
    Architecture,
    Build,
    BuildError,
    check,
    clients,
    import_problem,
    up_to_date,
)
from tools.build import code as code_of_the_layer
from tools.pruning import PruningError, _import_later
from tools.template import ROOT, load

pytestmark = pytest.mark.xdist_group("build")

ARCHITECTURES: tuple[Architecture, ...] = ("arm64", "x86_64")
OTHER: Architecture = "arm64" if HOST_ARCHITECTURE == "x86_64" else "x86_64"
MACHINES: Mapping[Architecture, int] = {"x86_64": 62, "arm64": 183}  # e_machine: EM_X86_64, EM_AARCH64 (elf.h)
LAYER_BYTES = 52_000_000  # Lambda takes 250 MB, layer and function together
PYTHON_3_13 = (3571).to_bytes(2, "little") + b"\r\n"  # the magic number of its bytecode
UNCHECKED = 1


# What is built


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Architecture, Build]:
    """Both builds, side by side, by the command that `make build` runs."""
    made = {each: Build(tmp_path_factory.mktemp(each) / "build", each) for each in ARCHITECTURES}
    running = [
        subprocess.Popen(  # noqa: S603 - our own command line
            [sys.executable, "-m", "tools.build", "--arch", each, "--out", built.directory],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for each, built in made.items()
    ]
    for process in running:
        output, _ = process.communicate(timeout=600)
        assert process.returncode == 0, output
        assert f"Built {len(FUNCTIONS)} functions and a layer of" in output
    return made


@pytest.fixture(params=ARCHITECTURES)
def built(request: pytest.FixtureRequest, builds: Mapping[Architecture, Build]) -> Build:
    return builds[request.param]


def test_the_layer_holds_exactly_what_is_pinned(built: Build) -> None:
    lines = (ROOT / "layers/shared/requirements.txt").read_text().splitlines()
    pinned = {line.partition(" ;")[0] for line in lines if "==" in line}
    held = distributions(path=[str(built.layer)])
    assert {f"{each.name.lower().replace('_', '-')}=={each.version}" for each in held} == pinned


def test_the_layer_holds_the_package_as_it_is_in_the_sources(built: Build) -> None:
    assert modules(built.layer / "customers") == modules(ROOT / "layers/shared/customers")


def modules(package: Path) -> dict[str, bytes]:
    return {str(path.relative_to(package)): path.read_bytes() for path in package.rglob("*.py")}


def test_every_library_of_the_layer_is_for_the_machine_that_was_asked_for(built: Build) -> None:
    libraries = [path for path in built.layer.rglob("*") if ".so" in path.suffixes]
    assert {"_pydantic_core", "_cffi_backend", "_rust"} <= {path.name.partition(".")[0] for path in libraries}
    assert {struct.unpack_from("<4s14xH", path.read_bytes()) for path in libraries} == {
        (b"\x7fELF", MACHINES[built.architecture])
    }


def test_every_module_has_bytecode_that_nobody_compares_with_its_source(built: Build) -> None:
    sources = [*built.directory.rglob("*.py")]
    headers = {struct.unpack_from("<4sI", bytecode(source).read_bytes()) for source in sources}
    assert len(sources) > 1_000
    assert headers == {(PYTHON_3_13, UNCHECKED)}


def test_a_traceback_names_the_paths_that_lambda_has(built: Build) -> None:
    assert code(built.layer / "customers/api.py").co_filename == "/opt/python/customers/api.py"
    assert code(built.directory / "GetCustomer/app.py").co_filename == "/var/task/app.py"


def bytecode(source: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(source)))


def code(source: Path) -> CodeType:
    loaded = marshal.loads(bytecode(source).read_bytes()[16:])  # noqa: S302 - our own build
    assert isinstance(loaded, CodeType)
    return loaded


def test_the_layer_holds_nothing_that_no_import_reads(built: Build) -> None:
    unused = ("requirements.txt", "bin", "*.egg-info", "*.data", "boto3/examples", "**/tests", "**/*.pyi")
    assert not [path for pattern in unused for path in built.layer.glob(pattern)]
    orphans = [
        path
        for path in built.layer.rglob("*.pyc")
        if not (path.parents[1] / f"{path.stem.partition('.')[0]}.py").is_file()
    ]
    assert not orphans


def test_the_layer_describes_the_aws_services_that_the_code_calls_and_no_other(built: Build) -> None:
    data = built.layer / "botocore/data"
    described = {path.name for path in data.iterdir() if path.is_dir()}
    assert described == {"dynamodb", "lambda", "s3", "secretsmanager", "sqs", "ssm"} == clients()
    files = {path.name for path in data.rglob("*/*/*") if not path.name.endswith(".sdk-extras.json")}
    assert files == {"endpoint-rule-set-1.json", "service-2.json"}
    assert sum(path.stat().st_size for path in data.rglob("*.json")) < 500_000


# Each call that the layer's code makes, with the least that it takes.
PLACE: Mapping[str, object] = {"Bucket": "bucket", "Key": "k"}
KEY: Mapping[str, object] = {"pk": {"S": "a"}, "sk": {"S": "b"}}
CALLS: Mapping[str, Mapping[str, Mapping[str, object]]] = {
    "dynamodb": {
        "get_item": {"TableName": "t", "Key": KEY},
        "put_item": {"TableName": "t", "Item": KEY},
        "query": {"TableName": "t", "KeyConditionExpression": "pk = :pk"},
        "batch_get_item": {"RequestItems": {"t": {"Keys": [KEY]}}},
        "batch_write_item": {"RequestItems": {"t": [{"DeleteRequest": {"Key": KEY}}]}},
        "transact_write_items": {"TransactItems": [{"Delete": {"TableName": "t", "Key": KEY}}]},
    },
    "lambda": {"invoke": {"FunctionName": "f", "InvocationType": "Event", "Payload": "{}"}},
    "s3": {
        "head_object": PLACE,
        "get_object": PLACE,
        "put_object": {**PLACE, "Body": b"x"},
        "delete_object": PLACE,
        "create_multipart_upload": PLACE,
        "upload_part": {**PLACE, "UploadId": "u", "PartNumber": 1, "Body": "x"},
        "complete_multipart_upload": {**PLACE, "UploadId": "u", "MultipartUpload": {"Parts": []}},
        "abort_multipart_upload": {**PLACE, "UploadId": "u"},
    },
    "secretsmanager": {"get_secret_value": {"SecretId": "s"}},
    "sqs": {"send_message": {"QueueUrl": "https://sqs.eu-west-1.amazonaws.com/1/q", "MessageBody": "m"}},
    "ssm": {"get_parameter": {"Name": "n", "WithDecryption": True}},
}
CALLING = """
import io, json, sys
from botocore.awsrequest import AWSResponse, HeadersDict
from customers import aws, files
from customers.dynamodb import Table

def answer(request, **_):
    sent.append(request.url)
    raw = io.BytesIO(b"")
    raw.stream = lambda: iter([b"<a/>" if ".s3." in request.url else b"{}"])
    return AWSResponse(request.url, 200, HeadersDict(), raw)

for service, calls in json.loads(sys.argv[1]).items():
    client = Table("t")._client if service == "dynamodb" else aws.client(service)
    client.meta.events.register("before-send", answer)
    for method, parameters in calls.items():
        sent = []
        getattr(client, method)(**parameters)
        print(service, method, *sent)
assert files.Files("bucket").download_link("k", file_name="f").startswith("https://bucket.s3.eu-west-1.amazonaws.com/k?")
assert files.Files("bucket").upload_link("k", content_type="text/csv", max_bytes=1)[0] == "https://bucket.s3.eu-west-1.amazonaws.com/"
"""


def test_the_code_reaches_every_service_that_it_calls(builds: Mapping[Architecture, Build]) -> None:
    """With nothing but the built layer, and the descriptions that are left in it."""
    layer = str(builds[HOST_ARCHITECTURE].layer)
    environment = {"PYTHONPATH": layer, "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    calls = json.dumps(CALLS, default=bytes.decode)
    done = subprocess.run(  # noqa: S603 - our own command line
        [INTERPRETER, "-S", "-c", CALLING, calls],
        env={**environment, "AWS_DEFAULT_REGION": "eu-west-1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    reached = {tuple(line.split()[:2]): line.split()[2:] for line in done.stdout.splitlines()}
    assert reached.keys() == {(service, method) for service, methods in CALLS.items() for method in methods}
    for (service, _), (url,) in reached.items():
        assert url.startswith("https://")
        assert f"{service}.eu-west-1.amazonaws.com/" in url


def test_what_the_code_calls_is_what_is_tried_here() -> None:
    """Each method of a client whose name the layer's code has, whatever it is called on."""
    source = code_of_the_layer()
    for service, methods in CALLS.items():
        description = Session().get_service_model(service)
        named = {xform_name(each) for each in description.operation_names} & set(re.findall(r"\.(\w+)\(", source))
        assert named <= set(methods), service


def test_a_function_is_its_app_and_nothing_else(built: Build) -> None:
    assert len(built.apps) == len(FUNCTIONS)
    for app in built.apps:
        files = {str(path.relative_to(app.parent)) for path in app.parent.rglob("*") if path.is_file()}
        assert files == {"app.py", "__pycache__/app.cpython-313.pyc"}
    assert sorted(app.read_bytes() for app in built.apps) == sorted(
        app.read_bytes() for app in ROOT.glob("functions/*/app.py")
    )


def test_a_library_that_imports_in_another_way_than_expected_stops_the_build(tmp_path: Path) -> None:
    write(tmp_path / "pydantic/plugin/_loader.py", "import importlib.metadata\n")
    with pytest.raises(PruningError, match=r"_loader\.py does not import entry_points as it did"):
        _import_later(tmp_path / "pydantic/plugin/_loader.py", "entry_points")


def test_a_layer_that_may_start_from_snapshots_publishes_versions(built: Build, tmp_path: Path) -> None:
    chosen = Build(tmp_path, built.architecture)
    shutil.copy(built.template, chosen.template)
    tool._choose(chosen, snap_start=True)
    template = load(chosen.template)
    published = {
        name for name, each in template["Resources"].items() if each.get("Properties", {}).get("AutoPublishAlias")
    }
    assert len(published) == len(OPERATIONS)
    for name in published:  # Lambda takes no snapshot of a function with more room on its disk
        properties = template["Resources"][name]["Properties"]
        assert "EphemeralStorage" not in properties
        assert (properties["AutoPublishAliasAllProperties"], properties["VersionDeletionPolicy"]) == (True, "Delete")
    assert template["Resources"]["SharedLayer"]["Properties"]["PublishLambdaVersion"] is True
    assert template["Parameters"]["SnapStart"]["AllowedValues"] == ["true"]
    assert "AutoPublishAlias" not in built.template.read_text()


def test_the_layer_is_far_below_the_limit_of_lambda(built: Build) -> None:
    assert sum(path.stat().st_size for path in built.layer.rglob("*") if path.is_file()) <= LAYER_BYTES


def test_a_built_template_deploys_the_architecture_that_it_was_built_for(built: Build) -> None:
    parameter = (
        built.template.read_text().partition("\nParameters:\n  Architecture:\n")[2].partition("\n  ProtectTable:")[0]
    )
    assert f"    Default: {built.architecture}\n" in f"{parameter}\n"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_built_function_imports_with_only_the_layer_beside_it(
    builds: Mapping[Architecture, Build], function: str
) -> None:
    here = builds[HOST_ARCHITECTURE]
    assert import_problem(here, here.directory / function.title().replace("_", "") / "app.py") is None


# What a check finds

LIBRARY = "left_pad/_native.cpython-313.so"
PYTHON_3_12 = struct.pack("<H2sI", 3531, b"\r\n", UNCHECKED)


@pytest.fixture
def small(tmp_path: Path) -> Build:
    """A build of one function and two packages that is fit for Lambda; its root is beside it."""
    built = Build(tmp_path / "build", HOST_ARCHITECTURE)
    write(
        tmp_path / "layers/shared/requirements.txt",
        "left-pad==1.0 ; os_name != 'nt'\n    # via us\nTop.Level[extra]==2.0.post1\n",
    )
    write(tmp_path / "layers/shared/customers/__init__.py", 'aws.client("sqs")')
    for file in (
        "botocore/data/sqs/service-2.json",
        "left_pad-1.0.dist-info/METADATA",
        "Top_Level-2.0.post1.dist-info/METADATA",
        "customers/__init__.py",
    ):
        write(built.layer / file)
    write(built.layer / LIBRARY, elf(HOST_ARCHITECTURE))
    app_says(built.layer, "import customers\n\n\ndef lambda_handler(): ...\n")
    compiled(built.layer / "customers/__init__.py")
    return built


def write(path: Path, content: str | bytes = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def elf(architecture: Architecture) -> bytes:
    """The head of a shared library."""
    return struct.pack("<4s14xHI", b"\x7fELF", MACHINES[architecture], 1)


def compiled(source: Path) -> None:
    py_compile.compile(str(source), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def recompile(source: Path) -> None:
    """As Python itself would: valid while the source has the time that a zip changes."""
    py_compile.compile(str(source), doraise=True)


def lose(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def rename(path: Path, name: str) -> None:
    path.rename(path.with_name(name))


def app_of(layer: Path) -> Path:
    return layer.parents[1] / "GetCustomer/app.py"


def app_says(layer: Path, text: str) -> None:
    write(app_of(layer), text)
    compiled(app_of(layer))


def test_a_build_that_is_fit_for_lambda_passes(small: Build, tmp_path: Path) -> None:
    check(small, root=tmp_path)


NOT_IMPORTED = "GetCustomer cannot be imported: "


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda layer: lose(layer / "left_pad-1.0.dist-info"), "left-pad 1.0 is not in the layer"),
        (lambda layer: rename(layer / "left_pad-1.0.dist-info", "left_pad-1.1.dist-info"), "left-pad 1.0 is not in"),
        (lambda layer: lose(layer / "Top_Level-2.0.post1.dist-info"), "Top.Level 2.0.post1 is not in the layer"),
        (lambda layer: lose(layer / "customers"), "the package customers is not in the layer"),
        (lambda layer: lose(layer / "botocore"), "botocore's description of sqs is not in the layer"),
        (lambda layer: lose(layer / "left_pad"), "the layer has no shared library at all"),
        (lambda layer: write(layer / LIBRARY, elf(OTHER)), f"{LIBRARY} is for {OTHER}, not {HOST_ARCHITECTURE}"),
        (lambda layer: write(layer / "pad.libs/libz.so.1", elf(OTHER)), f"pad.libs/libz.so.1 is for {OTHER}, not"),
        (lambda layer: write(layer / LIBRARY), f"{LIBRARY} is for another machine, not {HOST_ARCHITECTURE}"),
        (lambda layer: lose(layer / "customers/__pycache__"), "customers/__init__.py has no bytecode"),
        (lambda layer: recompile(layer / "customers/__init__.py"), "customers/__init__.py has no bytecode"),
        (lambda layer: write(bytecode(layer / "customers/__init__.py"), PYTHON_3_12), "customers/__init__.py has no"),
        (lambda layer: lose(app_of(layer).parent / "__pycache__"), "GetCustomer/app.py has no bytecode"),
        (lambda layer: lose(app_of(layer).parent), "no function was built"),
        (lambda layer: app_says(layer, "import left_pad.right"), f"{NOT_IMPORTED}ModuleNotFoundError: No module named"),
        (
            lambda layer: app_says(layer, "import pytest"),
            f"{NOT_IMPORTED}ModuleNotFoundError: No module named 'pytest'",
        ),
        (lambda layer: app_says(layer, "import customers"), f"{NOT_IMPORTED}AttributeError"),
    ],
)
def test_a_build_that_would_fail_on_lambda_does_not_pass(
    small: Build, tmp_path: Path, damage: Callable[[Path], object], problem: str
) -> None:
    damage(small.layer)
    with pytest.raises(BuildError) as error:
        check(small, root=tmp_path)
    assert problem in str(error.value)


def test_a_check_names_all_that_is_wrong(small: Build, tmp_path: Path) -> None:
    for part in ("left_pad-1.0.dist-info", "left_pad", "customers/__pycache__"):
        lose(small.layer / part)
    with pytest.raises(BuildError) as error:
        check(small, root=tmp_path)
    assert len(str(error.value).splitlines()) == 1 + 3


def test_a_build_for_another_machine_is_checked_without_importing_it(small: Build, tmp_path: Path) -> None:
    write(small.layer / LIBRARY, elf(OTHER))
    app_says(small.layer, "import nothing_of_this_name")
    check(Build(small.directory, OTHER), root=tmp_path)


# When a build is made anew


@pytest.fixture
def made_anew(monkeypatch: pytest.MonkeyPatch) -> list[Architecture]:
    """The builds that were made since; each empties its directory, as SAM does."""
    made = list[Architecture]()

    def stub(architecture: Architecture, directory: Path, *, root: Path) -> Build:
        assert root
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir()
        made.append(architecture)
        return Build(directory, architecture)

    monkeypatch.setattr(tool, "build", stub)
    return made


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for file in ("template.yaml", "requirements/sam.txt", "functions/get/app.py", "layers/shared/customers/api.py"):
        write(tmp_path / file, file)
    return tmp_path


@pytest.mark.parametrize(
    "change",
    [
        lambda _root: None,
        lambda root: (root / "template.yaml").touch(),
        lambda root: write(root / "functions/get/__pycache__/app.pyc"),
        lambda root: write(root / "layers/shared/customers.egg-info/PKG-INFO"),
        lambda root: write(root / "tests/test_api.py"),
    ],
)
def test_a_build_is_used_again_while_its_sources_stand(
    project: Path, made_anew: list[Architecture], change: Callable[[Path], object]
) -> None:
    first = up_to_date("arm64", project / "build", root=project)
    change(project)
    assert up_to_date("arm64", project / "build", root=project) == first
    assert made_anew == ["arm64"]


@pytest.mark.parametrize(
    "change",
    [
        lambda root: write(root / "template.yaml", "another"),
        lambda root: write(root / "requirements/sam.txt", "another"),
        lambda root: write(root / "functions/get/app.py", "another"),
        lambda root: write(root / "functions/put/app.py"),
        lambda root: write(root / "layers/shared/requirements.txt"),
        lambda root: lose(root / "layers/shared/customers/api.py"),
        lambda root: (root / "layers/shared/customers/api.py").rename(root / "layers/shared/customers/keys.py"),
        lambda root: lose(root / "build"),
    ],
)
def test_a_build_is_made_anew_when_a_source_has_changed(
    project: Path, made_anew: list[Architecture], change: Callable[[Path], object]
) -> None:
    up_to_date("arm64", project / "build", root=project)
    change(project)
    for _ in range(2):
        up_to_date("arm64", project / "build", root=project)
    assert made_anew == ["arm64", "arm64"]


def test_a_build_is_made_anew_for_another_architecture(project: Path, made_anew: list[Architecture]) -> None:
    for architecture in ("arm64", "x86_64", "x86_64", "arm64"):
        assert up_to_date(architecture, project / "build", root=project).architecture == architecture
    assert made_anew == ["arm64", "x86_64", "arm64"]


def test_a_build_that_failed_is_not_used(
    project: Path, made_anew: list[Architecture], monkeypatch: pytest.MonkeyPatch
) -> None:
    stub = tool.build

    def fail(architecture: Architecture, directory: Path, *, root: Path) -> Build:
        stub(architecture, directory, root=root)
        raise BuildError

    monkeypatch.setattr(tool, "build", fail)
    for _ in range(2):
        with pytest.raises(BuildError):
            up_to_date("arm64", project / "build", root=project)
    assert made_anew == ["arm64", "arm64"]
