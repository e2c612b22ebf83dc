"""VAEs that are trained: who takes one, what follows it, what is shared and what is refused."""

import re

import pytest

from configs import ROOT, fault, resolve
from diffusion4k.config import training
from diffusion4k.dag import generate, latents, sources, train, vae

SC = {"backbone": "flux", "recipe": "sc", "label": "SC"}
ENCODING = {"scale_consistency": 1.0, "lpips": 0.1, "adversarial": 0.0, "adversarial_start": 0}
ENCODING |= {"encoder": "trained", "ema": 0.0}
MODELS = {
    "flux_sc": {"backbone": "flux", "vae": "mine"},
    "flux_sc_wlf": {"backbone": "flux", "recipe": "wlf", "vae": "mine"},
}


def with_sc(**changes):
    return resolve(run="unmade", vaes={"mine": SC}, models=MODELS, **changes)


def test_a_models_vae_is_put_into_its_pipeline_and_its_latents_stay():
    config = with_sc()
    assert {"flux_sc", "flux_sc_wlf"} <= set(train.exported(config))
    assert generate.pipeline(config, "flux_sc") == "results/unmade/train/flux_sc/pipeline.json"
    last = "results/unmade/vae/mine/train/step-020000.json"
    assert train.parts(config, "flux_sc") == {"vae": last}
    assert latents.vae_of(config, "flux") == {}
    assert train.parts(config, "flux_f16_wlf").keys() == {"state"}


def test_models_that_differ_in_their_decoders_share_one_training():
    config = with_sc()
    assert train.same(config, "flux_sc_wlf") == "flux_f16_wlf"
    assert "flux_sc_wlf" not in train.trained(config)
    state = "results/unmade/train/flux_f16_wlf/step-020000.json"
    assert train.parts(config, "flux_sc_wlf")["state"] == state


def test_vaes_that_differ_in_what_they_reconstruct_share_one_training():
    config = resolve(vaes={"mine": SC, "there": SC | {"split": "eval_4096"}})
    assert vae.trained(config) == ["mine"]
    assert vae.manifest(config, "there") == vae.manifest(config, "mine")
    assert vae.count(config, "there") == 195 and vae.count(config, "mine") == 12015
    other = resolve(vaes={"mine": SC, "there": SC | {"decoder": "folded"}})
    assert vae.trained(other) == ["mine", "there"]


def test_rows_that_nobody_published_reconstruct_fewer_images():
    config = resolve()
    counts = {name: vae.count(config, name) for name in ("sd3", "sd3_folded", "sd3_f8")}
    assert counts == {"sd3": 12015, "sd3_folded": 1000, "sd3_f8": 1000}
    assert vae.limit(config)({"vae": "sd3"}) is None
    # of a row's limit and everybody's, the lower counts; both are known to footers
    for images, f8 in ((4, 4), (2000, 1000)):
        few = resolve(reconstruction={"images": images})
        assert (vae.count(few, "sd3"), vae.count(few, "sd3_f8")) == (images, f8)
    assert vae.limit(config).keys == (("vaes.{vae}.images",), ("reconstruction.images",))


