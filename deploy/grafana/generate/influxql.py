"""Queries in InfluxQL on the schema that heliodock writes.

Every query of a panel names one site and the panel's time range. Names after AS are what a legend or a column says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery

SOURCE = {"type": "influxdb", "uid": "${datasource}"}
SHOWN = "\"site\" = '$site' AND $timeFilter"
"""What every query of a panel asks for."""

ONE_ASSET = "\"asset\" = '$asset'"


@dataclass(frozen=True)
class Query(Builder[Dataquery], Dataquery):
    """A query; the SDK has no class for InfluxQL."""

    text: str
    alias: str = ""
    is_table: bool = False
    ref: str = "A"

    def build(self) -> "Query":
        """Return what the SDK puts into a panel."""
        return self

    def named(self, ref: str) -> "Query":
        """Return the same query under another letter."""
        return replace(self, ref=ref)

    def to_json(self) -> dict[str, object]:
        """Return what Grafana's InfluxDB data source reads."""
        return {
            "refId": self.ref,
            "datasource": SOURCE,
            "rawQuery": True,
            "query": self.text,
            "resultFormat": "table" if self.is_table else "time_series",
            "alias": self.alias,
        }


def trend(
    measurement: str, columns: Mapping[str, str], *, where: str = "", by: str = "", function: str = "mean"
) -> Query:
    """Return a curve for each column (name: field or expression): means per interval, with gaps where nothing was told.

    ``by`` is a tag: then there is one column, and a curve for each value of the tag.
    """
    chosen = ", ".join(f'{_aggregated(function, what)} AS "{name}"' for name, what in columns.items())
    group = f'time($__interval), "{by}"' if by else "time($__interval)"
    text = f'SELECT {chosen} FROM "{measurement}" WHERE {_shown(where)} GROUP BY {group} fill(null)'
    return Query(text, alias=f"$tag_{by}" if by else "$col")


def raw(measurement: str, columns: Mapping[str, str], *, where: str = "") -> Query:
    """Return a curve for each column (name: field) through its very points: for what has few of them."""
    chosen = ", ".join(f'"{what}" AS "{name}"' for name, what in columns.items())
    return Query(f'SELECT {chosen} FROM "{measurement}" WHERE {_shown(where)}', alias="$col")


def figure(measurement: str, expression: str, *, where: str = "", name: str = "value") -> Query:
    """Return one number for the whole time range."""
    return Query(f'SELECT {expression} AS "{name}" FROM "{measurement}" WHERE {_shown(where)}', alias="$col")


def latest(measurement: str, columns: Mapping[str, str], *, by: str, where: str = "") -> Query:
    """Return a table with a row for each value of a tag: the newest value of each column (name: field).

    One tag only: with two, Grafana mixes up their columns (``handleTableFormatTagFields`` walks an unordered map).
    """
    chosen = ", ".join(f'last("{what}") AS "{name}"' for name, what in columns.items())
    text = f'SELECT {chosen} FROM "{measurement}" WHERE {_shown(where)} GROUP BY "{by}"'
    return Query(text, is_table=True)


def listing(measurement: str, columns: Mapping[str, str], *, where: str = "", most: int = 200) -> Query:
    """Return a table of the newest points, newest first; columns (name: field or tag)."""
    chosen = ", ".join(f'"{what}" AS "{name}"' for name, what in columns.items())
    text = f'SELECT {chosen} FROM "{measurement}" WHERE {_shown(where)} ORDER BY time DESC LIMIT {most}'
    return Query(text, is_table=True)


def positive(power: str, sign: str = "+") -> str:
    """Return the part of a field that is above zero (``-``: below it, as a positive number): (|x| ± x) / 2."""
    return f'(abs("{power}") {sign} "{power}") / 2'


def energy(measurement: str, power: str, *, where: str = "") -> str:
    """Return the energy in kWh of a power expression, as a subquery that gives ``kwh``."""
    inner = f'SELECT {power} AS "kw" FROM "{measurement}" WHERE {_shown(where)}'
    return f'SELECT integral("kw", 1h) AS "kwh" FROM ({inner})'


def _shown(where: str) -> str:
    return f"{where} AND {SHOWN}" if where else SHOWN


def _aggregated(function: str, what: str) -> str:
    """Return an aggregate of a field; an expression that has its own functions stays as it is."""
    return what if "(" in what else f'{function}("{what}")'
