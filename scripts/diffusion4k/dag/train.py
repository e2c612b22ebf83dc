"""Latents and the chain of training segments."""

import hashlib
import json
from pathlib import Path

from diffusion4k.dag.flags import flags, pick
from diffusion4k.dag.sources import Sources


class Train(Sources):
    """Names and flags of rules/latents.smk and rules/train.smk."""

    # latents

    def latents_shards(self, backbone: str) -> list[str]:
        pattern = f"{self.root}/latents/{backbone}/shard-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["latents"]["shards"])

    def latents_flags(self, wildcards) -> str:
        latents = self.config["latents"]
        return flags(
            backbone=wildcards.backbone,
            folder=self.config["splits"][latents["split"]]["folder"],
            **pick(latents, "mode size crops_per_image batch dtype"),
            flip="both" if self.config["train"]["flip_probability"] > 0 else "none",
            **pick(self.config["backbones"][wildcards.backbone]["train"], "t5_tokens"),
            **pick(self.config["vae"], "encoder"),
            seed=self.config["seed"],
        )

    # train

    def step_file(self, model: str, step: int) -> str:
        return f"{self.root}/train/{model}/step-{step:06d}.json"

    def last_step(self, model: str) -> str:
        return self.step_file(model, self.segments[-1])

    def new_transformer(self, model: str) -> str:
        """What export puts into a model's pipeline: the last step, or another source's."""
        other = self.config["models"][model].get("transformer")
        return self.source(other) if other else self.last_step(model)

    def previous_step(self, wildcards) -> dict[str, str]:
        """What a segment starts from; the first segment starts from the pipeline itself.

        The state's folder is named beside its manifest, or Snakemake would take the temporary
        folder for unused and delete it.
        """
        before = [step for step in self.segments if step < int(wildcards.step)]
        if not before:
            return {}
        start = self.step_file(wildcards.model, before[-1])
        return {"start": start, "state": start.removesuffix(".json")}

    def train_dataset(self, wildcards) -> dict[str, str]:
        """The images, when training encodes them itself."""
        if self.config["latents"]["mode"] == "precomputed":
            return {}
        return {"dataset": self.split_source(self.config["latents"]["split"])}

    def train_images(self, wildcards) -> str:
        """The flags that name them."""
        split = self.config["splits"][self.config["latents"]["split"]]
        dataset = self.train_dataset(wildcards).get("dataset")
        return flags(dataset=dataset, folder=split["folder"]) if dataset else ""

    def train_code(self, wildcards) -> str:
        return self.code("train.py", backbone=self.backbone(wildcards.model))

    def train_flags(self, wildcards) -> str:
        """The recipe: everything that decides the weights."""
        model = self.config["models"][wildcards.model]
        own = self.config["backbones"][model["backbone"]]["train"]
        law = "optimizer learning_rate weight_decay beta1 beta2 epsilon clip warmup_steps"
        return flags(
            backbone=model["backbone"],
            **self.config["recipes"][model["recipe"]],
            **pick(own, "guidance timestep_shift subtract_shift global_batch repeat_draws_every"),
            **pick(self.config["train"], f"{law} precision flip_probability"),
            seed=self.config["seed"],
        )

    def train_execution(self, wildcards) -> str:
        """How, not what: flags that change speed, memory or safety, but not the recipe.

        The time limit leaves `time_margin` minutes of the job's slot for starting and saving.
        """
        own = self.config["backbones"][self.backbone(wildcards.model)]["train"]
        how = "gradient_checkpointing keep_attention compile zero_stage offload_optimizer"
        return flags(
            processes=max(own["gpus"], 1),
            **pick(own, "micro_batch"),
            **pick(self.config["train"], f"{how} save_every"),
            time_limit=self.slot() - self.config["train"]["time_margin"],
        )

    def ended_slots(self, step: str, wildcards) -> int:
        """As a training segment's progress.json tells (diffusion4k/train/progress.py)."""
        if step != "train":
            return 0
        try:
            told = Path(self.progress_folder(wildcards), "progress.json").read_text("utf-8")
            return json.loads(told).get("slots", 0)
        except (OSError, ValueError):
            return 0

    def progress_folder(self, wildcards) -> str:
        """Where a segment saves while it runs, named after all that decides its weights."""
        text = self.train_flags(wildcards) + self.train_code(wildcards)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.root}/train/{wildcards.model}/progress/{key}-{wildcards.step}"