def test_a_backbones_vae_is_that_of_its_models_and_of_its_latents_if_it_encodes():
    config = resolve(vaes={"mine": SC}, backbones={"flux": {"vae": "mine"}})
    assert config["models"]["flux_f16"]["vae"] == "mine"
    assert "vae" not in config["models"]["sd3_f16"]
    assert latents.vae_of(config, "flux") == {}
    own = resolve(
        vaes={"mine": SC | {"recipe": "own"}},
        vae_recipes={"own": ENCODING},
        backbones={"flux": {"vae": "mine"}},
    )
    assert latents.vae_of(own, "flux") == {"vae": vae.manifest(own, "mine")}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"vaes": {"mine": SC | {"recipe": "own"}}, "vae_recipes": {"own": ENCODING}},
            "set backbones.flux.vae: mine, which its latents and all its models then take; or"
            " vae_recipes.own.encoder: frozen",
        ),
        (
            {"vaes": {"mine": SC | {"backbone": "sd3"}}},
            "models.flux_sc.vae: mine is a VAE of sd3",
        ),
        ({"vaes": {"mine": {"label": "x"}}}, "vaes.mine: needs a source, or a backbone"),
        ({"vaes": {"mine": SC | {"recipe": "wlf"}}}, "vaes.mine.recipe: no vae_recipes entry"),
        ({"vae_training": {"gpus": 3}}, "vae_training.adaptive_group: 32 images cannot"),
        ({"vae_training": {"adaptive_group": 24}}, "vae_training.adaptive_group: 64 images"),
        ({"vae_training": {"discriminator_batch": 96}}, "vae_training.discriminator_batch: 96 is"),
        (
            {"vae_training": {"nodes": 3}},
            "vae_training.nodes: 4 GPUs cannot be spread evenly over 3",
        ),
        (
            {"vae_training": {"split": "eval_4096", "held_out": 300}},
            "vae_training.held_out: 300 of 195 images (eval_4096) leave none",
        ),
        ({"vae_training": {"keep": [7]}}, "vae_training.keep: no segment ends at step 7"),
        ({"latents": {"split": "sa_1b"}}, "latents.split: sa_1b has no captions"),
        ({"vae_training": {"size": 96}}, "vae_training.size: crops of 96 px are too small"),
        ({"vae_training": {"size": 500}}, "vae_training.size: 500 px is no multiple of 32"),
    ],
)
def test_what_does_not_go_together_is_refused(changes, said):
    vaes = {"vaes": {"mine": SC}} | changes
    assert said in fault(models=MODELS, **vaes)


def test_a_recipes_settings_are_those_of_its_jobs():
    settings = training.vae_settings(with_sc(), "mine")
    assert (settings.decoder_batch, settings.discriminator_batch) == (64, 256)
    assert settings.decoder_form == "published" and settings.ema == 0.9999


def test_a_recipe_has_of_sc_what_it_leaves_out():
    own = {"no_sc": {"scale_consistency": 0.0}}
    config = resolve(vaes={"mine": SC | {"recipe": "no_sc"}}, vae_recipes=own)
    recipes = config["vae_recipes"]
    assert recipes["no_sc"] == recipes["sc"] | own["no_sc"] and recipes["sc"]["scale_consistency"]
    assert training.vae_settings(config, "mine").scale_consistency == 0
    assert vae.trained(
        resolve(vaes={"mine": SC, "other": SC | {"recipe": "no_sc"}}, vae_recipes=own)
    ) == [
        "mine",
        "other",
    ]


def test_both_trainings_are_tried_again_and_ended_alike():
    """So what tests/slurm shows of one rule's slots, memory and time budget holds for the other."""
    asked = []
    for name in ("train", "vae"):
        text = (ROOT / f"rules/{name}.smk").read_text(encoding="utf-8")
        text = re.sub(r"\bvae\.", "train.", text.replace("train_vae", "train"))
        text = text.replace("lambda w: ", "")
        text = re.sub(r"( *#.*\n)|, w\)", lambda m: ")" if m[0] == ", w)" else "", text)
        block = re.search(r"^    retries:.*?^    params:", text, re.M | re.S)[0]
        # but for what a training is made fast by
        asked.append(re.sub(r"(execution=flags\(\n).*?(?= *time_limit)", r"\1", block, flags=re.S))
        shell = " ".join(re.findall(r'"(.*)"', text))
        assert re.search(r"\{resources.execution\}\s+--attempt \{resources.attempt\}", shell)
    assert asked[0] == asked[1]
    assert all(word in asked[0] for word in ("ended_slots", "time_limit", "attempt"))


def test_sa_1b_says_that_it_must_be_fetched_by_hand(tmp_path):
    said = sources.to_accept(resolve(), "sa_1b")
    assert "accept its licence" in said and "give sources.sa_1b.path" in said
    mine = resolve(sources={"sa_1b": {"path": str(tmp_path)}})
    assert sources.licence(mine, "sa_1b") == ""
