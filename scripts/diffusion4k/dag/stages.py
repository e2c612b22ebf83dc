"""From sources to aggregates: what each job reads, and the flags that decide what it makes.

`Stages` is the configuration seen from the rules. Methods named `…_flags` take a job's wildcards;
the strings they return are in the rules' `params`, so a job re-runs when, and only when, the slice
of the configuration that it uses has changed.
"""

import hashlib
from typing import Any

from diffusion4k import config as configuration
from diffusion4k import digest
from diffusion4k.dag.flags import flags, pick


class Stages:
    """The paths below results/<run> and the flags of every stage of one resolved configuration."""

    def __init__(self, config: configuration.Config):
        self.config = config
        self.root = f"results/{config['run']}"
        self.trained = [name for name, model in config["models"].items() if "recipe" in model]
        self.fetched = [
            n for n, s in config["sources"].items() if configuration.origin(s) != "make"
        ]
        self.made = [name for name in config["sources"] if name not in self.fetched]
        steps, segment = config["train"]["steps"], config["train"]["segment"]
        self.segments = [*range(segment, steps, segment), steps]
        self.kept = [s for s in self.segments if s == steps or s in config["train"]["keep"]]

    # what every rule needs

    def ask(self, step: str, key: str) -> Any:
        """What a step asks for: threads, mem_mb (a third more each attempt), runtime, gpu."""
        value = self.config["resources"][step].get(key, 0)
        if key == "mem_mb":
            return lambda wildcards, attempt: value * (2 + attempt) // 3
        return value

    def code(self, script: str, *, backbone: str | None = None, also=()) -> str:
        """Digest of a script and all of ours that it imports, but for the other backbones."""
        others = [name for name in self.config["backbones"] if backbone and name != backbone]
        leave_out = tuple(f"diffusion4k.backbones.{name}" for name in others)
        return digest.digest(script, leave_out=leave_out, also=tuple(also))

    def shards(self, pattern: str, count: int) -> list[str]:
        """All shard manifests of a path pattern with {shard} and {shards}."""
        return [pattern.format(shard=shard, shards=count) for shard in range(count)]

    def backbone(self, model: str) -> str:
        """Which backbone a model is made from."""
        return self.config["models"][model]["backbone"]

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

    # latents

    def latents_shards(self, backbone: str) -> list[str]:
        pattern = f"{self.root}/latents/{backbone}/shard-{{shard}}-of-{{shards}}.json"
        return self.shards(pattern, self.config["latents"]["shards"])

    def latents_flags(self, wildcards) -> str:
        latents = self.config["latents"]
        return flags(
            backbone=wildcards.backbone,
            folder=self.config["splits"][latents["split"]]["folder"],
            **pick(latents, "size crops_per_image dtype"),
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

    def train_code(self, wildcards) -> str:
        return self.code("train.py", backbone=self.backbone(wildcards.model))

    def train_flags(self, wildcards) -> str:
        """The recipe: everything that decides the weights."""
        model = self.config["models"][wildcards.model]
        own = self.config["backbones"][model["backbone"]]["train"]
        optimizer = "learning_rate weight_decay beta1 beta2 epsilon clip warmup_steps precision"
        return flags(
            backbone=model["backbone"],
            **self.config["recipes"][model["recipe"]],
            **pick(own, "guidance timestep_shift subtract_shift global_batch repeat_draws_every"),
            **pick(self.config["train"], f"{optimizer} flip_probability"),
            seed=self.config["seed"],
        )

    def train_execution(self, wildcards) -> str:
        """How, not what: flags that change speed, memory or safety, but not the recipe."""
        own = self.config["backbones"][self.backbone(wildcards.model)]["train"]
        how = "gradient_checkpointing zero_stage offload_optimizer save_every"
        return flags(
            processes=max(own["gpus"], 1),
            **pick(own, "micro_batch"),
            **pick(self.config["train"], how),
        )

    def train_gpus(self, wildcards) -> int:
        return self.config["backbones"][self.backbone(wildcards.model)]["train"]["gpus"]

    def train_launch(self, wildcards) -> str:
        """One process runs by itself; several are started by accelerate on one machine."""
        gpus = self.train_gpus(wildcards)
        if gpus <= 1:
            return "python"
        return (
            "accelerate launch --multi_gpu --num_machines 1 --main_process_port 0"
            f" --num_processes {gpus}"
        )

    def progress_folder(self, wildcards) -> str:
        """Where a segment saves while it runs, named after all that decides its weights."""
        text = self.train_flags(wildcards) + self.train_code(wildcards)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        return f"{self.root}/train/{wildcards.model}/progress/{key}-{wildcards.step}"

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
