"""How one OPC UA server is entered: the words of a site file's ``opcua:`` entry."""

import math
from dataclasses import dataclass
from pathlib import Path

from station.sinks import Secret


@dataclass(frozen=True, slots=True)
class OpcuaAccess:
    """A server's security and how it is read. ``policy`` None: nothing is signed, encrypted or proven.

    ``certificate`` and ``key`` are our own; ``server_certificate`` is the only one that the server may show.
    ``path`` ends the endpoint's URL. ``subscribe`` lets the server send what changes. A value whose source stamped it
    more than ``oldest_s`` seconds before the server gave it away is refused.
    """

    policy: str = "None"
    mode: str = "None"
    certificate: Path | None = None
    key: Path | None = None
    server_certificate: Path | None = None
    user: str = ""
    password: Secret | None = None
    path: str = "/"
    subscribe: bool = False
    oldest_s: float = math.inf

    @property
    def is_secured(self) -> bool:
        """Return whether messages are signed, and both sides prove who they are."""
        return self.policy != "None"
