"""The compose file is valid, pins every image, gives nobody privileges, and mounts only what is there."""

import json
import re
import subprocess
from pathlib import Path

import jsonschema
import pytest

from configs.load import load_site
from tests.deploy.compose import COMPOSE, DEPLOY, ROOT, SERVICES, read_yaml

SCHEMA = json.loads((Path(__file__).parent / "compose_spec.json").read_text(encoding="utf-8"))
LOCAL_PORT = re.compile(r"127\.0\.0\.1:\d+:\d+")

services = pytest.mark.parametrize("name", SERVICES)


def test_the_file_obeys_the_compose_specification() -> None:
    # "name" came to the specification after this schema was published
    known = {key: value for key, value in COMPOSE.items() if key != "name"}
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(known, SCHEMA, jsonschema.Draft7Validator)


def test_the_schema_would_find_a_misspelt_key() -> None:
    broken = {"services": {"a": {"image": "a:1", "cap_dropp": ["ALL"]}}}
    with pytest.raises(jsonschema.ValidationError, match="cap_dropp"):
        jsonschema.validate(broken, SCHEMA, jsonschema.Draft7Validator)


@services
def test_every_image_is_pinned_to_a_full_version(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:\d+\.\d+\.\d+(-alpine)?", SERVICES[name]["image"])


@services
def test_no_service_has_privileges_or_writes_its_root(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid", "ipc"} & set(service)
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"])


@services
def test_every_service_is_restarted_and_says_whether_it_is_well(name: str) -> None:
    assert SERVICES[name]["restart"] == "unless-stopped"
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@services
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    assert all(LOCAL_PORT.fullmatch(port) for port in SERVICES[name].get("ports", []))


@services
def test_what_is_mounted_is_in_the_repository_read_only_or_a_named_volume(name: str) -> None:
    for mounted in SERVICES[name]["volumes"]:
        source, _, *options = mounted.split(":")
        if source.startswith("."):
            assert options == ["ro"]
            assert (DEPLOY / source).exists(), mounted
        else:
            assert source in COMPOSE["volumes"]


def test_a_secret_that_a_service_reads_is_mounted_into_it() -> None:
    files = {"heliodock": DEPLOY / "site.yaml", "influxdb": DEPLOY / "influxdb" / "grafana-user.sh"}
    for name, service in SERVICES.items():
        text = json.dumps(service) + (files[name].read_text(encoding="utf-8") if name in files else "")
        read = set(re.findall(r"/run/secrets/([\w.]+)", text))
        assert read <= set(service.get("secrets", [])), name


def test_scripts_that_containers_run_are_executable() -> None:
    scripts = [DEPLOY / "make_secrets.sh", DEPLOY / "image_test.sh", *(DEPLOY / "influxdb").glob("*.sh")]
    assert all(script.stat().st_mode & 0o111 == 0o111 for script in scripts)
    for script in scripts:
        subprocess.run(["bash", "-n", script], check=True)


def test_the_station_is_the_demonstration_on_other_hosts() -> None:
    demo, deployed = (load_site(file) for file in (ROOT / "configs/stations/demo.yaml", DEPLOY / "site.yaml"))
    assert deployed.site == demo.site
    assert {device.host for device in deployed.devices} == {SERVICES["emulator"]["hostname"]}
    texts = [read_yaml(file) for file in (ROOT / "configs/stations/demo.yaml", DEPLOY / "site.yaml")]
    for text in texts:
        text.pop("northbound", None)
        for device in text["devices"]:
            del device["host"]
    assert texts[0] == texts[1]


def test_it_sends_to_the_services_of_this_file() -> None:
    sinks = load_site(DEPLOY / "site.yaml").sinks
    assert sinks.influxdb is not None
    assert sinks.mqtt is not None
    assert sinks.mqtt.host in SERVICES
    assert sinks.influxdb.url == "http://influxdb:8086"
    settings = SERVICES["influxdb"]["environment"]
    assert sinks.influxdb.org == settings["DOCKER_INFLUXDB_INIT_ORG"]
    assert sinks.influxdb.bucket == settings["DOCKER_INFLUXDB_INIT_BUCKET"]
