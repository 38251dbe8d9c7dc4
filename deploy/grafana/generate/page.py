"""A dashboard: its variables, its links to the others, and where its panels stand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders import dashboard as dash
from grafana_foundation_sdk.models.dashboard import (
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    GridPos,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from deploy.grafana.generate.influxql import SOURCE

TAG = "heliodock"
PROVISIONED = VariableOption(text="heliodock", value="heliodock-influxdb")
"""The data source of provisioning/datasources."""

COLUMNS = 24

SITES = 'SHOW TAG VALUES FROM "site" WITH KEY = "site"'
ASSETS = 'SHOW TAG VALUES FROM "asset" WITH KEY = "asset" WHERE "site" = \'$site\''
CONNECTORS = f"{ASSETS} AND \"kind\" = 'connector'"

Column = tuple[int, Sequence[tuple[int, Any]]]
"""A width in grid columns, and panels one below the other, each with its height."""


@dataclass(frozen=True)
class Page:
    """A dashboard as rows of columns of panels. ``refresh`` and the time range are what it opens with."""

    uid: str
    title: str
    about: str
    rows: Sequence[Sequence[Column]]
    begins: str = "now-6h"
    ends: str = "now"
    refresh: str = "10s"
    assets: str = ""
    """The query for the variable ``asset``; empty: the dashboard has none."""

    def build(self) -> Dashboard:
        """Return what Grafana reads."""
        board = dash.Dashboard(self.title).uid(self.uid).description(self.about).tags([TAG])
        board.timezone("browser").time(self.begins, self.ends).refresh(self.refresh).editable()
        board.annotations([]).tooltip(DashboardCursorSync.CROSSHAIR).variables(list(self._variables())).link(
            _to_others()
        )
        for number, (panel, place) in enumerate(self._placed(), start=1):
            board.with_panel(panel.id(number).grid_pos(place))
        return board.build()

    def _variables(self) -> Iterator[Any]:
        source = DataSourceRef(type_val=SOURCE["type"], uid=SOURCE["uid"])
        yield (
            dash.DatasourceVariable("datasource")
            .label("Data source · 数据源")
            .type("influxdb")
            .current(PROVISIONED)
        )
        yield _choice("site", "Site · 站点", SITES, source)
        if self.assets:
            yield _choice("asset", "Asset · 设备", self.assets, source)

    def _placed(self) -> Iterator[tuple[Any, GridPos]]:
        top = 0
        for row in self.rows:
            left, lowest = 0, top
            for width, stack in row:
                y = top
                for height, panel in stack:
                    yield panel, GridPos(h=height, w=width, x=left, y=y)
                    y += height
                left, lowest = left + width, max(lowest, y)
            top = lowest


def across(height: int, *cells: tuple[int, Any]) -> tuple[Column, ...]:
    """Return a row of panels of one height, each with its width."""
    return tuple((width, ((height, panel),)) for width, panel in cells)


def _choice(name: str, label: str, query: str, source: DataSourceRef) -> dash.QueryVariable:
    variable = dash.QueryVariable(name).label(label).query(query).datasource(source)
    return variable.refresh(VariableRefresh.ON_DASHBOARD_LOAD).sort(VariableSort.ALPHABETICAL_ASC)


def _to_others() -> dash.DashboardLink:
    link = dash.DashboardLink("heliodock").type(DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.include_vars(True).keep_time(True).as_dropdown(False)
