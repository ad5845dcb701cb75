"""A real Airflow in an environment of its own, for three shops of this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.orchestrate.many import Many, many
from tests.orchestrate.servers import STATE_SERVERS
from tests.pipeline.meltano_project import ROOT, SCRIPTS, quiet_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST_SECONDS = 400


class Airflow:
    """An installed Airflow and a database of its own."""

    def __init__(self, scripts: Path, home: Path) -> None:
        self.scripts, self.home = scripts, home
        self.environment = quiet_environment() | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "project" / "orchestrate" / "dags"),
        }

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a script of Airflow's environment and what it starts, as a group of processes of its own."""
        with (self.home / "said").open("wb") as said:
            return subprocess.Popen(
                [self.scripts / name, *arguments],
                env=self.environment | {"PATH": f"{self.scripts}{os.pathsep}{self.environment['PATH']}"},
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def run(self, *arguments: object, **more: str) -> str:
        """Run a script of Airflow's environment; returns what it wrote, a failure shows it."""
        name, *rest = arguments
        done = subprocess.run(
            [self.scripts / str(name), *map(str, rest)],
            env=self.environment | more,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow as docs/scale.md installs it: in an environment of its own, by its own pins."""
    uv, place = SCRIPTS / "uv", tmp_path_factory.mktemp("airflow") / "venv"
    subprocess.run([uv, "venv", "--quiet", "--python", SCRIPTS / "python", place], check=True)
    pins = ROOT / "orchestrate" / "requirements-airflow.txt"
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--requirement", pins, "--python", place]
    subprocess.run(install, check=True)
    return place / "bin"


@pytest.fixture
def airflow(scripts: Path, tmp_path: Path) -> Airflow:
    shutil.copytree(ROOT / "orchestrate" / "dags", tmp_path / "project" / "orchestrate" / "dags")
    return Airflow(scripts, tmp_path)


@pytest.fixture
def three(airflow: Airflow) -> Iterator[Many]:
    with STATE_SERVERS["s3"]() as place, many(airflow.home / "project", place, count=3) as stores:
        airflow.environment |= stores.project.environment
        (airflow.home / "project" / "orchestrate" / "stores.yml").write_text(yaml.safe_dump(stores.stores))
        airflow.run("airflow", "db", "migrate")
        yield stores
