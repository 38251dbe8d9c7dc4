"""A real Mosquitto with the settings and secrets of ``deploy``: TLS, users, access list, persistence."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from station.sinks import MqttSettings, Secret

DEPLOY = Path(__file__).parents[2] / "deploy"
NEEDED = ("mosquitto", "mosquitto_pub", "openssl")


def search_path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin"


def make_secrets(directory: Path) -> Path:
    """Make all secrets; skip the test where what that needs is not installed."""
    for program in NEEDED:
        if shutil.which(program, path=search_path()) is None:
            pytest.skip(f"{program} is not installed (tests/system_packages.sh installs it as root)")
    secrets = directory / "secrets"
    subprocess.run([DEPLOY / "make_secrets.sh", secrets], check=True, capture_output=True, timeout=60)
    return secrets


@dataclass
class Broker:
    """Mosquitto in a process of its own. It keeps its port and its data when it is started again."""

    directory: Path
    secrets: Path
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None
    changes: dict[str, str] = field(default_factory=dict)
    """Pieces of the settings that a test replaces."""

    def __post_init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        (self.directory / "data").mkdir(parents=True)

    def settings(self, host: str = "localhost", **changes: Any) -> MqttSettings:
        """Return how heliodock reaches it."""
        values: dict[str, Any] = {
            "username": "heliodock",
            "password": Secret(self.secrets / "heliodock_mqtt_password"),
            "ca_file": self.secrets / "ca.crt",
            "interval_s": 1.0,
            "takes_commands": True,
        }
        return MqttSettings(host, self.port, **(values | changes))

    def start(self) -> None:
        """Start it and wait until it listens."""
        text = (DEPLOY / "mosquitto" / "mosquitto.conf").read_text()
        places = {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "/run/secrets": str(self.secrets),
            "/mosquitto/config": str(DEPLOY / "mosquitto"),
            "/mosquitto/data": str(self.directory / "data"),
            "log_dest stdout": f"log_dest file {self.directory / 'log'}",
        }
        for old, new in (places | self.changes).items():
            assert old in text, old
            text = text.replace(old, new)
        if os.geteuid() == 0:
            text += "user root\n"
        conf = self.directory / "mosquitto.conf"
        conf.write_text(text)
        program = shutil.which("mosquitto", path=search_path())
        assert program is not None
        self.process = subprocess.Popen([program, "-c", str(conf)], stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                assert self.process.poll() is None, (self.directory / "log").read_text()
                subprocess.run(["sleep", "0.02"], check=True)
            else:
                return
        raise AssertionError("mosquitto does not listen")

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
            self.process.wait(10.0)
            self.process = None

    def freeze(self) -> None:
        """Stop it where it stands: its socket still takes connections, nobody answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self, user: str = "operator", identifier: str | None = None, **more: Any) -> aiomqtt.Client:
        """Return a client of a user; with an identifier the broker keeps what it misses."""
        return aiomqtt.Client(
            "localhost",
            self.port,
            username=user,
            password=(self.secrets / f"{user}_mqtt_password").read_text().strip(),
            tls_context=ssl.create_default_context(cafile=str(self.secrets / "ca.crt")),
            identifier=identifier,
            clean_session=None if identifier is None else False,
            protocol=aiomqtt.ProtocolVersion.V311,
            timeout=10.0,
            **more,
        )
