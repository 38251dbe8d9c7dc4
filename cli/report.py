"""``heliodock report``: a month's bill from the store, to the cent."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from cli.arguments import STDOUT
from cli.paths import check_targets, default_store, write_json, write_text
from cli.report_input import Gap, Replay, month_of, replay
from cli.terminal import Column, Table, busy, note, say, show

if TYPE_CHECKING:
    from station.tariff import Tariff

SHOWN_GAPS = 10


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog="Example: heliodock report my.yaml --month 2026-11 --html november.html")(report)


def report(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", show_default=False)],
    *,
    month: Annotated[
        str, typer.Option(metavar="YYYY-MM", help="A calendar month in the tariff's time zone.")
    ],
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The store; else the one beside the site file.")
    ] = None,
    html: Annotated[str | None, typer.Option("--html", metavar="FILE", help="A page with the plot.")] = None,
    json: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="The bill as JSON; - is standard output.")
    ] = None,
) -> None:
    """Replay a month's bill from the recorded grid power, by the site's tariff. Gaps are named and never zero."""
    from configs.load import load_site

    check_targets(html, json)
    wanted = month_of(month)
    loaded = load_site(site)
    tariff, site_id = loaded.site.tariff, loaded.site.site_id
    with busy("reading the store"):
        found = replay(loaded.site, store or default_store(site), wanted)
    for text in warnings(tariff, found):
        note(text)
    if json:
        write_json(json, record_of(site_id, tariff, found))
    tables = _tables(site_id, tariff, found)
    if html:
        write_text(html, _page(site_id, tariff, found, tables))
    if json != STDOUT:
        for table in tables:
            show(table)
        for text in totals(found):
            say(text, "bold")


def warnings(tariff: "Tariff", found: Replay) -> tuple[str, ...]:
    """Return what a reader must know before believing the total."""
    bill = found.invoice
    unfinished = tariff.provenance.warning(tariff.tariff_id)
    texts = [unfinished] if unfinished else []
    if bill.missing:
        texts.append(f"{len(bill.missing)} of {bill.windows} windows are missing and not billed")
        texts += [f"missing: {_gap_words(tariff, gap)}" for gap in found.gaps[:SHOWN_GAPS]]
        if len(found.gaps) > SHOWN_GAPS:
            texts.append(f"missing: {len(found.gaps) - SHOWN_GAPS} more stretches (all are in --json)")
    if found.partly:
        texts.append(f"{len(found.partly)} steps were measured in part; that part stands for the whole step")
    if bill.estimated_windows:
        texts.append(f"{bill.estimated_windows} windows have no published price; their price is estimated")
    return (*texts, *(f"before this month, {text}" for text in bill.notes))


def totals(found: Replay) -> tuple[str, ...]:
    """Return the total in words, and between what sums it lies where part of the record is missing."""
    bill = found.invoice
    total = f"total {bill.total} {bill.currency}"
    if not bill.missing:
        return (total,)
    total += f" for the {bill.windows - len(bill.missing)} windows on record"
    if found.bounds is None:
        return (total, "no limit of the site bounds what the missing windows cost")
    low, high = found.bounds
    return (total, f"within the site's limits the whole month lies between {low} and {high} {bill.currency}")


def _gap_words(tariff: "Tariff", gap: Gap) -> str:
    return f"{_local(tariff, gap.from_at)} to {_local(tariff, gap.until_at)} ({gap.windows} windows)"


def _tables(site_id: str, tariff: "Tariff", found: Replay) -> list[Table]:
    """Return the lines of the bill and its maxima."""
    bill = found.invoice
    year, month = bill.month
    lines = [
        (
            f"{line.name} (estimated)" if line.is_estimated else line.name,
            f"{line.quantity}",
            line.unit,
            f"{line.amount}",
        )
        for line in bill.lines
    ]
    columns = (Column("what"), Column("quantity", True), Column("unit"), Column(tariff.currency, True))
    maxima = [
        (its.name, f"{its.measured}", "" if its.at is None else _local(tariff, its.at), f"{its.billed}")
        for its in bill.maxima
    ]
    names = (Column("highest mean"), Column("kW", True), Column("window began"), Column("billed kW", True))
    title = f"{site_id}: bill of {year}-{month:02d} by tariff {tariff.tariff_id}"
    return [Table(columns, lines, title), Table(names, maxima, "Maxima")]


def _page(site_id: str, tariff: "Tariff", found: Replay, tables: list[Table]) -> str:
    from hil.report.invoice import Sheet, invoice_report

    drawn = [(table.title, [column.name for column in table.columns], table.rows) for table in tables]
    told = warnings(tariff, found)
    return invoice_report(Sheet(site_id, tariff, found.invoice, found.windows, drawn, totals(found), told))


def _local(tariff: "Tariff", at: datetime) -> str:
    return at.astimezone(ZoneInfo(tariff.timezone)).strftime("%Y-%m-%d %H:%M%z")


def record_of(site_id: str, tariff: "Tariff", found: Replay) -> dict[str, Any]:
    """Return the bill as plain data; money has two decimals."""
    bill = found.invoice
    return {
        "site": site_id,
        "tariff": tariff.tariff_id,
        "tariff_complete": tariff.provenance.is_complete,
        "currency": bill.currency,
        "month": f"{bill.month[0]}-{bill.month[1]:02d}",
        "timezone": tariff.timezone,
        "total": float(bill.total),
        "lines": [
            {
                "name": line.name,
                "quantity": float(line.quantity),
                "unit": line.unit,
                "amount": float(line.amount),
                "estimated": line.is_estimated,
            }
            for line in bill.lines
        ],
        "maxima": [
            {
                "name": its.name,
                "at": None if its.at is None else its.at.isoformat(),
                "kw": float(its.measured),
                "billed_kw": float(its.billed),
            }
            for its in bill.maxima
        ],
        "windows": bill.windows,
        "window_s": tariff.demand.window_s,
        "missing_windows": len(bill.missing),
        "missing": [
            {"from": gap.from_at.isoformat(), "until": gap.until_at.isoformat(), "windows": gap.windows}
            for gap in found.gaps
        ],
        "partly_measured": [at.isoformat() for at in found.partly],
        "estimated_windows": bill.estimated_windows,
        "bounds": None if found.bounds is None else [float(total) for total in found.bounds],
        "notes": list(bill.notes),
    }
