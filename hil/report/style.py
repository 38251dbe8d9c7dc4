"""How pictures look: one set of colours, as numbers for files and as CSS variables for pages (light and dark)."""

import re
from collections.abc import Mapping
from io import StringIO
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2430"
FAINT = "#8a90a0"
LOAD = "#a3a8b3"
CHARGING = "#3b82c4"
BATTERY = "#2f9e76"
PV = "#e9a820"
LIMIT = "#cc3d2e"
PEAK = "#8a4fbf"
PRICE = "#e07a5f"
WEAR = "#7a8b99"
GRID = "#1f2431"

LIGHT = {
    INK: "#1f2430",
    FAINT: "#6b7280",
    LOAD: "#a3a8b3",
    CHARGING: "#3b82c4",
    BATTERY: "#2f9e76",
    PV: "#e9a820",
    LIMIT: "#c2311f",
    PEAK: "#8a4fbf",
    PRICE: "#e07a5f",
    WEAR: "#7a8b99",
    GRID: "#10131a",
}
DARK = {
    INK: "#d9dce3",
    FAINT: "#9aa1af",
    LOAD: "#6d7482",
    CHARGING: "#5aa5e8",
    BATTERY: "#41b88c",
    PV: "#f0b93a",
    LIMIT: "#ff7361",
    PEAK: "#c08df0",
    PRICE: "#e07a5f",
    WEAR: "#93a3b1",
    GRID: "#ffffff",
}

RC: Any = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.0,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9.0,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


def variable(colour: str) -> str:
    """Return the CSS variable of a colour."""
    return f"--c{colour[1:]}"


def css(colours: Mapping[str, str]) -> str:
    """Return the declarations of all colours."""
    return " ".join(f"{variable(colour)}: {shown};" for colour, shown in colours.items())


def svg_of(figure: Figure, name: str) -> str:
    """Return a figure as SVG for a page: as wide as its place, its colours left to CSS, the same on every run."""
    text = StringIO()
    with mpl.rc_context({**RC, "svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'<svg ([^>]*?)height="[^"]*" ?', r"<svg \1", svg, count=1)
    svg = re.sub(r'<svg ([^>]*?)width="[^"]*" ?', rf'<svg role="img" aria-label="{name}" \1', svg, count=1)
    for colour in LIGHT:
        svg = svg.replace(colour, f"var({variable(colour)})")
    return svg.replace("'DejaVu Sans'", "system-ui, 'DejaVu Sans', sans-serif")


def light_grid(axes: Axes) -> None:
    """Draw thin lines to read values by."""
    axes.grid(axis="y", color=FAINT, alpha=0.25, linewidth=0.6)
