"""The part of a site file that says where records go: InfluxDB and MQTT."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from configs.yaml_lines import Checked
from station.sinks import InfluxSettings, MqttSettings, Secret, SinkSettings

Text = Annotated[str, Field(min_length=1)]
Seconds = Annotated[float, Field(gt=0, le=300)]


class SecretModel(Checked):
    """Where a secret is: ``{file: …}`` or ``{env: …}``. A secret itself never stands in a site file."""

    file: Text | None = None
    env: Text | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.env is None):
            raise ValueError("one of 'file' and 'env' is expected")
        return self


class InfluxModel(Checked):
    """A server that takes line protocol at ``/api/v2/write``."""

    url: str = Field(pattern=r"^https?://[^/\s]+$")
    org: Text = "heliodock"
    bucket: Text = "heliodock"
    token: SecretModel | None = None
    ca_file: Text | None = None
    timeout_s: Seconds = 10.0


class MqttModel(Checked):
    """A broker; ``ca_file`` turns TLS on."""

    host: Text
    port: int = Field(1883, ge=1, le=65535)
    username: str = ""
    password: SecretModel | None = None
    ca_file: Text | None = None
    interval_s: Seconds = 10.0
    takes_commands: bool = False


class SinksModel(Checked):
    """Where records go besides the store."""

    influxdb: InfluxModel | None = None
    mqtt: MqttModel | None = None


def sink_settings(site_file: Path, model: SinksModel) -> SinkSettings:
    """Return the settings; relative files are beside the site file."""
    influx, mqtt = model.influxdb, model.mqtt
    return SinkSettings(
        influxdb=None
        if influx is None
        else InfluxSettings(
            url=influx.url,
            org=influx.org,
            bucket=influx.bucket,
            token=_secret(site_file, influx.token),
            ca_file=_file(site_file, influx.ca_file),
            timeout_s=influx.timeout_s,
        ),
        mqtt=None
        if mqtt is None
        else MqttSettings(
            host=mqtt.host,
            port=mqtt.port,
            username=mqtt.username,
            password=_secret(site_file, mqtt.password),
            ca_file=_file(site_file, mqtt.ca_file),
            interval_s=mqtt.interval_s,
            takes_commands=mqtt.takes_commands,
        ),
    )


def _secret(site_file: Path, model: SecretModel | None) -> Secret | None:
    return None if model is None else Secret(_file(site_file, model.file), model.env or "")


def _file(site_file: Path, name: str | None) -> Path | None:
    return None if name is None else site_file.parent / name
