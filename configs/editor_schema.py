"""The JSON Schema of device profiles, for editors that complete and check YAML: ``python -m configs.editor_schema``."""

import json

from configs.profile_schema import ProfileSchema
from configs.profiles import DEVICES

FILE = DEVICES / "profile.schema.json"


def text() -> str:
    """Return the schema as the file that is committed."""
    schema = ProfileSchema.model_json_schema(by_alias=True)
    schema |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "heliodock device profile"}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
