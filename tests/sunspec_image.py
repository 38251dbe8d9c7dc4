"""Register images of SunSpec devices, built by pysunspec2: no code of ours encodes what ours shall decode."""

import json
import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from sunspec2 import mb
from sunspec2.file.client import FileClientModel

LARGEST = {"int16": 32767, "uint16": 65534, "int32": 2**31 - 1, "uint32": 2**32 - 2}
LARGEST |= {"acc16": 65535, "acc32": 2**32 - 1, "acc64": 2**63, "int64": 2**62, "uint64": 2**63}
LARGEST |= {
    "enum16": 65534,
    "enum32": 2**32 - 2,
    "bitfield16": 0x7FFF,
    "bitfield32": 2**31 - 1,
    "ipaddr": 2**32 - 1,
}

Data = dict[str, Any]


def common(**changes: str) -> Data:
    """Return a model 1."""
    return {"ID": 1, "Mn": "heliodock", "Md": "test", "Vr": "1.0", "SN": "4711", "DA": 1, "Pad": 0} | changes


def image_of(models: Iterable[Data | Sequence[int]], base: int = 40000) -> dict[int, int]:
    """Return the registers of a device with these models; a model may also be given as its bare words."""
    words: list[int] = [0x5375, 0x6E53]
    for model in models:
        words += words_of(model) if isinstance(model, Mapping) else list(model)
    words += [0xFFFF, 0]
    return dict(enumerate(words, base))


def words_of(model: Data) -> list[int]:
    """Return the registers of one model; what is not given is not implemented."""
    made = FileClientModel(model_id=model["ID"], model_len=model.get("L"), data=model)
    assert not made.error_info, made.error_info
    return _words(made.get_mb())


def sample(name: str) -> list[Data]:
    """Return the models of a sample device that pysunspec2 ships."""
    file = files("sunspec2").joinpath("tests", "test_data", name)
    models: list[Data] = json.loads(file.read_text())["models"]
    return [model for model in models if model["ID"] != mb.SUNS_END_MODEL_ID]


def filled(model_id: int, chance: random.Random, repeated: int = 3, gaps: float = 0.15) -> Data:
    """Return a model with a value in almost every point; ``gaps`` is the share of those that are not implemented."""
    from sunspec2.device import get_model_def

    group = get_model_def(model_id)["group"]
    data = _filled(group, chance, repeated, gaps)
    return data | {"ID": model_id, "L": None}


def _filled(group: Mapping[str, Any], chance: random.Random, repeated: int, gaps: float) -> Data:
    factors = {point.get("sf") for point in group["points"]}
    counted = {inner.get("count") for inner in group.get("groups", ())}
    data: Data = {}
    for point in group["points"]:
        name = point["name"]
        if name in counted:
            data[name] = repeated
        elif point["type"] not in ("sunssf", "pad") and name not in factors and chance.random() < gaps:
            data[name] = None
        else:
            data[name] = _value(point, chance)
    for inner in group.get("groups", ()):
        made = [_filled(inner, chance, repeated, gaps) for _ in range(repeated)]
        data[inner["name"]] = made[0] if inner.get("count") is None else made
    return data


def _value(point: Mapping[str, Any], chance: random.Random) -> Any:
    kind = point["type"]
    if kind == "sunssf":
        return chance.randint(-4, 3)
    if kind == "string":
        return "".join(chance.choice("abcXYZ019-") for _ in range(chance.randint(1, 2 * int(point["size"]))))
    if kind.startswith("float"):
        return struct.unpack(">f", struct.pack(">f", chance.uniform(-1e5, 1e5)))[0]
    if kind in LARGEST:
        return chance.randint(-LARGEST[kind] if kind.startswith("int") else 1, LARGEST[kind])
    return None if kind != "pad" else mb.SUNS_UNIMPL_PAD


def _words(data: bytes) -> list[int]:
    return list(struct.unpack(f">{len(data) // 2}H", data))
