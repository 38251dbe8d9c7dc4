"""The compose file as data, for the tests of deploy/."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def read_yaml(file: Path) -> dict[str, Any]:
    """Return a YAML file with its merge keys (``<<``) resolved."""
    loaded: dict[str, Any] = YAML(typ="safe", pure=True).load(file)
    return loaded


COMPOSE = read_yaml(DEPLOY / "compose.yaml")
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
