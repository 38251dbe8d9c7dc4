"""Mosquitto's settings are taken by the real broker, and the compose file gives it every file that they name."""

import re
import time
from pathlib import Path

from tests.deploy.compose import DEPLOY, SERVICES
from tests.wire.broker import Broker, make_secrets


def test_the_real_broker_takes_settings_access_list_and_secrets_without_a_complaint(tmp_path: Path) -> None:
    broker = Broker(tmp_path / "broker", make_secrets(tmp_path))
    log = tmp_path / "broker" / "log"
    broker.start()
    # start() only looks whether the port is open, which is no TLS handshake: that is said, so the log is written
    expected = "Client connection from 127.0.0.1 failed"
    for _ in range(200):
        if log.exists() and expected in log.read_text():
            break
        time.sleep(0.05)
    broker.stop()
    said = log.read_text().splitlines()
    assert any(expected in line for line in said)
    assert [line for line in said if expected not in line] == []


def test_every_file_that_the_settings_name_is_mounted() -> None:
    text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
    named = set(re.findall(r"^[a-z_]+ (/\S+)$", text, re.MULTILINE))
    service = SERVICES["mosquitto"]
    mounted = {f"/run/secrets/{name}" for name in service["secrets"]}
    mounted |= {"/mosquitto/config/" + file.name for file in (DEPLOY / "mosquitto").iterdir()}
    mounted |= {
        volume.split(":")[1] + "/" for volume in service["volumes"] if volume.startswith("mosquitto-")
    }
    assert named <= mounted
    assert re.search(r"^listener (\d+)$", text, re.MULTILINE)[1] in service["ports"][0]  # type: ignore[index]
