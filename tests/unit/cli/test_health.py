"""``health`` is 0 only while control is effective."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from northbound.rows import AlarmRaised
from northbound.store import Store
from tests.unit.cli.station import DEMO, heliodock, refusal


def store_of(directory: Path, ages_s: list[float], *alarms: str) -> Path:
    """Return a store in which control was effective so long ago."""
    now_at = datetime.now(UTC)
    store = Store(directory / "store", "demo")
    for age_s in ages_s:
        store.effective(now_at - timedelta(seconds=age_s))
    for alarm in alarms:
        store.enter(AlarmRaised(now_at, alarm))
    assert store.flush()
    store.close()
    return store.directory


def test_control_that_was_effective_just_now_is_healthy(tmp_path: Path) -> None:
    result = heliodock("health", DEMO, "--store", store_of(tmp_path, [1.0]))
    assert (result.exit_code, result.stdout) == (0, "control is effective\n")


@pytest.mark.parametrize(
    ("ages_s", "cause"),
    [([600.0], "s ago, at "), ([], "has never been effective"), ([-3600.0], "in the future")],
    ids=["late", "never", "future"],
)
def test_anything_else_is_not(tmp_path: Path, ages_s: list[float], cause: str) -> None:
    result = heliodock("health", DEMO, "--store", store_of(tmp_path, ages_s))
    assert result.exit_code == 1
    assert cause in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_a_store_nothing_is_healthy(tmp_path: Path) -> None:
    result = heliodock("health", DEMO, "--store", tmp_path / "none")
    assert result.exit_code == 1
    assert "no such store" in result.stderr


def test_standing_alarms_are_named(tmp_path: Path) -> None:
    result = heliodock("health", DEMO, "--store", store_of(tmp_path, [0.0], "lost grid"))
    assert result.exit_code == 0
    assert result.stdout.startswith("alarm: lost grid, since ")


def test_an_unusable_site_is_unusable_input(tmp_path: Path) -> None:
    assert "no such file" in refusal(heliodock("health", tmp_path / "none.yaml"))
