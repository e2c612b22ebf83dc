"""Where the paper, its README and the released code differ: one row a choice, two settings each.

`published` is what the released code does, so that published numbers can be reproduced;
`corrected` is what the paper's text or the README says, or what the code evidently meant. A row
fills the config keys it governs; a key that the config sets itself wins over its row.
docs/fidelity.md explains each row.
"""

from collections.abc import Collection, Mapping
from typing import Any

from diffusion4k.config.layers import spelled

PUBLISHED, CORRECTED = "published", "corrected"

# how lines below tables and figures begin that say what a run is, and which settings differ
ABOUT, DIFFERS = "This run: ", "Not as in the paper: "

# row -> {config key: (published, corrected)}
ROWS: dict[str, dict[str, tuple[Any, Any]]] = {
    "encoder_downsampling": {"vae.encoder": ("stride", "dilation")},
    "wavelet_loss_space": {"recipes.wlf.objective": ("wavelet_x0", "wavelet_velocity")},
    "band_weights": {"recipes.wlf.band_weights": ([1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 2.0, 2.0])},
    "sd3_latent_shift": {"backbones.sd3.train.subtract_shift": (False, True)},
    "flux_text_length": {"backbones.flux.train.t5_tokens": (77, 512)},
    "flux_timestep_shift": {"backbones.flux.train.timestep_shift": ("none", "dynamic")},
    "flux_guidance": {"backbones.flux.generate.guidance": (7.0, 5.0)},
    "optimizer": {
        "train.optimizer": ("adamw", "adamw_8bit"),
        "train.offload_optimizer": (True, False),
    },
    "sd3_global_batch": {
        "backbones.sd3.train.global_batch": (64, 16),
        "backbones.sd3.train.gpus": (8, 2),
    },
    "sd3_sampling": {
        "backbones.sd3.generate.steps": (50, 28),
        "backbones.sd3.generate.t5_tokens": (77, 256),
    },
    "decoder_partition": {"vae.decoder": ("published", "folded")},
    "glcm_entropy": {"metrics.glcm_choice": (PUBLISHED, CORRECTED)},
    "clip_truncation": {"metrics.clip_choice": (PUBLISHED, CORRECTED)},
    "rank_randomness": {
        "backbones.sd3.train.repeat_draws_every": (8, 0),
        "backbones.flux.train.repeat_draws_every": (4, 0),
    },
    "flips": {"train.flip_probability": (0.5, 0.0)},
    "image_seed": {"generate.seed_policy": ("published", "per_prompt")},
    "sc_gradients": {"vae_training.decoder_batch": (64, 256)},
    "sc_weight_group": {"vae_training.adaptive_group": (32, 0)},
    "sc_alternation": {"vae_training.discriminator_batch": (256, 0)},
    "score_input": {"metrics.score_input": ("memory", "jpeg")},
}


def choices(fidelity: str | Mapping[str, str]) -> dict[str, str]:
    """Every row's choice, from `published`, `corrected`, or a mapping of some rows to a choice."""
    if isinstance(fidelity, str):
        return dict.fromkeys(ROWS, fidelity)
    return {row: fidelity.get(row, PUBLISHED) for row in ROWS}


def apply(config: dict[str, Any]) -> None:
    """Fill in place the keys of `config` that the rows govern and that it does not set itself.

    One that it sets to a row's value is written as there.
    """
    config["fidelity"] = choices(config.get("fidelity", PUBLISHED))
    for row, choice in config["fidelity"].items():
        for key, values in ROWS[row].items():
            *path, last = key.split(".")
            section = config
            for name in path:
                section = section.setdefault(name, {})
            own = section.get(last, values[choice == CORRECTED])
            section[last] = spelled(own, values)


def states(config: Mapping[str, Any]) -> dict[str, str]:
    """What each row came to: published, corrected, or the config's own values, `key = value`."""
    states = {}
    for row, choice in config["fidelity"].items():
        own = [
            f"{key} = {_value(config, key)}"
            for key, values in ROWS[row].items()
            if _value(config, key) != values[choice == CORRECTED]
        ]
        states[row] = ", ".join(own) or choice
    return states


def describe(config: Mapping[str, Any], keys: Collection[str]) -> str:
    """One line for the footer of a table that depends on `keys`: its rows not as published.

    Empty when no row governs any of them, or all that do were set by hand.
    """
    of = states(config)
    governing = {row: of[row] for row, own in ROWS.items() if not own.keys().isdisjoint(keys)}
    corrected = [row for row, state in governing.items() if state == CORRECTED]
    if PUBLISHED in governing.values():
        return f"fidelity: {PUBLISHED}" + ("; corrected " * bool(corrected) + ", ".join(corrected))
    return f"fidelity: {CORRECTED}" if corrected else ""


def governed(key: str) -> bool:
    """Whether a row says that paper and released code differ in a key."""
    return any(key in own for own in ROWS.values())


def described(config: Mapping[str, Any], key: str) -> bool:
    """Whether `describe` says what a key is: its row is corrected, and governs it."""
    return any(
        key in own and config["fidelity"][row] == CORRECTED and _value(config, key) == own[key][1]
        for row, own in ROWS.items()
    )


def _value(config: Mapping[str, Any], key: str) -> Any:
    value: Any = config
    for name in key.split("."):
        value = value[name]
    return value
