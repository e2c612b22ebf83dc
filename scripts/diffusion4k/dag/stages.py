"""From sources to aggregates: what each job reads, and the flags that decide what it makes.

`Stages` is the configuration seen from the rules; each stage adds its part in the order data flows
(common, sources, train, generate), and the last, reconstruction and metrics, is here.
"""

from diffusion4k.config.resolve import RATED
from diffusion4k.dag.flags import flags, pick
from diffusion4k.dag.generate import Generate


class Stages(Generate):
    """The paths below results/<run> and the flags of every stage; rules/vae, rules/metrics here."""

    # vae

    def reconstruction_shards(self, vae: str) -> list[str]:
        pattern = f"{self.root}/vae/{vae}/reconstruction-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["reconstruction"]["shards"])

    def vae_source(self, vae: str) -> str:
        return self.source(self.config["vaes"][vae]["source"])

    def reconstruction_count(self) -> int:
        settings = self.config["reconstruction"]
        whole = self.config["splits"][settings["split"]]["count"]
        return min(whole, settings.get("images", whole))

    def reconstruct_flags(self, wildcards) -> str:
        settings, own = self.config["reconstruction"], self.config["vaes"][wildcards.vae]
        return flags(
            folder=self.config["splits"][settings["split"]]["folder"],
            **pick(settings, "size crop crops vae_tiling"),
            limit=settings.get("images"),
            **(
                self.config["vae"]
                | {k: own[k] for k in ("factor", "encoder", "decoder") if k in own}
            ),
        )

    # metrics

    def score_shards(self, kind: str, model: str, evaluation: str) -> list[str]:
        pattern = f"{self.root}/metrics/{model}/{evaluation}/{kind}-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["evaluations"][evaluation]["shards"])

    def networks(self) -> list[str]:
        """The networks of the feature pass; clean-fid's is there when the configuration has it."""
        every = ("clip", "clip_large", "aesthetics_head", "inception", "inception_clean")
        return [name for name in every if name in self.config["sources"]]

    def features_flags(self, wildcards) -> str:
        evaluation = self.config["evaluations"][wildcards.evaluation]
        return flags(
            folder=self.evaluation_folder(wildcards.evaluation), **pick(evaluation, "crop crops")
        )

    def reference_flags(self, wildcards) -> str:
        size = flags(size=self.size(wildcards.evaluation))
        return f"{size} {self.features_flags(wildcards)}"

    def sized_flags(self, wildcards) -> str:
        folder = self.evaluation_folder(wildcards.evaluation)
        return flags(folder=folder, size=self.size(wildcards.evaluation))

    def aggregate_scores(self, wildcards) -> dict[str, list[str]]:
        shards = self.family_shards(wildcards.family, wildcards.model, wildcards.evaluation)
        files = {"scores": shards}
        if wildcards.family == "fid":
            files["reference"] = self.score_shards("features", "reference", wildcards.evaluation)
        return files

    def family_shards(self, family: str, model: str, evaluation: str) -> list[str]:
        kind = {"alignment": "features", "fid": "features"}.get(family, family)
        return self.score_shards(kind, model, evaluation)

    def aggregate_flags(self, wildcards) -> str:
        reference = self.aggregate_scores(wildcards).get("reference")
        return f"{flags(reference=reference)} {self.compare_flags(wildcards)}".strip()

    def compare_scores(self, wildcards) -> dict[str, list[str]]:
        pair = {"scores": wildcards.model, "against": wildcards.other}
        return {
            name: self.family_shards(wildcards.family, model, wildcards.evaluation)
            for name, model in pair.items()
        }

    def compare_flags(self, wildcards) -> str:
        return flags(
            expected=self.evaluation_count(wildcards.evaluation),
            seed=self.config["seed"],
        )

    def evaluation_count(self, evaluation: str) -> int:
        return self.config["splits"][self.evaluation_split(evaluation)]["count"]

    def rated_scores(self, metric: str) -> list[tuple[str, str]]:
        """(model, manifest) of the scores of all images that may have a human rating."""
        ratings = self.config["ratings"]
        return [
            (model, path)
            for model in ratings["models"]
            for path in self.family_shards(RATED[metric], model, ratings["evaluation"])
        ]

    def correlate_flags(self, wildcards) -> str:
        ratings = self.config["ratings"]
        return flags(
            metric=wildcards.metric,
            scores=[f"{model}={path}" for model, path in self.rated_scores(wildcards.metric)],
            expected=self.evaluation_count(ratings["evaluation"]),
            choice=self.config["metrics"]["glcm_choice"] if wildcards.metric == "glcm" else None,
            seed=self.config["seed"],
        )
