"""Whatever the station says, what goes to InfluxDB is line protocol, and says the same."""

from datetime import UTC, datetime, timedelta
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from northbound.feed import Event
from northbound.lines import influx_feed
from tests.factories import a_site
from tests.line_protocol import Point, points_of

SITE = a_site()
FEED = influx_feed(SITE)
SIGNALS = [
    *("grid_kw", "pv_kw", "alarms", "loop.lateness_ms", "plan.solve_ms", "loop.missed"),
    *("battery.soc", "ac1.power_kw", "ac1.age_s", "dc1.errors", "grid.quality", "unknown.signal"),
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
times = st.timedeltas(timedelta(days=7000), timedelta(days=40000)).map(lambda passed: EPOCH + passed)
numbers = st.one_of(st.floats(), st.integers(-(10**15), 10**15), st.booleans())
texts = st.text(max_size=40)
kws = st.one_of(st.none(), st.floats(-1e6, 1e6))


def millis(at: datetime) -> int:
    return (at - EPOCH) // timedelta(milliseconds=1)


def shown(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ").encode("utf-8", "replace").decode()


def told(kind: str, body: dict[str, object], at: datetime, number: int = 1) -> list[Point]:
    message = FEED.of_event(Event(number, at, kind, body))
    assert message is not None
    return points_of(message)


@given(times, st.dictionaries(st.sampled_from(SIGNALS), numbers))
def test_a_record_is_told_once_per_series_and_leaves_out_what_is_not_a_number(
    at: datetime, values: dict[str, float]
) -> None:
    message = FEED.of_record(at, values)
    points = [] if message is None else points_of(message)
    finite = {name: float(value) for name, value in values.items() if isfinite(float(value))}
    finite.pop("unknown.signal", None)
    found = {}
    for point in points:
        assert point.at_ms == millis(at)
        assert point.tags["site"] == SITE.site_id
        for field, value in point.fields.items():
            found[_signal(point, field)] = value
    assert found == finite
    series = [(point.measurement, *sorted(point.tags.items())) for point in points]
    assert len(series) == len(set(series))
    assert message == FEED.of_record(at, values)


def _signal(point: Point, field: str) -> str:
    if point.measurement in ("asset", "device"):
        return f"{point.tags['asset']}.{field}"
    if point.measurement == "loop":
        return {"plan_solve_ms": "plan.solve_ms"}.get(field, f"loop.{field}")
    return field


@given(times, texts, st.booleans(), st.integers(0, 10**9))
def test_any_alarm_is_told_word_for_word(at: datetime, alarm: str, is_raised: bool, number: int) -> None:
    (point,) = told("alarm_raised" if is_raised else "alarm_cleared", {"alarm": alarm}, at, number)
    assert point.fields == {"raised": float(is_raised), "text": shown(alarm)}
    assert 0 <= point.at_ms - millis(at) < 100
    assert point.tags["asset"]


@given(times, texts, st.lists(texts, max_size=3), kws, kws)
def test_any_command_is_told_with_its_reasons(
    at: datetime, asset: str, reasons: list[str], power_kw: float | None, lease_s: float | None
) -> None:
    numbers = {"power_kw": power_kw, "lease_s": lease_s, "makes_room": True}
    (point,) = told("command", {"asset_id": asset, "reasons": reasons, **numbers}, at)
    known = {name: float(value) for name, value in numbers.items() if value is not None}
    assert point.fields == {**known, "reasons": shown("; ".join(reasons))}
    assert point.tags == {"site": SITE.site_id} | (
        {"asset": shown(asset).replace("\\", "/")} if asset else {}
    )


@given(times, texts, texts, kws, st.timedeltas(timedelta(0), timedelta(days=9)))
def test_any_session_is_told_at_its_end(
    at: datetime, session: str, connector: str, requested_kwh: float | None, stay: timedelta
) -> None:
    body = {
        "session_id": session,
        "connector_id": connector,
        "plugged_in_at": (at - stay).isoformat(),
        "unplugged_at": at.isoformat(),
        "energy_kwh": 7,
        "requested_kwh": requested_kwh,
    }
    (point,) = told("session_ended", body, at + timedelta(seconds=1))
    assert point.at_ms == millis(at)
    assert point.fields["energy_kwh"] == 7.0
    assert point.fields["session_id"] == shown(session)
    assert ("requested_kwh" in point.fields) == (requested_kwh is not None)


@given(times, st.lists(kws, max_size=5), st.lists(kws, max_size=5), texts)
def test_a_plan_is_told_slot_by_slot_with_pv_shown_positive(
    at: datetime, grid_kw: list[float | None], pv_kw: list[float | None], note: str
) -> None:
    body = {
        "made_at": at.isoformat(),
        "starts_at": at.isoformat(),
        "slot_s": 900.0,
        "origin": "optimizer",
        "peak_kw": float("nan"),
        "expected_cost": 1,
        "solve_ms": None,
        "note": note,
        "grid_kw": grid_kw,
        "load_kw": [],
        "pv_kw": pv_kw,
    }
    made, *slots = told("plan", body, at)
    assert made.fields == {"expected_cost": 1.0, "note": shown(note)}
    expected = {}
    for name, values, sign in (("grid_kw", grid_kw, 1.0), ("pv_kw", pv_kw, -1.0)):
        for index, value in enumerate(values):
            if value is not None:
                expected[millis(at + index * timedelta(seconds=900)), name] = sign * value
    assert {(slot.at_ms, name): kw for slot in slots for name, kw in slot.fields.items()} == expected
