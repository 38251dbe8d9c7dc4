"""How a site file says where a device is: ``host`` and ``port``, or ``link`` for a serial port or RTU over TCP."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from configs.yaml_lines import Checked, KeyPath, dotted
from station.links import Link, SerialLink, TcpLink

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(min_length=1)]
SERIAL_ONLY = ("baud", "parity", "stop_bits")
NETWORK_ONLY = ("host", "port", "framing")


class LinkModel(Checked):
    """A serial port with its settings, or a host and port with their framing."""

    serial: Host | None = None
    baud: int = Field(9600, ge=300, le=1_000_000)
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Literal[1, 2] = 1
    host: Host | None = None
    port: Port | None = None
    framing: Literal["tcp", "rtu"] = "tcp"


class Linked(Checked):
    """What is reached over a link; either all of it is in ``link``, or ``host`` and ``port`` stand by themselves."""

    host: Host | None = None
    port: Port | None = None
    link: LinkModel | None = None


def own_problems(place: Linked) -> Iterator[tuple[KeyPath, str]]:
    """Yield what is wrong with the words of one device, with the path below the device."""
    link = place.link
    if link is None:
        for key in ("host", "port"):
            if getattr(place, key) is None:
                yield (key,), "is missing (or link, for a serial port)"
        return
    for key in ("host", "port"):
        if getattr(place, key) is not None:
            yield (key,), "stands beside link: one of them is enough"
    if link.serial is None and link.host is None:
        yield ("link",), "needs serial (a port such as /dev/ttyUSB0), or host and port"
    elif link.serial is None and link.port is None:
        yield ("link", "port"), "is missing"
    unfit = SERIAL_ONLY if link.serial is None else NETWORK_ONLY
    for key in sorted(link.model_fields_set & set(unfit)):
        other = "a host" if link.serial is None else "a serial port"
        yield ("link", key), f"does not belong to {other}"


def link_of(place: Linked) -> Link:
    """Return the link of a device without problems."""
    link = place.link
    if link is None:
        return TcpLink(place.host or "", place.port or 0)
    if link.serial is not None:
        return SerialLink(link.serial, link.baud, link.parity, link.stop_bits)
    return TcpLink(link.host or "", link.port or 0, link.framing)


def shared_problems(places: Mapping[KeyPath, Linked]) -> Iterator[tuple[KeyPath, str]]:
    """Yield path and problem of each device that says other settings than one before it on the same wire."""
    first: dict[str, tuple[KeyPath, Link]] = {}
    for where, place in places.items():
        if any(own_problems(place)):
            continue
        link = link_of(place)
        other_place, other = first.setdefault(str(link), (where, link))
        for key in ("baud", "parity", "stop_bits", "framing"):
            here, there = getattr(link, key, None), getattr(other, key, None)
            if here != there:
                path = ("link", key) if place.link and key in place.link.model_fields_set else ("link",)
                name = dotted(other_place)
                yield (*where, *path), f"{key} {here} differs from {there} of {name} on {link}"
