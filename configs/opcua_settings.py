"""The ``opcua:`` entry of a device: security policy, certificates, user name, and how the server is read."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from configs.sink_settings import SecretModel
from configs.yaml_lines import Checked, KeyPath, YamlFile
from station.opcua import OpcuaAccess
from station.profile import Profile, Protocol
from station.sinks import Secret

Text = Annotated[str, Field(min_length=1)]

CERTIFICATES = ("certificate", "key", "server_certificate")
"""What a policy cannot do without, and what has no meaning where there is none."""


class OpcuaModel(Checked):
    """How a server is entered; files are relative to the site file."""

    policy: Literal["None", "Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"] = "None"
    mode: Literal["Sign", "SignAndEncrypt"] | None = None
    certificate: Text | None = None
    key: Text | None = None
    server_certificate: Text | None = None
    user: Text | None = None
    password: SecretModel | None = None
    path: str = Field("/", pattern=r"^/\S*$")
    subscribe: bool = False
    oldest_s: float | None = Field(None, gt=0.0)


def opcua_access(
    source: YamlFile, path: KeyPath, model: OpcuaModel | None, profile: Profile
) -> OpcuaAccess | None:
    """Return how the device at ``path`` is entered; raise ``ConfigError`` for what is contradictory or not there."""
    if model is None:
        return None
    for key, problem in _problems(source.file, model, profile):
        raise source.error((*path, *key), problem)
    return OpcuaAccess(
        policy=model.policy,
        mode="None" if model.policy == "None" else model.mode or "SignAndEncrypt",
        certificate=_beside(source.file, model.certificate),
        key=_beside(source.file, model.key),
        server_certificate=_beside(source.file, model.server_certificate),
        user=model.user or "",
        password=_secret(source.file, model.password),
        path=model.path,
        subscribe=model.subscribe,
        oldest_s=math.inf if model.oldest_s is None else model.oldest_s,
    )


def _problems(site_file: Path, model: OpcuaModel, profile: Profile) -> Iterator[tuple[KeyPath, str]]:
    if profile.protocol is not Protocol.OPCUA:
        yield (), f"profile {profile.profile_id} speaks {profile.protocol}, not OPC UA"
    if model.policy == "None":
        yield from _unsecured_problems(model)
    else:
        for key in CERTIFICATES:
            if getattr(model, key) is None:
                yield (), f"policy {model.policy} needs '{key}'"
    if model.password is not None and model.user is None:
        yield ("password",), "a password without 'user'"
    if model.subscribe and model.oldest_s is not None:
        yield ("oldest_s",), "what a server sends by itself is not asked for its age; leave out 'subscribe'"
    yield from _missing_files(site_file, model)


def _unsecured_problems(model: OpcuaModel) -> Iterator[tuple[KeyPath, str]]:
    for key in ("mode", *CERTIFICATES):
        if getattr(model, key) is not None:
            yield (key,), "has no meaning without a policy"
    if model.password is not None and "policy" not in model.model_fields_set:
        yield (
            ("password",),
            "nothing proves that the server is the one that may have it; name a policy, or write 'policy: None'",
        )


def _missing_files(site_file: Path, model: OpcuaModel) -> Iterator[tuple[KeyPath, str]]:
    for key in CERTIFICATES:
        file = _beside(site_file, getattr(model, key))
        if file is not None and not file.is_file():
            yield (key,), f"no such file: {file}"
    secret = _secret(site_file, model.password)
    if secret is not None and secret.file is not None and not secret.file.is_file():
        yield ("password", "file"), f"no such file: {secret.file}"


def _secret(site_file: Path, model: SecretModel | None) -> Secret | None:
    return None if model is None else Secret(_beside(site_file, model.file), model.env or "")


def _beside(site_file: Path, name: str | None) -> Path | None:
    return None if name is None else site_file.parent / name
