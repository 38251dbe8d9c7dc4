"""Reads a password or token when it is needed, from where the site file says that it is."""

import os

from station.errors import ConfigError
from station.sinks import Secret


def secret_of(secret: Secret | None) -> str:
    """Return the secret without its trailing line break, empty where none is configured; raise ``ConfigError``."""
    if secret is None:
        return ""
    if secret.file is None:
        if not os.environ.get(secret.env):
            raise ConfigError(f"${secret.env}", 0, "", "this environment variable is empty or not set")
        return os.environ[secret.env]
    try:
        text = secret.file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as refused:
        cause = getattr(refused, "strerror", None) or "is not text"
        raise ConfigError(str(secret.file), 0, "", f"the secret cannot be read: {cause}") from None
    if not text:
        raise ConfigError(str(secret.file), 0, "", "the secret is empty")
    return text
