"""The demonstration from the command line: real sockets, a real solver process, an hour of station time."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def demo(*args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "cli.main", "demo", *args],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


@pytest.mark.slow
def test_an_hour_of_the_demonstration_ends_with_the_four_rows_and_no_violation(tmp_path: Path) -> None:
    ended = demo("--headless", "--no-console", "--hours", "1", "--at", "06:00", "--out", str(tmp_path))
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout
    rows = [line.split() for line in ended.stdout.splitlines()]
    table = {row[0]: row[1:] for row in rows if row and row[0] in {"uncontrolled", "rules", "ours", "bound"}}
    assert list(table) == ["uncontrolled", "rules", "ours", "bound"]
    assert table["ours"][-2] == "0"
    assert float(table["ours"][2]) > 5.0
    assert "no saving is claimed" in ended.stdout
    assert "<html" in (tmp_path / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--speed", "241"), "--speed: must be between 1 and 240"),
        (("--speed", "0.5"), "--speed: must be between 1 and 240"),
        (("--hours", "0.1"), "--hours: must be a positive multiple of 0.25"),
        (("--day", "2019-13-01"), "--day/--at"),
        (("--day", "2031-01-01"), "has no rows for"),
    ],
)
def test_what_cannot_be_played_is_one_line_and_status_2(args: tuple[str, ...], words: str) -> None:
    ended = demo("--headless", *args)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1
    assert words in ended.stderr
