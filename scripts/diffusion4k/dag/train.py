"""Fine-tuning, and the pipelines made of its ends."""

from functools import partial

from diffusion4k.config.resolve import Config
from diffusion4k.dag import chains, keys, latents, resources, sources, vae

CODE = "diffusion4k/train/finetune.py"  # whatever decides weights is reached from it


def same(config: Config, model: str) -> str:
    """The model whose training a model's is: the first of its backbone and recipe.

    A VAE of the model's own has the backbone's encoder (config/models.py sees to it), so that what
    is trained is the same, on the same latents.
    """
    wanted = [config["models"][model][key] for key in ("backbone", "recipe")]
    models = config["models"].items()
    return next(n for n, m in models if [m.get(key) for key in ("backbone", "recipe")] == wanted)


def trained(config: Config) -> list[str]:
    """The models that are trained here, each training once."""
    models = config["models"].items()
    return [name for name, m in models if "recipe" in m and same(config, name) == name]


def exported(config: Config) -> list[str]:
    """The models whose pipeline is composed here: fine-tuned, of two sources, with another VAE."""
    models = config["models"].items()
    return [name for name, model in models if {"recipe", "transformer", "vae"} & set(model)]


def step_file(config: Config, model: str, step: int) -> str:
    """The manifest of a segment's end of the training that a model comes from."""
    return CHAIN.step_file(config, same(config, model), step)


def last_step(config: Config, model: str) -> str:
    """The manifest of that training's end."""
    return CHAIN.last_step(config, same(config, model))


def pipeline(config: Config, model: str) -> str:
    """The pipeline that a model is made from."""
    return sources.of_model(config, model)


def latent_shards(config: Config, model: str) -> list[str]:
    """The encoded training set of a model's backbone."""
    return latents.manifests(config, config["models"][model]["backbone"])


def parts(config: Config, model: str) -> dict[str, str]:
    """What export puts into a model's pipeline: a transformer (the last step's, or another
    source's), a VAE."""
    entry, inputs = config["models"][model], {}
    if other := entry.get("transformer"):
        inputs["state"] = sources.manifest(config, other)
    elif "recipe" in entry:
        inputs["state"] = last_step(config, model)
    return inputs | ({"vae": vae.manifest(config, entry["vae"])} if "vae" in entry else {})


def dataset(config: Config) -> dict[str, str]:
    """The images, when training encodes them itself (latents.mode: online)."""
    online = config["latents"]["mode"] == "online"
    return {"dataset": latents.dataset(config)} if online else {}


def folder(config: Config) -> str:
    """Where in their data set those images are."""
    return config["splits"][config["latents"]["split"]]["folder"]


def time_limit(config: Config, wildcards) -> float:
    """Minutes after which a segment saves and ends."""
    return resources.time_limit(config, "train", wildcards)


def of_backbone(config: Config, name: str):
    """The value of a key that a backbone may have of its own, a function of the wildcards."""
    return keys.key(config, f"backbones.{{backbone}}.train.{name}", f"train.{name}")


def recipe(config: Config):
    """The flags that decide the weights, a function of the wildcards."""
    key = partial(keys.key, config)
    flags = keys.flags(
        config,
        backbone="{backbone}",
        objective=key("recipes.{recipe}.objective"),
        wavelet=key("recipes.{recipe}.wavelet"),
        levels=key("recipes.{recipe}.levels"),
        band_weights=key("recipes.{recipe}.band_weights"),
        guidance=key("backbones.{backbone}.train.guidance"),
        timestep_shift=key("backbones.{backbone}.train.timestep_shift"),
        subtract_shift=key("backbones.{backbone}.train.subtract_shift"),
        global_batch=key("backbones.{backbone}.train.global_batch"),
        repeat_draws_every=key("backbones.{backbone}.train.repeat_draws_every"),
        optimizer=of_backbone(config, "optimizer"),
        learning_rate=key("train.learning_rate"),
        weight_decay=key("train.weight_decay"),
        beta1=key("train.beta1"),
        beta2=key("train.beta2"),
        epsilon=key("train.epsilon"),
        clip=of_backbone(config, "clip"),
        warmup_steps=key("train.warmup_steps"),
        precision=key("train.precision"),
        flip_probability=key("train.flip_probability"),
        seed=key("seed"),
    )
    flags.keys += (("train.steps",),)  # the last segment's end, which names its file
    return flags


CHAIN = chains.Chain("train", "train", "model", "train/{name}", recipe, CODE)
