"""Imports on the command line: the job's id at once, or its result with --wait."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import INIT, Run, data, run
from tests.features.test_cli import said, words

__all__ = ["data", "run"]

CSV = json.dumps({"csv": "email\na@b.test\nc@d.test\nbad\n"})
RESULT = {"imported": 2, "updated": 0, "skipped": 0, "failed": 1}


def counts(result: dict[str, Any]) -> dict[str, Any]:
    return {name: result[name] for name in RESULT}


def test_an_import_answers_with_its_job_and_says_who_will_do_it(run: Run) -> None:
    run(*INIT)
    answer = run("call", "import_leads_csv", "--json", CSV)
    job = said(answer)
    assert (set(job), job["state"], job["total"]) == ({"jobId", "state", "total"}, "waiting", 3)
    assert "postrider serve" in words(answer.stderr) and "--wait" in answer.stderr and job["jobId"] in answer.stderr
    assert said(run("call", "get_job", "--json", json.dumps({"id": job["jobId"]})))["state"] == "waiting"


def test_with_wait_the_import_is_done_here_and_its_result_printed(run: Run) -> None:
    run(*INIT)
    assert counts(said(run("call", "import_leads_csv", "--json", CSV, "--wait"))) == RESULT
    assert said(run("call", "list_leads"))["total"] == 2


def test_a_job_that_waits_can_be_cancelled(run: Run) -> None:
    run(*INIT)
    job = said(run("call", "import_leads_csv", "--json", CSV))
    cancelled = said(run("call", "cancel_job", "--json", json.dumps({"id": job["jobId"]})))
    assert (cancelled["state"], counts(cancelled["result"])) == ("cancelled", dict.fromkeys(RESULT, 0))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "postrider", *arguments]


@contextmanager
def process(data: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    environment = os.environ | {"POSTRIDER_DATA_DIR": str(data)}
    with subprocess.Popen(
        command(*arguments), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        try:
            yield started
        finally:
            if started.poll() is None:
                started.kill()


@pytest.mark.timeout(90)
def test_ctrl_c_cancels_the_import_and_keeps_what_was_finished(run: Run, data: Path, tmp_path: Path) -> None:
    run(*INIT)
    file = tmp_path / "leads.csv"
    file.write_text("email\n" + "".join(f"p{number}@b.test\n" for number in range(50_000)))
    given = ("--json", '{"skipDuplicates": false}', "--file", str(file), "--wait")
    with process(data, "call", "import_leads_csv", *given) as importing:
        with closing(sqlite3.connect(data / "postrider.sqlite3")) as database:
            while not database.execute("SELECT 1 FROM jobs WHERE done > 0").fetchone():
                assert importing.poll() is None
        importing.send_signal(signal.SIGINT)
        printed, complaints = importing.communicate(timeout=60)
    job = json.loads(printed)
    assert (importing.returncode, job["state"]) == (130, "cancelled"), complaints
    assert 0 < job["result"]["imported"] == job["done"] < job["total"]
    assert said(run("call", "list_leads"))["total"] == job["done"]


@pytest.mark.timeout(90)
def test_with_wait_an_import_that_an_engine_does_is_followed(run: Run, data: Path) -> None:
    run(*INIT)
    with process(data, "engine") as engine:
        with closing(sqlite3.connect(data / "postrider.sqlite3")) as database:
            while not database.execute("SELECT 1 FROM engine_leases").fetchone():
                assert engine.poll() is None
        with process(data, "call", "import_leads_csv", "--json", CSV, "--wait") as importing:
            printed, complaints = importing.communicate(timeout=60)
        assert importing.returncode == 0, complaints
        assert counts(json.loads(printed)) == RESULT
        engine.send_signal(signal.SIGTERM)
        engine.communicate(timeout=40)
