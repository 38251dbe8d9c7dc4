"""Pages from templates: one file each, nothing fetched."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hil.report.style import DARK, LIGHT, css

TEMPLATES = Path(__file__).parents[1] / "templates"


def page(template: str, **content: Any) -> str:
    """Return a filled template; texts are escaped, the figures' SVG is not."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(light=css(LIGHT), dark=css(DARK), **content)
