"""The keys as a JSON schema, which an editor completes and checks a configuration file by."""

from typing import Any

from diffusion4k.config.keys import Configuration

Schema = dict[str, Any]


def editor_schema() -> Schema:
    """The JSON schema of a configuration file: no key is required, a file may change just one."""

    def plain(node: Any, names: bool = False) -> Any:
        """Without what pydantic adds for itself; `names`: the keys of `node` are names of keys."""
        if isinstance(node, list):
            return [plain(item) for item in node]
        if isinstance(node, str):
            return " ".join(node.split())
        if not isinstance(node, dict):
            return node
        if names:
            return {name: plain(key) for name, key in node.items()}
        kept = {key: value for key, value in node.items() if key not in ("title", "required")}
        if kept.get("default", 0) is None:
            del kept["default"]
        if "patternProperties" in kept:  # names of entries: no others
            kept["additionalProperties"] = False
        return {key: plain(value, key in ("properties", "$defs")) for key, value in kept.items()}

    about = "Made by `make docs` from scripts/diffusion4k/config/keys."
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$comment": about}
    return head | plain(Configuration.model_json_schema())
