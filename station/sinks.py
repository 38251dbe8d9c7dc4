"""Where records go besides the store: the settings of InfluxDB and MQTT. A site may have either, both or none."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a password or token is found: a file, or an environment variable. Never the text itself."""

    file: Path | None = None
    env: str = ""


@dataclass(frozen=True, slots=True)
class InfluxSettings:
    """A server that takes line protocol at ``/api/v2/write``. ``token`` None: it asks for none.

    ``ca_file`` verifies its certificate where the system's store does not. ``timeout_s`` bounds one request.
    """

    url: str
    org: str
    bucket: str
    token: Secret | None = None
    ca_file: Path | None = None
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class MqttSettings:
    """A broker. ``ca_file`` turns TLS on. Device states are published every ``interval_s`` seconds.

    ``takes_commands`` lets ``heliodock/<site>/set/…`` leave requests.
    """

    host: str
    port: int
    username: str = ""
    password: Secret | None = None
    ca_file: Path | None = None
    interval_s: float = 10.0
    takes_commands: bool = False


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What a site sends away."""

    influxdb: InfluxSettings | None = None
    mqtt: MqttSettings | None = None
