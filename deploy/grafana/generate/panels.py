"""The kinds of panel that the dashboards use. Each has a title in both languages, a unit, and says what it means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import common as build
from grafana_foundation_sdk.builders import dashboard as dash
from grafana_foundation_sdk.builders import gauge as gauges
from grafana_foundation_sdk.builders import stat as stats
from grafana_foundation_sdk.builders import statetimeline as timelines
from grafana_foundation_sdk.builders import table as tables
from grafana_foundation_sdk.builders import timeseries as graphs
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from deploy.grafana.generate.influxql import SOURCE, Query
from deploy.grafana.generate.look import CALM, Steps, Style, Words

P = TypeVar("P")
"""A builder of the SDK: its methods return itself, and no common base class says so."""

GAP_MS = 120_000.0
"""A curve goes on over a gap of at most two minutes; a longer one is shown."""

NOW = "2m"
"""What shows the present looks back so far: older than this, it says that there is no data.

Grafana applies it only to time ranges that are relative to now; in the past, such a panel shows the range's end.
"""


@dataclass(frozen=True)
class Text:
    """A panel's title and what it means, in English and Chinese."""

    title: str
    about: str


def graph(
    text: Text,
    *queries: Query,
    unit: str,
    styles: Sequence[Style] = (),
    low: float | None = None,
    **more: Any,
) -> graphs.Panel:
    """Return curves over time. ``more``: ``stacked``, ``bars``, ``high``, ``gap_ms``, ``steps`` (drawn as lines)."""
    panel = _common(graphs.Panel(), text, queries, unit)
    panel.line_width(2).show_points(common.VisibilityMode.NEVER).span_nulls(more.get("gap_ms", GAP_MS))
    panel.fill_opacity(0).gradient_mode(common.GraphGradientMode.NONE)
    panel.legend(_legend()).tooltip(
        build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.NONE)
    )
    if low is not None:
        panel.axis_soft_min(low)
    if "high" in more:
        panel.axis_soft_max(more["high"])
    if more.get("bars"):
        panel.draw_style(common.GraphDrawStyle.BARS).fill_opacity(70)
    if more.get("stacked"):
        panel.stacking(build.StackingConfig().mode(common.StackingMode.NORMAL).group("A")).fill_opacity(40)
    if "steps" in more:
        panel.thresholds(_thresholds(more["steps"]))
        panel.thresholds_style(build.GraphThresholdsStyleConfig().mode(common.GraphTresholdsStyleMode.DASHED))
    return _styled(panel, styles)


def stat(
    text: Text,
    query: Query,
    *,
    unit: str,
    colour: str = CALM,
    steps: Steps = (),
    decimals: int | None = 1,
    **more: Any,
) -> stats.Panel:
    """Return one large number. ``more``: ``is_now`` looks at the present alone, ``field`` chooses another column."""
    panel = _common(stats.Panel(), text, [query], unit)
    panel.graph_mode(common.BigValueGraphMode.NONE).text_mode(common.BigValueTextMode.VALUE)
    panel.color_mode(common.BigValueColorMode.BACKGROUND if steps else common.BigValueColorMode.VALUE)
    panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]).fields(more.get("field", "")))
    panel.thresholds(_thresholds(steps or ((None, colour),)))
    panel.no_value(more.get("no_value", "no data · 无数据"))
    if decimals is not None:
        panel.decimals(decimals)
    if more.get("is_now"):
        panel.time_from(NOW)
    return panel


def gauge(text: Text, query: Query, *, unit: str, steps: Steps, high: float) -> gauges.Panel:
    """Return a dial for the present."""
    panel = _common(gauges.Panel(), text, [query], unit)
    panel.reduce_options(build.ReduceDataOptions().calcs(["lastNotNull"]).fields(""))
    return panel.min(0).max(high).thresholds(_thresholds(steps)).no_value("no data · 无数据").time_from(NOW)


def table(
    text: Text, query: Query, *, styles: Sequence[Style] = (), unit: str = "none", is_now: bool = False
) -> tables.Panel:
    """Return a table; columns without a style of their own have ``unit``."""
    panel = _common(tables.Panel(), text, [query], unit)
    panel.decimals(1).cell_height(common.TableCellHeight.SM).no_value("–")
    if is_now:
        panel.time_from(NOW)
    return _styled(panel, styles)


def timeline(text: Text, query: Query, *, words: Words) -> timelines.Panel:
    """Return a bar for each series, coloured by its state."""
    panel = _common(timelines.Panel(), text, [query], "none")
    panel.mappings(words.mappings()).show_value(common.VisibilityMode.NEVER).merge_values(True)
    panel.line_width(0).row_height(0.85).fill_opacity(80)
    return panel.thresholds(_thresholds(((None, CALM),)))


def _common(panel: P, text: Text, queries: Sequence[Query], unit: str) -> P:
    its: Any = panel
    its.title(text.title).description(text.about).unit(unit)
    its.datasource(DataSourceRef(type_val=SOURCE["type"], uid=SOURCE["uid"]))
    for letter, query in zip("ABCDEFGH", queries, strict=False):
        its.with_target(query.named(letter))
    return panel


def _styled(panel: P, styles: Sequence[Style]) -> P:
    its: Any = panel
    for style in styles:
        its.override_by_name(style.name, style.properties())
    return panel


def _legend() -> build.VizLegendOptions:
    legend = build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    return legend.placement(common.LegendPlacement.BOTTOM).show_legend(True).calcs([])


def _thresholds(steps: Steps) -> dash.ThresholdsConfig:
    found = [Threshold(value=value, color=colour) for value, colour in steps]
    return dash.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def palette(panel: graphs.Panel) -> graphs.Panel:
    """Return the panel with a colour of Grafana's own for each series: where there are as many as there are assets."""
    return panel.color_scheme(dash.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC_BY_NAME))


def shades(panel: graphs.Panel, colour: str) -> graphs.Panel:
    """Return the panel with shades of one colour: where all its series are the same kind of thing."""
    return panel.color_scheme(dash.FieldColor().mode(FieldColorModeId.SHADES).fixed_color(colour))
