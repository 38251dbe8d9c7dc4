"""The generated files and their text."""

import io
import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from ruamel.yaml import YAML

from deploy.grafana.generate.alerts import provisioned
from deploy.grafana.generate.boards import PAGES

HOME = Path(__file__).parents[1]
RULES = "provisioning/alerting/rules.yaml"

HEAD = """\
# Alert rules of heliodock, made by `python -m deploy.grafana.generate`: edit generate/alerts.py, not this file.
# Route them by the label `severity` (critical, warning, info); who is told is not provisioned here.
"""


def made() -> dict[str, str]:
    """Return path below ``HOME`` and text of every generated file."""
    boards = {f"dashboards/{page.uid}.json": _json(page.build()) for page in PAGES}
    return {**boards, RULES: HEAD + _yaml(provisioned())}


def _json(board: object) -> str:
    return json.dumps(board, cls=JSONEncoder, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _yaml(data: object) -> str:
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.allow_unicode = True
    yaml.width = 4096
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    stream = io.StringIO()
    yaml.dump(data, stream)
    return stream.getvalue()
