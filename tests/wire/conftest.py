"""Real servers that tests of the sinks share; a test is skipped where one is not installed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wire.broker import Broker, make_secrets
from tests.wire.timeseries import influxdb, victoria_metrics

INSTALL = "is not installed (tests/system_packages.sh installs it as root)"


@pytest.fixture(scope="session")
def influxdb_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a real InfluxDB 1.6.7."""
    program = shutil.which("influxd")
    if program is None:
        pytest.skip(f"influxd {INSTALL}")
    with influxdb(program, tmp_path_factory.mktemp("influxdb")) as port:
        yield port


@pytest.fixture
def victoria_port(tmp_path: Path) -> Iterator[int]:
    """Give the port of a real VictoriaMetrics that counts equal points once."""
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip(f"victoria-metrics {INSTALL}")
    with victoria_metrics(program, tmp_path) as port:
        yield port


@pytest.fixture(scope="session")
def mqtt_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with all secrets of the deployment."""
    return make_secrets(tmp_path_factory.mktemp("mqtt"))


@pytest.fixture
def broker(tmp_path: Path, mqtt_secrets: Path) -> Iterator[Broker]:
    """Give a real Mosquitto that runs."""
    broker = Broker(tmp_path / "broker", mqtt_secrets)
    broker.start()
    yield broker
    broker.stop()
