"""The verdict language: what a scenario may demand. Small and closed; ``hil.verdict`` judges it.

``never_longer``  no flow (or booking) through a node stays above its limit for longer than ``s`` seconds
``within``        after a moment, an event comes within ``s`` seconds; an event that was there before does not count
``always``        a statement about the books holds in every cycle
``settles``       after a moment, a power reaches a band within ``s`` seconds and stays there while the run lasts
``at_end``        a count or an energy at the end of the run
"""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, Field, model_validator

from configs.schema import Amount, Share, Size, Text
from configs.yaml_lines import Checked

GRID = "grid"
"""The root of the limit tree, and the power at the point of common coupling."""

CHARGING = "charging"
"""All connectors together."""

M = TypeVar("M", bound=Checked)

_MOMENT = re.compile(r"start|fault ([1-9]\d*) (start|end)")


def _moment(text: str) -> str:
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"'start', 'fault N start' or 'fault N end' is expected, not '{text}'")
    return text


Moment = Annotated[str, AfterValidator(_moment)]
"""``start`` of the run, or ``fault N start`` / ``fault N end``; faults count from 1 in the order of the file."""


def fault_of(moment: str) -> tuple[int, bool] | None:
    """Return a moment's fault (from 0) and whether its end is meant; None for the start of the run."""
    found = _MOMENT.fullmatch(moment)
    if found is None or found[1] is None:
        return None
    return int(found[1]) - 1, found[2] == "end"


class NeverLonger(Checked):
    """``what``: ``grid`` or a node; every hard and operator limit of it counts, in kW or A, either direction.

    ``over`` is the share above the limit that is tolerated. ``of: booked`` looks at the worst case that the controller
    has booked instead of what truly flows.
    """

    what: Text
    of: Literal["power", "booked"] = "power"
    over: Share = 0.01
    s: Amount
    from_s: Amount = 0.0


class Event(Checked):
    """Exactly one of these.

    ``alarm``: an alarm that contains the text stands; ``cleared``: none does any more; ``booked``: the asset is no
    longer believed and its booking covers what it truly draws; ``worst_case``: the base load is counted at its
    declared worst (true) or believed again (false).
    """

    alarm: Text | None = None
    cleared: Text | None = None
    booked: Text | None = None
    worst_case: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> "Event":
        return _exactly_one(self, "event")


class Within(Checked):
    """``event`` comes at most ``s`` seconds after the moment."""

    after: Moment
    event: Event
    s: Size


class Always(Checked):
    """``booked_within_limit``: the booked worst case keeps every limit of every node.

    ``lost_covered``: the booking of every asset that is not believed covers what it truly draws or gives.
    """

    what: Literal["booked_within_limit", "lost_covered"]
    from_s: Amount = 0.0


class Settles(Checked):
    """``what``: an asset, ``grid`` or ``charging``; its true power (load convention) enters the band and stays."""

    what: Text
    at_least_kw: float | None = None
    at_most_kw: float | None = None
    after: Moment
    s: Size

    @model_validator(mode="after")
    def _bounded(self) -> "Settles":
        if self.at_least_kw is None and self.at_most_kw is None:
            raise ValueError("needs at_least_kw, at_most_kw or both")
        return self


class AtEnd(Checked):
    """``alarms`` that stand, ``violations`` by the project's own count, or ``delivered_kwh`` of all cars together."""

    what: Literal["alarms", "violations", "delivered_kwh"]
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> "AtEnd":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("needs at_least or at_most")
        return self


class Criterion(Checked):
    """One demand: exactly one of the words of the language."""

    never_longer: NeverLonger | None = None
    within: Within | None = None
    always: Always | None = None
    settles: Settles | None = None
    at_end: AtEnd | None = None

    @model_validator(mode="after")
    def _one(self) -> "Criterion":
        return _exactly_one(self, "criterion")

    @property
    def demand(self) -> NeverLonger | Within | Always | Settles | AtEnd:
        """Return the one that is given."""
        given = (self.never_longer, self.within, self.always, self.settles, self.at_end)
        return next(entry for entry in given if entry is not None)


Criteria = Annotated[tuple[Criterion, ...], Field(min_length=1)]


def _exactly_one(model: M, word: str) -> M:
    given = [name for name in type(model).model_fields if getattr(model, name) is not None]
    if len(given) != 1:
        known = ", ".join(type(model).model_fields)
        raise ValueError(f"one {word} is expected: one of {known}")
    return model
