"""Sources and the check of the data: origins, licences, splits."""

from pathlib import Path

from diffusion4k.dag.flags import flags
from diffusion4k.dag.requests import Requests


class Sources(Requests):
    """Names and flags of rules/sources.smk and rules/data.smk."""

    # sources

    def source(self, name: str) -> str:
        return f"{self.root}/sources/{name}.json"

    def split_source(self, split: str) -> str:
        return self.source(self.config["splits"][split]["source"])

    def backbone_source(self, backbone: str) -> str:
        return self.source(self.config["backbones"][backbone]["source"])

    def model_source(self, model: str) -> str:
        """The pipeline that a model is, or is made from."""
        entry = self.config["models"][model]
        if "source" in entry:
            return self.source(entry["source"])
        return self.backbone_source(entry["backbone"])

    def licence(self, name: str) -> str:
        """What a gated source asks of its user, in one line; empty for an open one."""
        entry = self.config["sources"][name]
        if not entry.get("gated"):
            return ""
        return (
            f"source {name}: {entry['hub']} is gated; accept its licence at"
            f" https://huggingface.co/{entry['hub']} and set HF_TOKEN,"
            f" or give sources.{name}.path"
        )

    def fetch_flags(self, wildcards) -> str:
        entry = self.config["sources"][wildcards.source]
        return flags(**{key: value for key, value in entry.items() if key != "gated"})

    def fetch_files(self, wildcards) -> str:
        """What changes with a user's pipeline, the source of a model: its folder's listing."""
        path = self.config["sources"][wildcards.source].get("path")
        own = wildcards.source.startswith("model_")
        return self.listing(Path(path).expanduser()) if own and path else ""

    def make_flags(self, wildcards) -> str:
        entry = self.config["sources"][wildcards.source]
        return flags(what=entry["make"], seed=self.config["seed"], **entry.get("options", {}))

    # data

    def checked(self, split: str) -> str:
        return f"{self.root}/data/{split}.json"

    def check_flags(self, wildcards) -> str:
        split = self.config["splits"][wildcards.split]
        return flags(
            folder=split["folder"],
            split=wildcards.split,
            expected=split["count"],
            min_side=split.get("min_side"),
        )
