"""Generated images: of which pipeline, for which prompts, in which shards; or somebody's own."""

import json
from collections.abc import Callable
from pathlib import Path

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
        """A model's pipeline: one exported here, or a source as it is."""
        if model in self.exported:
            return f"{self.root}/train/{model}/pipeline.json"
        return self.model_source(model)

    def image_shards(self, model: str, evaluation: str) -> list[str]:
        pattern = f"{self.root}/generate/{model}/{evaluation}/shard-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["evaluations"][evaluation]["shards"])

    def generate_flags(self, wildcards) -> str:
        model = self.config["models"][wildcards.model]
        ours = {name: b["generate"] for name, b in self.config["backbones"].items()}
        # whose class is known when it is loaded: one of SD3's or Flux's is sampled as theirs are
        own = ours.get(model.get("backbone")) or {"of_class": json.dumps(ours)}
        common = pick(
            self.config["generate"],
            "negative_prompt vae_tiling seed_policy dtype attention compile",
        )
        size = self.size(wildcards.evaluation)
        return flags(
            folder=self.evaluation_folder(wildcards.evaluation),
            height=size,
            width=size,
            **common | own | model.get("generate", {}),
            png=self.config["generate"]["png"] or None,
            seed=self.config["seed"],
            vae_factor=model.get("vae_factor"),
            **self.config["vae"],
        )

    # efficiency

    def efficiency_model(self, cost: str) -> str:
        return self.config["efficiency"][cost]["model"]

    def efficiency_flags(self, wildcards) -> str:
        entry = self.config["efficiency"][wildcards.cost]
        model = self.config["models"][entry["model"]]
        own = self.config["backbones"][model["backbone"]]["generate"] if "backbone" in model else {}
        own = own | model.get("generate", {})
        return flags(
            size=self.size(wildcards.evaluation),
            **{key: own[key] for key in ("guidance", "t5_tokens") if key in own},
            **pick(self.config["generate"], "vae_tiling dtype attention compile"),
            offload=entry.get("offload", False),
            vae_factor=entry.get("vae_factor", model.get("vae_factor")),
            **self.config["vae"],
        )

    # adopt

    def adopted_images(self, model: str, evaluation: str) -> Path:
        """The folder with a model's images of one evaluation."""
        folder = Path(self.config["models"][model]["images"]).expanduser()
        own = folder / evaluation
        return own if own.is_dir() else folder

    def adopt_flags(self, evaluation: str) -> Callable:
        """Flags of the job that adopts a model's images of `evaluation`."""
        return lambda wildcards: flags(
            images=self.adopted_images(wildcards.model, evaluation),
            folder=self.evaluation_folder(evaluation),
            size=self.size(evaluation),
        )

    def adopted_files(self, evaluation: str) -> Callable:
        """What changes with the images themselves.

        They are no inputs: Snakemake would stop at a missing one, before all can be listed.
        """
        return lambda wildcards: self.listing(self.adopted_images(wildcards.model, evaluation))
