"""From sources to aggregates: what each job reads, and the flags that decide what it makes.

`Stages` is the configuration seen from the rules; each stage adds its part in the order data flows
(common, sources, train, generate), and the last, reconstruction and metrics, is here.
"""

from diffusion4k.dag.flags import flags, pick
from diffusion4k.dag.generate import Generate


class Stages(Generate):
    """The paths below results/<run> and the flags of every stage; rules/vae, rules/metrics here."""

    # vae

    def reconstruction_shards(self, backbone: str) -> list[str]:
        pattern = f"{self.root}/vae/{backbone}/reconstruction-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["reconstruction"]["shards"])

    def reconstruction_count(self) -> int:
        settings = self.config["reconstruction"]
        whole = self.config["splits"][settings["split"]]["count"]
        return min(whole, settings.get("images", whole))

    def reconstruct_flags(self, wildcards) -> str:
        settings = self.config["reconstruction"]
        return flags(
            folder=self.config["splits"][settings["split"]]["folder"],
            **pick(settings, "size"),
            limit=settings.get("images"),
            **self.config["vae"],
        )

    # metrics

    def score_shards(self, kind: str, model: str, evaluation: str) -> list[str]:
        pattern = f"{self.root}/metrics/{model}/{evaluation}/{kind}-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["evaluations"][evaluation]["shards"])

    def prompts_flags(self, wildcards) -> str:
        return flags(folder=self.evaluation_folder(wildcards.evaluation))

    def sized_flags(self, wildcards) -> str:
        folder = self.evaluation_folder(wildcards.evaluation)
        return flags(folder=folder, size=self.size(wildcards.evaluation))

    def aggregate_scores(self, wildcards) -> dict[str, list[str]]:
        kind = {"alignment": "features", "fid": "features"}.get(wildcards.family, wildcards.family)
        files = {"scores": self.score_shards(kind, wildcards.model, wildcards.evaluation)}
        if wildcards.family == "fid":
            files["reference"] = self.score_shards("features", "reference", wildcards.evaluation)
        return files

    def aggregate_flags(self, wildcards) -> str:
        choice = {"texture": "glcm_choice", "alignment": "clip_choice"}.get(wildcards.family)
        split = self.evaluation_split(wildcards.evaluation)
        return flags(
            reference=self.aggregate_scores(wildcards).get("reference"),
            expected=self.config["splits"][split]["count"],
            choice=self.config["metrics"][choice] if choice else None,
            seed=self.config["seed"],
        )
