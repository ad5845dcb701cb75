"""Where a run has its receipts, as the task of Airflow and the container of the CronJob start it."""

from __future__ import annotations

import os
import subprocess
from datetime import date
from typing import TYPE_CHECKING

import pytest
import yaml

from orchestrate.dags.store_runs import COMMAND, backfill_runs, shell_line, store_runs
from tests.pipeline.meltano_project import ROOT

if TYPE_CHECKING:
    from pathlib import Path

DATABASE = "postgresql+psycopg://user:secret@db/meltano"
OWN = "postgresql://user:secret@db/receipts"
STORES = [{"store": "acme-eu", "access_token_env": "SHOPIFY_ACME_EU_TOKEN"}]
JOB = list(yaml.safe_load_all((ROOT / "orchestrate/kubernetes/cronjob.yaml").read_text()))[1]
(CONTAINER,) = JOB["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
STARTS = {"airflow": ["bash", "-c", shell_line(COMMAND)], "kubernetes": CONTAINER["command"]}


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS.keys())
@pytest.mark.parametrize(
    ("variables", "receipts"),
    [
        ({"MELTANO_DATABASE_URI": DATABASE}, DATABASE),
        ({"MELTANO_DATABASE_URI": DATABASE, "TARGET_POSTHOG_RECEIPTS": ""}, DATABASE),
        ({"MELTANO_DATABASE_URI": DATABASE, "TARGET_POSTHOG_RECEIPTS": OWN}, OWN),
        ({"TARGET_POSTHOG_RECEIPTS": OWN}, OWN),
        ({}, ""),
    ],
)
def test_receipts_are_beside_the_state_unless_they_have_a_place_of_their_own(
    tmp_path: Path, start: list[str], variables: dict[str, str], receipts: str
) -> None:
    stub = tmp_path / ".venv" / "bin" / "meltano"
    stub.parent.mkdir(parents=True)
    stub.write_text('#!/bin/sh\necho "$*|$TARGET_POSTHOG_RECEIPTS"\n')
    stub.chmod(0o755)
    environment = {"PATH": f"{stub.parent}{os.pathsep}{os.defpath}"} | variables
    done = subprocess.run(start, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"run sync|{receipts}"


def test_a_state_in_a_file_is_no_place_of_receipts(tmp_path: Path) -> None:
    line = shell_line("sh -c 'echo \"$TARGET_POSTHOG_RECEIPTS\"'")
    environment = {"PATH": os.defpath, "MELTANO_DATABASE_URI": "sqlite:///meltano.db"}
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == ""


def test_no_password_is_in_the_environment_of_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELTANO_DATABASE_URI", DATABASE)
    tasks = store_runs(STORES, 40) + backfill_runs(STORES, date(2026, 9, 1), date(2026, 11, 1), 250)
    assert "secret" not in str(tasks), "Airflow keeps it as XCom, and shows it in the log and as rendered template"


def test_nothing_of_the_cronjob_hides_what_the_secret_says() -> None:
    """Kubernetes lets `env` win over `envFrom`."""
    assert "env" not in CONTAINER
