"""The page on a run: what was demanded, what came of it, and the picture. One file, nothing fetched."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hil.report.page import TEMPLATES
from hil.report.style import DARK, LIGHT, css, svg_of
from hil.verdict import Result, Verdict
from hil.verdict_figure import run_figure

PAGE = """\
{% extends "page.html" %}
{% block content %}
<style>
.passed { color: var(--c2f9e76); font-weight: 600; } .failed, .void { color: var(--ccc3d2e); font-weight: 600; }
td:nth-child(2), th:nth-child(2), td:last-child, th:last-child { text-align: left; white-space: normal; }
</style>
{% for cause in void_causes %}<p class="void">void: {{ cause }}</p>{% endfor %}
<div class="wide"><table>
<thead><tr>{% for name in headings %}<th scope="col">{{ name }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in rows %}
<tr><td class="{{ row[0] }}">{{ row[0] }}</td>{% for text in row[1:] %}<td>{{ text }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table></div>
<figure>{{ figure|safe }}</figure>
<h2>Faults</h2>
<div class="wide"><table>
<thead><tr><th>fault</th><th>from</th><th>for</th><th>exchanges hit</th><th>first</th><th>last</th></tr></thead>
<tbody>{% for row in faults %}<tr>{% for text in row %}<td>{{ text }}</td>{% endfor %}</tr>{% endfor %}</tbody>
</table></div>
<p class="note">{{ note }}</p>
{% endblock %}
"""
HEADINGS = ("", "criterion", "value", "limit", "margin", "first breach", "note")
NOTE = (
    "The true powers are the plant's own, at its step; the controller never sees them. The booked worst case is the sum"
    " of what every device may do by its live lease or its fallback, and the true base load. Repeat with: "
)


def report_html(verdict: Verdict) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    model, trace = verdict.scenario.model, verdict.trace
    command = f"heliodock hil run {verdict.scenario.file.name} --rig {verdict.rig} --seed {model.seed}"
    facts = [
        ("verdict", verdict.status.value),
        ("rig", verdict.rig.value),
        ("seed", str(model.seed)),
        ("covers", ", ".join(model.covers)),
        ("site", trace.site.site_id),
        ("starts at", model.start.isoformat()),
        ("length", f"{model.duration_s:g} s"),
        ("latest cycle", f"{trace.late_ms:.0f} ms"),
    ]
    return environment.from_string(PAGE).render(
        light=css(LIGHT),
        dark=css(DARK),
        title=f"{model.id}: {model.title}",
        facts=facts,
        void_causes=verdict.void_causes,
        headings=HEADINGS,
        rows=[result_row(result) for result in verdict.results],
        figure=svg_of(run_figure(trace), f"{model.id}-{verdict.rig}"),
        faults=[
            (
                f"{log.fault.on} {log.fault.kind.value}",
                f"{log.fault.at_s:g} s",
                f"{log.fault.for_s:g} s",
                str(log.hits),
                _seconds(log.first_s),
                _seconds(log.last_s),
            )
            for log in trace.faults
        ],
        note=NOTE + command,
    )


def result_row(result: Result) -> tuple[str, ...]:
    """Return a result as texts: verdict, criterion, value, limit, margin, first breach, note."""
    return (
        "passed" if result.has_passed else "failed",
        result.text,
        _number(result.value, result.unit),
        _number(result.limit, result.unit),
        _number(result.margin, result.unit),
        _seconds(result.breach_s),
        result.note,
    )


def _number(value: float | None, unit: str) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:g} {unit}".strip()


def _seconds(second_s: float | None) -> str:
    return "" if second_s is None else f"{second_s:g} s"
