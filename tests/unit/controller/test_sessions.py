"""Who is plugged in."""

from dataclasses import replace
from datetime import timedelta
from math import nan

from controller.judge import judge
from controller.sessions import ended, track
from station.clock import Instant
from station.decision import ConnectorMemory, ControlState
from station.measurement import ConnectorReading, ConnectorState, NoReading, Snapshot
from station.session import Session
from station.topology import Control
from tests.factories import a_site, an_instant, readings

SITE = a_site(ac=1, dc=0, batteries=())
NOW = an_instant()


def plugged(**changes: object) -> ConnectorReading:
    reading = readings(SITE, NOW, cars_kw={"ac1": 3.0})["ac1"]
    assert isinstance(reading, ConnectorReading)
    return replace(reading, **changes)  # type: ignore[arg-type]


def tracked(
    reading: ConnectorReading | NoReading,
    old: Session | None = None,
    *,
    idle_since_s: float | None = None,
    now: Instant = NOW,
    cycle_s: float = 1.0,
) -> Session | None:
    site = replace(SITE, control=Control(cycle_s=cycle_s))
    memory = {"ac1": ConnectorMemory(idle_since_s=idle_since_s)}
    state = ControlState(0.0, sessions={} if old is None else {"ac1": old}, connectors=memory)
    seen = judge(site, Snapshot(now, {"ac1": reading}), now)
    return track(site, state, seen, now).get("ac1")


def a_session(**changes: object) -> Session:
    session = Session("ac1-s", "ac1", NOW.at - timedelta(hours=1), 5.0, None, None, None)
    return replace(session, **changes)  # type: ignore[arg-type]


def test_a_car_that_comes_begins_a_session() -> None:
    session = tracked(plugged(session_kwh=0.2, requested_kwh=20.0, soc=0.4))
    assert session == Session("ac1-s", "ac1", NOW.at, 0.2, 20.0, None, None, soc=0.4)


def test_a_session_goes_on_with_what_the_charger_says() -> None:
    session = tracked(plugged(session_kwh=6.0), a_session())
    assert session is not None
    assert session.plugged_in_at == NOW.at - timedelta(hours=1)
    assert session.delivered_kwh == 6.0


def test_a_session_ends_with_its_car() -> None:
    assert tracked(plugged(state=ConnectorState.FREE), a_session()) is None


def test_a_connector_that_cannot_be_read_keeps_its_session_and_begins_none() -> None:
    assert tracked(NoReading("silent"), a_session()) == a_session()
    assert tracked(NoReading("silent")) is None


def test_another_car_between_two_cycles_is_seen_by_its_name() -> None:
    session = tracked(plugged(session_id="another", session_kwh=0.0), a_session(is_satisfied=True))
    assert session is not None
    assert (session.session_id, session.plugged_in_at, session.is_satisfied) == ("another", NOW.at, False)


def test_a_charger_that_names_no_session_gets_a_name_that_stays() -> None:
    first = tracked(plugged(session_id=None))
    assert first is not None
    assert first.session_id == "ac1@20190916T150000"
    again = tracked(plugged(session_id=None, session_kwh=0.1), first, now=NOW.later(1.0))
    assert again is not None
    assert again.session_id == first.session_id


def test_another_car_at_a_charger_that_names_no_session_is_seen_by_its_energy() -> None:
    old = a_session(session_id="ac1@earlier", delivered_kwh=5.0, is_satisfied=True)
    swapped = tracked(plugged(session_id=None, session_kwh=0.1, power_kw=0.0), old)
    assert swapped is not None
    assert swapped.session_id == "ac1@20190916T150000"
    assert not swapped.is_satisfied
    same = tracked(plugged(session_id=None, session_kwh=4.6), old)
    assert same is not None
    assert same.session_id == "ac1@earlier", "meters jitter"


def test_an_energy_that_is_not_a_number_leaves_the_last_one() -> None:
    session = tracked(plugged(session_kwh=nan), a_session())
    assert session is not None
    assert session.delivered_kwh == 5.0
    first = tracked(plugged(session_kwh=nan))
    assert first is not None
    assert first.delivered_kwh == 0.0


def test_a_car_that_takes_up_no_offer_for_a_minute_is_satisfied() -> None:
    idle = plugged(power_kw=0.0)
    for idle_s, is_satisfied in ((59.0, False), (60.0, True)):
        session = tracked(idle, a_session(), idle_since_s=NOW.mono_s - idle_s)
        assert session is not None
        assert session.is_satisfied is is_satisfied


def test_with_coarse_cycles_a_car_gets_a_whole_one_to_take_up_an_offer() -> None:
    session = tracked(plugged(power_kw=0.0), a_session(), idle_since_s=NOW.mono_s - 100.0, cycle_s=300.0)
    assert session is not None
    assert not session.is_satisfied


def test_a_satisfied_car_stays_so_until_it_draws_again() -> None:
    full = a_session(is_satisfied=True)
    for power_kw, is_satisfied in ((0.0, True), (0.1, True), (0.11, False)):
        session = tracked(plugged(power_kw=power_kw), full)
        assert session is not None
        assert session.is_satisfied is is_satisfied


def test_sessions_that_are_over_go_to_the_history() -> None:
    gone, stays = a_session(requested_kwh=8.0), a_session(session_id="b", connector_id="ac2")
    swapped = {"ac1": replace(gone, session_id="new"), "ac2": stays}
    past = ended({"ac1": gone, "ac2": stays}, swapped, NOW)
    assert [(p.session_id, p.connector_id, p.unplugged_at, p.energy_kwh, p.requested_kwh) for p in past] == [
        ("ac1-s", "ac1", NOW.at, 5.0, 8.0)
    ]
    assert len(ended({"ac1": gone}, {}, NOW)) == 1
