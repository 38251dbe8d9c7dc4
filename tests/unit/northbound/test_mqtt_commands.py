"""Commands over MQTT are read strictly: what is not exactly right is refused, and the cause says why."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from northbound.mqtt_commands import Refused, Told, Withdrawal, command_of
from station.limits import Interval
from station.request import Request, RequestKind
from tests.factories import a_site

SITE = a_site()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMIT = "heliodock/test/set/limit"


def text(seconds: float) -> str:
    return (NOW + timedelta(seconds=seconds)).isoformat()


def limit(**changes: Any) -> dict[str, Any]:
    whole = {"id": "c1", "issued_at": text(0), "expires_at": text(3600), "owner": "ann", "max_import_kw": 50}
    return {key: value for key, value in (whole | changes).items() if value is not ...}


def read(
    entries: object, topic: str = LIMIT, *, is_retained: bool = False, pace: float = 1.0
) -> Request | Withdrawal:
    payload = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return command_of(SITE, Told(topic, payload, is_retained), NOW, pace)


def refusal(entries: object, topic: str = LIMIT, **more: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        read(entries, topic, **more)
    return refused.value


def test_a_limit_is_a_wish_of_the_grid_operator_with_owner_and_expiry() -> None:
    assert read(limit()) == Request(
        "c1", RequestKind.OPERATOR_IMPORT_LIMIT, "ann", NOW + timedelta(hours=1), Interval(0.0, 50.0)
    )
    export = read(limit(max_import_kw=..., max_export_kw=0.0))
    assert isinstance(export, Request)
    assert (export.kind, export.interval.max_kw) == (RequestKind.OPERATOR_EXPORT_LIMIT, 0.0)


def test_an_override_is_for_one_asset_and_pv_is_told_positive() -> None:
    wish = limit(max_import_kw=..., min_kw=2.0, max_kw=10.0)
    car, sun = (read(wish, f"heliodock/test/set/asset/{name}") for name in ("ac1", "pv"))
    assert isinstance(car, Request)
    assert isinstance(sun, Request)
    assert (car.kind, car.asset_id, car.interval) == (RequestKind.MANUAL, "ac1", Interval(2.0, 10.0))
    assert sun.interval == Interval(-10.0, -2.0)


def test_a_withdrawal_names_the_wish() -> None:
    told = {"id": "c2", "issued_at": text(0), "owner": "ann", "request_id": "c1"}
    assert read(told, "heliodock/test/set/withdraw") == Withdrawal("c2", "ann", "c1")


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        (b"", "one JSON object"),
        (b"\xff\xfe", "one JSON object"),
        (b"[1]", "one JSON object"),
        (b"{" * 1500, "one JSON object"),
        (b'{"id": "c1", "id": "c2"}', "a key stands twice"),
        (b'{"id": "c1", "owner": "a", "max_import_kw": NaN}', "NaN is no number"),
        (b"x" * 3000, "longer than 2048 bytes"),
        (limit(id=...), "id: "),
        (limit(id="../up"), "id: "),
        (limit(id="x" * 65), "id: "),
        (limit(id=7), "id: "),
        (limit(owner=""), "owner: "),
        (limit(owner="a\nb"), "owner: "),
        (limit(max_kw=3), "unknown key 'max_kw'"),
        (limit(expires_at=...), "missing key expires_at"),
        (limit(max_import_kw=...), "one of max_import_kw and max_export_kw is needed"),
        (limit(max_export_kw=5), "one of max_import_kw and max_export_kw is needed"),
        (limit(max_import_kw="50"), "max_import_kw: a number is needed"),
        (limit(max_import_kw=True), "max_import_kw: a number is needed"),
        (limit(max_import_kw=-1), "must not be negative"),
        (limit(max_import_kw=1e400), "Infinity is no number"),
        (limit(max_import_kw=10**400), "a number of at most"),
        (limit(issued_at=text(-61)), "61 s old by this station's clock"),
        (limit(issued_at=text(6)), "6 s ahead of this station's clock"),
        (limit(issued_at="2026-03-01T12:00:00"), "with its zone"),
        (limit(issued_at=1772366400), "with its zone"),
        (limit(expires_at=text(0)), "is over already"),
        (limit(expires_at=text(-5), issued_at=text(-10)), "is over already"),
        (limit(expires_at=text(1), issued_at=text(2)), "is before issued_at"),
        (limit(expires_at=text(8 * 86400)), "more than 7 days ahead"),
    ],
)
def test_what_is_not_exactly_right_is_refused(entries: object, cause: str) -> None:
    assert cause in refusal(entries).cause


@pytest.mark.parametrize(
    ("topic", "cause"),
    [
        ("heliodock/test/set/asset/ac9", "no asset 'ac9' takes commands"),
        ("heliodock/test/set/asset/grid", "no asset 'grid' takes commands"),
        ("heliodock/test/set/asset", "there is no command at"),
        ("heliodock/test/set/everything", "there is no command at"),
        ("heliodock/test/set/limit/now", "there is no command at"),
    ],
)
def test_a_topic_that_takes_nothing_is_refused(topic: str, cause: str) -> None:
    assert cause in refusal(limit(), topic).cause


def test_a_retained_command_is_refused_whatever_it_says() -> None:
    refused = refusal(limit(), is_retained=True)
    assert (refused.command_id, refused.cause) == ("c1", "a command must not be retained")


def test_a_refusal_keeps_id_and_owner_for_the_acknowledgement() -> None:
    refused = refusal(limit(max_import_kw=-1))
    assert (refused.command_id, refused.owner) == ("c1", "ann")
    assert refusal(b"nonsense").command_id == ""


def test_a_wish_lives_no_longer_than_its_owner_said_whoevers_clock_is_wrong() -> None:
    late = read(limit(issued_at=text(-50), expires_at=text(10)))
    early = read(limit(issued_at=text(4), expires_at=text(64)))
    assert isinstance(late, Request)
    assert isinstance(early, Request)
    assert late.expires_at == NOW + timedelta(seconds=10)
    assert early.expires_at == NOW + timedelta(seconds=60)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(["limit", "asset/ac1", "withdraw", "asset/pv", "x"]),
)
def test_whatever_json_comes_is_read_or_refused(body: object, what: str) -> None:
    entries = limit() | (body if isinstance(body, dict) else {"max_import_kw": body})
    payload = json.dumps(entries).encode()
    try:
        found: Request | Withdrawal | None = command_of(
            SITE, Told(f"heliodock/test/set/{what}", payload, False), NOW
        )
    except Refused:
        found = None
    if found is not None:
        assert isinstance(found, Request)
        assert 0.0 <= found.interval.max_kw <= 1e6


@given(st.binary(max_size=300))
def test_whatever_bytes_come_are_refused(payload: bytes) -> None:
    with pytest.raises(Refused):
        command_of(SITE, Told(LIMIT, payload, False), NOW)
