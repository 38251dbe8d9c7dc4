"""How SunSpec models carry a setpoint, its timer and what the device does once that has run out. Pure.

Powers are in W, positive for generation and discharge, as SunSpec counts them. A setpoint is written in the order
that the standard asks for: the value, the timer, and the enable point last; that also starts the timer anew. What is
read back as the setpoint is what is in force: a value that is not enabled is none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from drivers.sunspec_block import Block

BlockOf = Callable[[int], Block | None]
"""Gives the registers of a model by its number, or None where the device does not have it."""

INVERTER_RATINGS = ((121, "WMax"), (120, "WRtg"), (702, "WMax"), (702, "WMaxRtg"))
DER_RATINGS = ((702, "WMax"), (702, "WMaxRtg"), (121, "WMax"), (120, "WRtg"))


@dataclass(frozen=True, slots=True)
class Step:
    """One write: ``words`` from the register of ``path`` on, in the control's own model."""

    path: str
    words: tuple[int, ...]


class Control(Protocol):
    """One way to command a device. Every ``ValueError`` is a phrase for an operator."""

    @property
    def model_id(self) -> int:
        """Return the model that holds its registers."""
        ...

    def models(self) -> tuple[int, ...]:
        """Return the models that are read for it, its own first."""
        ...

    def setpoint_w(self, blocks: BlockOf) -> float | None:
        """Return the power that is in force; None where there is no setpoint."""
        ...

    def setpoint_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return what to write, in order."""
        ...

    def step_w(self, blocks: BlockOf) -> float:
        """Return the resolution of the setpoint."""
        ...

    def rounded_w(self, blocks: BlockOf, power_w: float) -> float:
        """Return what the device holds after ``power_w`` was written: the next step towards zero."""
        ...

    def lease_s(self, blocks: BlockOf) -> float | None:
        """Return the length of the reversion timer; 0 means that it is off."""
        ...

    def lease_steps(self, blocks: BlockOf, lease_s: float) -> list[Step]:
        """Return what sets the reversion timer."""
        ...

    def fallback_w(self, blocks: BlockOf) -> float | None:
        """Return what holds once the timer has run out; None where that cannot be said."""
        ...

    def fallback_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return what sets the fallback; raise ``ValueError`` where the model has another one that is fixed."""
        ...


@dataclass(frozen=True, slots=True)
class Timed:
    """What all controls have: a model, and in it a timer in whole seconds."""

    model_id: int
    timer: str

    def lease_s(self, blocks: BlockOf) -> float | None:
        """Return the timer's length."""
        return _own(blocks, self.model_id).number(self.timer)

    def lease_steps(self, blocks: BlockOf, lease_s: float) -> list[Step]:
        """Return the timer; 0 would switch it off, and so would a part of a second."""
        if 0.0 < lease_s < 1.0:
            raise ValueError(f"{lease_s:g} s is too short: the timer counts whole seconds")
        return [Step(self.timer, _own(blocks, self.model_id).encoded(self.timer, lease_s))]


