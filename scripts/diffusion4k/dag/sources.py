"""Sources and the check of the data: origins, licences, splits."""

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
