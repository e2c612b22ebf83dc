"""VAEs: where they come from, their training, reconstructions by them."""

from functools import partial

from diffusion4k.config.resolve import Config
from diffusion4k.dag import chains, data, keys, resources, sources
from diffusion4k.dag.paths import file, shards

CODE = "diffusion4k/train/autoencoder.py"  # whatever decides weights is reached from it
OF_TRAINING = ("backbone", "recipe", "encoder", "decoder")  # keys of an entry


def same(config: Config, vae: str) -> str:
    """The VAE whose training a VAE's is: the first of its backbone, recipe and forms."""
    wanted = [config["vaes"][vae].get(key) for key in OF_TRAINING]
    entries = config["vaes"].items()
    return next(n for n, e in entries if [e.get(key) for key in OF_TRAINING] == wanted)


def trained(config: Config) -> list[str]:
    """The VAEs that are trained here, each training once."""
    entries = config["vaes"].items()
    return [name for name, e in entries if "recipe" in e and same(config, name) == name]


def manifest(config: Config, vae: str) -> str:
    """The manifest of a VAE: its source's, or its training's end, which has a folder `vae`."""
    entry = config["vaes"][vae]
    return sources.manifest(config, entry["source"]) if "source" in entry else last(config, vae)


def last(config: Config, vae: str) -> str:
    """The manifest of a training's end."""
    return CHAIN.last_step(config, same(config, vae))


def encodes(config: Config, vae: str) -> bool:
    """Whether a VAE may have another encoder than the pipeline that it stands in for."""
    recipe = config["vaes"][vae].get("recipe")
    return recipe is None or config["vae_recipes"][recipe]["encoder"] == "trained"


def pipeline(config: Config, vae: str) -> str:
    """The pipeline whose VAE a training begins with, and whose F8 form teaches."""
    return sources.of_backbone(config, config["vaes"][vae]["backbone"])


def training_set(config: Config) -> str:
    """The data set that holds the split that VAEs are trained on."""
    return sources.of_split(config, config["vae_training"]["split"])


def training_check(config: Config) -> str:
    """The check of that split."""
    return data.checked(config, config["vae_training"]["split"])


def time_limit(config: Config) -> float:
    """Minutes after which a segment saves and ends."""
    return resources.time_limit(config, "train_vae")


def network(config: Config, name: str) -> str:
    """The manifest of a network that scores or teaches: inception, vgg16."""
    return sources.manifest(config, name)


def images(config: Config) -> str:
    """The manifest of which images a VAE is trained on."""
    return file(config, "vae/images.json")


def recipe(config: Config):
    """The flags that decide the weights, a function of the wildcards."""
    key = partial(keys.key, config)
    flags = keys.flags(
        config,
        scale_consistency=key("vae_recipes.{vae_recipe}.scale_consistency"),
        lpips=key("vae_recipes.{vae_recipe}.lpips"),
        adversarial=key("vae_recipes.{vae_recipe}.adversarial"),
        adversarial_start=key("vae_recipes.{vae_recipe}.adversarial_start"),
        encoder=key("vae_recipes.{vae_recipe}.encoder"),
        ema=key("vae_recipes.{vae_recipe}.ema"),
        encoder_form=key("vaes.{vae}.encoder", "vae.encoder"),
        decoder_form=key("vaes.{vae}.decoder", "vae.decoder"),
        resize=key("vae_training.resize"),
        size=key("vae_training.size"),
        decoder_batch=key("vae_training.decoder_batch"),
        adaptive_group=key("vae_training.adaptive_group"),
        discriminator_batch=key("vae_training.discriminator_batch"),
        discriminator_hidden=key("vae_training.discriminator_hidden"),
        discriminator_depth=key("vae_training.discriminator_depth"),
        learning_rate=key("vae_training.learning_rate"),
        discriminator_learning_rate=key("vae_training.discriminator_learning_rate"),
        weight_decay=key("vae_training.weight_decay"),
        beta1=key("vae_training.beta1"),
        beta2=key("vae_training.beta2"),
        epsilon=key("vae_training.epsilon"),
        clip=key("vae_training.clip"),
        precision=key("vae_training.precision"),
        flip_probability=key("vae_training.flip_probability"),
        seed=key("seed"),
    )
    flags.keys += (("vae_training.steps",),)  # the last segment's end, which names its file
    return flags


def dataset(config: Config, vae: str) -> str:
    """The data set that holds the images that a VAE reconstructs."""
    return sources.of_split(config, config["vaes"][vae]["split"])


def check(config: Config, vae: str) -> str:
    """The check of their split."""
    return data.checked(config, config["vaes"][vae]["split"])


def manifests(config: Config, vae: str) -> list[str]:
    """All shards of the images that a VAE reconstructs."""
    return shards(config, f"vae/{vae}/reconstruction", config["reconstruction"]["shards"])


def limit(config: Config):
    """The most images that a VAE reconstructs, a function of the wildcards; None for all."""
    of_row = keys.key(config, "vaes.{vae}.images")
    of_all = keys.key(config, "reconstruction.images")

    def least(wildcards) -> int | None:
        return min(filter(None, (of_row(wildcards), of_all(wildcards))), default=None)

    least.keys = (*of_row.keys, *of_all.keys)
    return least


def count(config: Config, vae: str) -> int:
    """How many images a VAE reconstructs."""
    whole = config["splits"][config["vaes"][vae]["split"]]["count"]
    return min(whole, limit(config)({"vae": vae}) or whole)


CHAIN = chains.Chain("train_vae", "vae_training", "vae", "vae/{name}/train", recipe, CODE)