@dataclass(frozen=True, slots=True)
class PowerLimit(Timed):
    """The most power that an inverter may generate, in percent of its maximum (models 123 and 704).

    Model 123 has no register for a fallback: when its timer runs out the limit is lifted. In model 704 a reversion that
    is not enabled does the same.
    """

    percent: str
    enable: str
    ratings: tuple[tuple[int, str], ...]
    reversion: str = ""
    reversion_enable: str = ""

    def models(self) -> tuple[int, ...]:
        """Return the control's model and those that tell the rating."""
        return tuple(dict.fromkeys((self.model_id, *(model_id for model_id, _ in self.ratings))))

    def setpoint_w(self, blocks: BlockOf) -> float | None:
        """Return the limit; the rating where it is not enabled."""
        own = _own(blocks, self.model_id)
        percent, is_enabled = own.number(self.percent), own.flag(self.enable)
        if percent is None or is_enabled is None:
            return None
        return self._rating_w(blocks) * (percent / 100.0 if is_enabled else 1.0)

    def setpoint_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return the percentage, the timer and the enable point."""
        own = _own(blocks, self.model_id)
        percent = Step(self.percent, self._percent_words(blocks, self.percent, power_w))
        return [percent, *_restarted(own, self.timer), Step(self.enable, own.encoded(self.enable, 1.0))]

    def step_w(self, blocks: BlockOf) -> float:
        """Return the step of the percentage, as a power."""
        return _own(blocks, self.model_id).step(self.percent) * self._rating_w(blocks) / 100.0

    def rounded_w(self, blocks: BlockOf, power_w: float) -> float:
        """Return the limit cut to the rating, in whole steps of the percentage."""
        return _whole_steps(min(self._rating_w(blocks), power_w), self.step_w(blocks))

    def fallback_w(self, blocks: BlockOf) -> float | None:
        """Return the reversion's limit, or the rating where nothing limits then."""
        own = _own(blocks, self.model_id)
        is_enabled = own.flag(self.reversion_enable) if self.reversion_enable else False
        if is_enabled is None:
            return None
        percent = own.number(self.reversion) if is_enabled else 100.0
        return None if percent is None else self._rating_w(blocks) * percent / 100.0

    def fallback_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return the reversion's percentage and its enable point."""
        if not self.reversion:
            raise ValueError(
                f"model {self.model_id} lifts the limit when its timer runs out: the fallback is the rating"
            )
        enabled = _own(blocks, self.model_id).encoded(self.reversion_enable, 1.0)
        words = self._percent_words(blocks, self.reversion, power_w)
        return [Step(self.reversion, words), Step(self.reversion_enable, enabled)]

    def _percent_words(self, blocks: BlockOf, path: str, power_w: float) -> tuple[int, ...]:
        if power_w < 0.0:
            raise ValueError(f"{power_w:g} W is no limit of generation")
        percent = min(100.0, 100.0 * power_w / self._rating_w(blocks))
        return _own(blocks, self.model_id).encoded(path, percent)

    def _rating_w(self, blocks: BlockOf) -> float:
        return _rating_w(blocks, self.ratings)


@dataclass(frozen=True, slots=True)
class PowerSetpoint(Timed):
    """The active power of model 704 in W, either way. Its fallback is ``WSetRvrt``, once that is enabled."""

    def models(self) -> tuple[int, ...]:
        """Return the control's model."""
        return (self.model_id,)

    def setpoint_w(self, blocks: BlockOf) -> float | None:
        """Return the power in force; None where it is not enabled or given in percent."""
        own = _own(blocks, self.model_id)
        is_in_watts = own.flag("WSetMod") is not False
        return own.number("WSet") if own.flag("WSetEna") and is_in_watts else None

    def setpoint_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return the power, that it is in W, the timer and the enable point."""
        own = _own(blocks, self.model_id)
        mode = [Step("WSetMod", own.encoded("WSetMod", 1.0))] if own.flag("WSetMod") is False else []
        enable = Step("WSetEna", own.encoded("WSetEna", 1.0))
        return [Step("WSet", own.encoded("WSet", power_w)), *mode, *_restarted(own, self.timer), enable]

    def step_w(self, blocks: BlockOf) -> float:
        """Return the step of ``WSet``."""
        return _own(blocks, self.model_id).step("WSet")

    def rounded_w(self, blocks: BlockOf, power_w: float) -> float:
        """Return the power in whole steps of its scale factor."""
        return _whole_steps(power_w, self.step_w(blocks))

    def fallback_w(self, blocks: BlockOf) -> float | None:
        """Return the reversion's power; None where it is not enabled: what the device does then is its own affair."""
        own = _own(blocks, self.model_id)
        return own.number("WSetRvrt") if own.flag("WSetEnaRvrt") else None

    def fallback_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return the reversion's power and its enable point."""
        own = _own(blocks, self.model_id)
        value = Step("WSetRvrt", own.encoded("WSetRvrt", power_w))
        return [value, Step("WSetEnaRvrt", own.encoded("WSetEnaRvrt", 1.0))]


