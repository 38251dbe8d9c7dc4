"""One attempt to hand lines to an InfluxDB, and what its answer means. Blocking: called in a thread.

influxdb-client is the transport and no more: its own batching gives up after some retries and then drops the data.
"""

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from http import HTTPStatus

from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS, WriteApi
from influxdb_client.rest import ApiException
from urllib3 import exceptions as http

from configs.secrets import secret_of
from station.errors import ConfigError
from station.sinks import InfluxSettings

WORDS_MOST = 300
WAIT_MOST_S = 300.0
"""A server that asks for a longer pause is asked again after this one."""

LINE_FAULT = re.compile(r"partial write|pars(e|ing)|conflict|retention", re.IGNORECASE)
"""How servers say that lines are at fault, and not the whole request."""

DROPPED = re.compile(r"dropped=(\d+)")
TLS_FAULT = re.compile(r"certificate|PEM|X509|No such file|WRONG_VERSION", re.IGNORECASE)


class Verdict(Enum):
    """What is to be done next: go on, look for the guilty line, send less, mend the settings, try again later."""

    TAKEN = auto()
    REFUSED = auto()
    TOO_LARGE = auto()
    WRONG = auto()
    AWAY = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict and the server's words.

    ``wait_s`` is the pause that it asks for; ``dropped`` is how many lines it says it left out. ``is_slow``: no answer
    came in time.
    """

    verdict: Verdict
    words: str = ""
    wait_s: float | None = None
    dropped: int | None = None
    is_slow: bool = False

    @property
    def is_about_lines(self) -> bool:
        """Return whether the server's words surely mean the lines."""
        return bool(LINE_FAULT.search(self.words))


TAKEN = Answer(Verdict.TAKEN)


class InfluxServer:
    """A server with its settings. The token is read at each new connection, so a changed one is taken up."""

    def __init__(self, settings: InfluxSettings) -> None:
        self._settings = settings
        self._client: InfluxDBClient | None = None
        self._api: WriteApi | None = None

    def post(self, body: bytes, now_at: datetime) -> Answer:
        """Send UTF-8 lines in one request and return what became of it; ``now_at`` is UTC."""
        answer = self._attempt(body, now_at)
        if answer.verdict in (Verdict.WRONG, Verdict.AWAY):
            self.close()
        return answer

    def close(self) -> None:
        """End the connection; a later ``post`` makes a new one."""
        if self._client is not None:
            self._client.close()  # type: ignore[no-untyped-call]
        self._client = self._api = None

    def _attempt(self, body: bytes, now_at: datetime) -> Answer:
        bucket, org = self._settings.bucket, self._settings.org
        try:
            self._connected().write(bucket, org, body, "ms")  # type: ignore[arg-type]
        except ApiException as refused:
            return _meaning(refused, now_at) if refused.status else _tls(str(refused.reason))
        except ConfigError as wrong:
            return Answer(Verdict.WRONG, str(wrong))
        except http.NewConnectionError as away:  # before TimeoutError: urllib3 makes it one of those
            return Answer(Verdict.AWAY, f"cannot be reached: {_cause(away)}")
        except http.TimeoutError:
            return Answer(Verdict.AWAY, f"no answer within {self._settings.timeout_s:g} s", is_slow=True)
        except (http.HTTPError, OSError) as away:
            return Answer(Verdict.AWAY, f"cannot be reached: {_cause(away)}")
        except UnicodeDecodeError:
            return Answer(Verdict.AWAY, "answers with what is not text")
        return TAKEN

    def _connected(self) -> WriteApi:
        if self._api is None:
            settings = self._settings
            token = secret_of(settings.token)
            if not (token.isascii() and token.isprintable()):
                raise ConfigError("token", 0, "", "has characters that no HTTP header can carry")
            self._client = InfluxDBClient(
                settings.url,
                token,
                org=settings.org,
                timeout=max(round(settings.timeout_s * 1000.0), 1),
                ssl_ca_cert=None if settings.ca_file is None else str(settings.ca_file),
                retries=False,
                connection_pool_maxsize=1,
            )
            self._api = self._client.write_api(write_options=SYNCHRONOUS)
        return self._api


def _meaning(refused: ApiException, now_at: datetime) -> Answer:
    """Return what a status other than 2xx means."""
    status = int(refused.status)
    words = _words(status, str(refused.body or ""))
    match status:
        case 400 | 422:
            found = DROPPED.search(words)
            return Answer(Verdict.REFUSED, words, dropped=int(found[1]) if found else None)
        case 413:
            return Answer(Verdict.TOO_LARGE, words)
        case 408 | 429:
            return Answer(Verdict.AWAY, words, _wait_s(refused.retry_after, now_at))
        case _ if status >= 500:
            return Answer(Verdict.AWAY, words, _wait_s(refused.retry_after, now_at))
    return Answer(Verdict.WRONG, words)


def _words(status: int, body: str) -> str:
    """Return the status and what the body says: versions 1 and 3 call it ``error``, version 2 ``message``."""
    said = body
    with suppress(ValueError):
        data = json.loads(body)
        if isinstance(data, dict):
            said = str(data.get("message") or data.get("error") or body)
    try:
        name = HTTPStatus(status).phrase.lower()
    except ValueError:
        name = ""
    head = f"{status} {name}".strip()
    return f"{head}: {_one_line(said)}" if said.strip() else head


def _tls(reason: str) -> Answer:
    verdict = Verdict.WRONG if TLS_FAULT.search(reason) else Verdict.AWAY
    return Answer(verdict, f"no TLS: {_one_line(reason.removeprefix('SSLError'))}")


def _wait_s(text: str | None, now_at: datetime) -> float | None:
    """Return the pause that ``Retry-After`` asks for, in seconds or as a date, within bounds; None where it doesn't."""
    if not text:
        return None
    if text.strip().isdecimal():
        wait_s = float(text)
    else:
        try:
            then_at = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = (then_at.replace(tzinfo=then_at.tzinfo or UTC) - now_at).total_seconds()
    return min(max(wait_s, 0.0), WAIT_MOST_S)


def _cause(away: BaseException) -> str:
    root = away.__cause__ or away
    return _one_line(getattr(root, "strerror", None) or str(root))


def _one_line(text: str) -> str:
    return " ".join(text.split())[:WORDS_MOST]
