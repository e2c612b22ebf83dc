"""Generated images: of which pipeline, for which prompts, in which shards."""

from diffusion4k.dag.flags import flags, pick
from diffusion4k.dag.train import Train


class Generate(Train):
    """Names and flags of rules/generate.smk."""

    # generate

    def size(self, evaluation: str) -> int:
        return self.config["evaluations"][evaluation]["size"]

    def evaluation_split(self, evaluation: str) -> str:
        return self.config["evaluations"][evaluation]["split"]

    def evaluation_folder(self, evaluation: str) -> str:
        return self.config["splits"][self.evaluation_split(evaluation)]["folder"]

    def evaluation_source(self, wildcards) -> str:
        return self.split_source(self.evaluation_split(wildcards.evaluation))

    def pipeline_file(self, model: str) -> str:
        """A model's pipeline: the fine-tuned one, or the backbone's own."""
        if model in self.trained:
            return f"{self.root}/train/{model}/pipeline.json"
        return self.backbone_source(self.backbone(model))

    def image_shards(self, model: str, evaluation: str) -> list[str]:
        pattern = f"{self.root}/generate/{model}/{evaluation}/shard-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["evaluations"][evaluation]["shards"])

    def generate_flags(self, wildcards) -> str:
        size = self.size(wildcards.evaluation)
        return flags(
            folder=self.evaluation_folder(wildcards.evaluation),
            height=size,
            width=size,
            **self.config["backbones"][self.backbone(wildcards.model)]["generate"],
            **pick(self.config["generate"], "negative_prompt seed_policy dtype"),
            seed=self.config["seed"],
            **self.config["vae"],
        )