@dataclass(frozen=True, slots=True)
class StorageRates(Timed):
    """The charge and discharge limits of model 124, both in percent of ``WChaMax``.

    A power is held by two limits that leave no room: charging at p means at most p in and at least p in, which is a
    discharge limit of -p. Both are written in one request, so that they never cross.
    """

    def models(self) -> tuple[int, ...]:
        """Return the control's model."""
        return (self.model_id,)

    def setpoint_w(self, blocks: BlockOf) -> float | None:
        """Return the power that both limits leave; None where they are not both enabled or leave room."""
        own = _own(blocks, self.model_id)
        charge, discharge, mode = own.number("InWRte"), own.number("OutWRte"), own.number("StorCtl_Mod")
        if mode != 3.0 or charge is None or discharge is None or charge + discharge != 0.0:
            return None
        return discharge * self._most_w(blocks) / 100.0

    def setpoint_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:
        """Return both limits at once, the timer and the bits that enable them."""
        own = _own(blocks, self.model_id)
        percent = max(-100.0, min(100.0, 100.0 * power_w / self._most_w(blocks)))
        limits = own.encoded("OutWRte", percent) + own.encoded("InWRte", -percent)
        mode = Step("StorCtl_Mod", own.encoded("StorCtl_Mod", 3.0))
        return [Step("OutWRte", limits), *_restarted(own, self.timer), mode]

    def step_w(self, blocks: BlockOf) -> float:
        """Return the step of the percentages, as a power."""
        return _own(blocks, self.model_id).step("InWRte") * self._most_w(blocks) / 100.0

    def rounded_w(self, blocks: BlockOf, power_w: float) -> float:
        """Return the power cut to ``WChaMax``, in whole steps of the percentage."""
        most_w = self._most_w(blocks)
        return _whole_steps(max(-most_w, min(most_w, power_w)), self.step_w(blocks))

    def fallback_w(self, blocks: BlockOf) -> float | None:
        """Return None: the device goes back to its default operation."""
        _own(blocks, self.model_id)
        return None

    def fallback_steps(self, blocks: BlockOf, power_w: float) -> list[Step]:  # noqa: ARG002  one of the controls
        """Refuse: the model has no register for a fallback."""
        raise ValueError("model 124 reverts to the device's default operation: it holds no fallback in kW")

    def _most_w(self, blocks: BlockOf) -> float:
        return _rating_w(blocks, ((124, "WChaMax"),))


CONTROLS: Mapping[tuple[int, str], Control] = {
    (704, "limit"): PowerLimit(
        704,
        "WMaxLimPctRvrtTms",
        "WMaxLimPct",
        "WMaxLimPctEna",
        DER_RATINGS,
        reversion="WMaxLimPctRvrt",
        reversion_enable="WMaxLimPctEnaRvrt",
    ),
    (123, "limit"): PowerLimit(123, "WMaxLimPct_RvrtTms", "WMaxLimPct", "WMaxLim_Ena", INVERTER_RATINGS),
    (704, "set"): PowerSetpoint(704, "WSetRvrtTms"),
    (124, "set"): StorageRates(124, "InOutWRte_RvrtTms"),
}
"""The controls by model and name, as a profile calls them: ``704.limit``, ``124.set``."""


def _own(blocks: BlockOf, model_id: int) -> Block:
    block = blocks(model_id)
    if block is None:
        raise ValueError(f"the device has no model {model_id}")
    return block


def _rating_w(blocks: BlockOf, ratings: tuple[tuple[int, str], ...]) -> float:
    """Return the first rating that the device tells."""
    for model_id, path in ratings:
        block = blocks(model_id)
        rating_w = block.number(path) if block else None
        if rating_w is not None and rating_w > 0.0:
            return rating_w
    names = ", ".join(f"{model_id}.{path}" for model_id, path in ratings)
    raise ValueError(f"the device tells no rating ({names})")


def _restarted(own: Block, timer: str) -> list[Step]:
    """Return the timer as it is held, to be written again; nothing where it is off or not there."""
    held_s = own.number(timer)
    return [Step(timer, own.encoded(timer, held_s))] if held_s else []


def _whole_steps(value: float, step: float) -> float:
    """Return ``value`` in whole steps, towards zero."""
    steps = int(abs(value) / step + 1e-6)
    return (steps if value >= 0.0 else -steps) * step
