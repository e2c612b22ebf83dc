"""Every fidelity row, from the configuration to what it changes: the two settings differ there."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import rounding
import tiny
from configs import both
from diffusion4k import backbones, manifest
from diffusion4k.config import fidelity
from diffusion4k.config import resolve as config
from diffusion4k.dag import generate, paper
from diffusion4k.generate import sampler
from diffusion4k.generate.folder import Folder
from diffusion4k.generate.seeds import image_seed
from diffusion4k.metrics import clip, families, glcm, inputs, scores
from diffusion4k.train import launch, randomness, samples
from diffusion4k.train.objectives import OBJECTIVES, Bands
from diffusion4k.train.settings import Settings
from diffusion4k.vae.f16 import make_f16, make_pipeline_f16
from tiny_metrics import LONG, clip_folder


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_there_are_nineteen_rows_each_with_a_test_and_an_explanation():
    assert len(fidelity.ROWS) == 20
    files = Path(__file__).parent.glob("test_fidelity*.py")
    tested = (re.findall(r"def test_row_(\w+)", file.read_text(encoding="utf-8")) for file in files)
    assert {row for rows in tested for row in rows} == set(fidelity.ROWS)
    text = (Path(__file__).resolve().parents[2] / "docs" / "fidelity.md").read_text(
        encoding="utf-8"
    )
    explained = [line.split("`")[1] for line in text.splitlines() if line.startswith("## `")]
    assert explained == list(fidelity.ROWS)


def test_row_encoder_downsampling():
    picture, means = draw(1, 3, 64, 64), []
    for settings in both("encoder_downsampling"):
        torch.manual_seed(0)
        vae = make_f16(tiny.vae(), encoder=settings["vae"]["encoder"])
        with torch.no_grad():
            means.append(vae.encode(picture).latent_dist.mean)
    assert means[0].shape == means[1].shape
    assert (means[0] - means[1]).abs().max() > 0.01


def loss_of(settings: config.Config) -> torch.Tensor:
    recipe = settings["recipes"]["wlf"]
    bands = Bands(recipe["wavelet"], recipe["levels"], tuple(recipe["band_weights"]))
    v, x0, noise = (draw(2, 16, 8, 8, seed=seed) for seed in range(3))
    return OBJECTIVES[recipe["objective"]](v, x0, noise, torch.tensor([0.5, 0.5]), bands)[0]


def test_row_wavelet_loss_space():
    """The x0 form is the other one times sigma squared, here a quarter."""
    published, corrected = map(loss_of, both("wavelet_loss_space"))
    torch.testing.assert_close(published, corrected / 4)


def test_row_band_weights():
    """White errors spread evenly over four bands: three of them twice as heavy give 7/4."""
    published, corrected = map(loss_of, both("band_weights"))
    torch.testing.assert_close(corrected, 1.75 * published, rtol=0.05, atol=0)


def test_row_sd3_latent_shift():
    z = draw(1, 16, 4, 4)
    published, corrected = (
        backbones.get("sd3").normalise(
            z, 1.5305, 0.0609, subtract_shift=s["backbones"]["sd3"]["train"]["subtract_shift"]
        )
        for s in both("sd3_latent_shift")
    )
    torch.testing.assert_close(published - corrected, torch.full_like(z, 1.5305 * 0.0609))


def test_row_flux_text_length():
    pipeline, backbone = tiny.pipeline("flux"), backbones.get("flux")
    tokens = [s["backbones"]["flux"]["train"]["t5_tokens"] for s in both("flux_text_length")]
    texts = [backbone.encode_text(pipeline, ["a fox"], count, "cpu") for count in tokens]
    assert [text[0]["prompt_embeds"].shape[0] for text in texts] == [77, 512]


def test_row_flux_timestep_shift():
    """At 4096 px the sampler spends its steps near sigma 1; published training draws evenly."""
    u = torch.linspace(0.01, 0.99, 50)
    published, corrected = (
        backbones.get("flux").sigmas(
            u,
            image_tokens=128 * 128,
            shifted=s["backbones"]["flux"]["train"]["timestep_shift"] == "dynamic",
            schedule_shift=3.0,
        )
        for s in both("flux_timestep_shift")
    )
    assert published.median() < 0.52 and corrected.median() > 0.95


def picture(name: str, settings: config.Config) -> tuple[np.ndarray, int]:
    """A tiny picture under the sampling settings of a backbone, and its transformer's passes."""
    shared, own = tiny.pipeline(name), settings["backbones"][name]["generate"]
    pipeline = type(shared)(**shared.components | {"vae": tiny.vae()})
    pipeline.set_progress_bar_config(disable=True)
    passes = []
    hook = pipeline.transformer.register_forward_hook(lambda *_: passes.append(1))
    made = sampler.sample(
        make_pipeline_f16(pipeline),
        backbones.get(name),
        "a fox in the snow",
        0,
        sampler.SamplerSettings(height=32, width=32, **own),
    )
    hook.remove()
    return made, len(passes)


def test_row_flux_guidance():
    torch.manual_seed(0)
    (published, _), (corrected, _) = (picture("flux", s) for s in both("flux_guidance"))
    assert (published != corrected).any()


def test_row_optimizer():
    """AdamW's states are float32, eight bytes a weight; the 8-bit ones take about two."""
    sizes = []
    for settings in both("optimizer"):
        train = settings["train"]
        weight = torch.nn.Parameter(draw(256, 256))
        chosen = Settings(
            backbone="sd3",
            global_batch=1,
            micro_batch=1,
            optimizer=train["optimizer"],
            zero_stage=2,
            offload_optimizer=train["offload_optimizer"],
        )
        optimizer = launch.optimizer_for(chosen, [weight])
        weight.square().sum().backward()
        optimizer.step()
        states = optimizer.state[weight].values()
        sizes.append(sum(s.numel() * s.element_size() for s in states if torch.is_tensor(s)))
    assert sizes[0] >= 8 * 256 * 256 and sizes[1] < 3 * 256 * 256
    assert both("optimizer")[0]["train"]["offload_optimizer"]
    assert not both("optimizer")[1]["train"]["offload_optimizer"]


def test_row_sd3_global_batch():
    """8 or 2 GPUs of 8 images: four times the images in as many steps."""
    found = [s["backbones"]["sd3"]["train"] for s in both("sd3_global_batch")]
    assert [own["global_batch"] for own in found] == [64, 16]
    for own in found:
        chosen = Settings(backbone="sd3", **{k: own[k] for k in ("global_batch", "micro_batch")})
        assert chosen.accumulation(own["gpus"]) == 1
        assert len(randomness.slots(0, own["gpus"], own["global_batch"])) == 8


def test_row_sd3_sampling():
    (published, long), (corrected, short) = (picture("sd3", s) for s in both("sd3_sampling"))
    assert (long, short) == (50, 28)
    assert (published != corrected).any()


def test_row_decoder_partition():
    latent, pictures = draw(1, 16, 4, 4), []
    for settings in both("decoder_partition"):
        torch.manual_seed(0)
        vae = make_f16(tiny.vae(), decoder=settings["vae"]["decoder"])
        with torch.no_grad():
            pictures.append(vae.decode(latent).sample)
    published, corrected = pictures
    assert (published - corrected).abs().max() > 0.01
    last = rounding.terms(vae.decoder.conv_out)
    rounding.assert_close(published[..., 1:, 1:], corrected[..., :-1, :-1], last)


def test_row_glcm_entropy():
    """Noise has few values in its matrices but nearly all pairs of levels: 3.5 and 11 bits."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    values = glcm.score(noise)
    rows = [scores.Texture("a", 64, 64, 9, **values), scores.Texture("b", 64, 64, 9, **values)]
    found = [headline("texture", rows, s, "table_4") for s in both("glcm_entropy")]
    assert found == [values["glcm"], values["glcm_entropy"]]
    assert 3 < found[0] < 4 and 10 < found[1] < 12
    published, corrected = (shown(s, "table_4") for s in both("glcm_entropy"))
    assert published[:2] == ["glcm", "glcm_entropy"]
    assert corrected == ["glcm_entropy", "glcm", *published[2:]]


def shown(settings, table: str) -> list[str]:
    return paper.columns(settings, table)


def headline(family: str, rows, settings, table: str) -> float:
    """What a table shows of `rows` in the family's first column; read_rows is stood in for."""
    name = next(c for c in shown(settings, table) if families.columns()[c][0].name == family)
    columns = {key: np.array([getattr(r, key) for r in rows]) for key in vars(rows[0])}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scores, "read_rows", lambda *_arguments, **_options: columns)
        return families.get(family).aggregate([], expected=len(rows))[name]["value"]


def test_row_clip_truncation(tmp_path, monkeypatch):
    """Cut without its end token, a long prompt's embedding is another one; a short one's is not."""
    network = clip.Clip(clip_folder(tmp_path / "clip", 512), torch.device("cpu"))
    # a random network's cosines are as often negative, which CLIPScore counts as 0: keep them
    monkeypatch.setattr(clip.np, "maximum", lambda values, zero: values)
    for prompt, same in (("a cat", True), (LONG, False)):
        scored = network.score([Image.new("RGB", (32, 32), "grey")] * 2, [prompt] * 2)
        rows = [
            scores.Alignment(str(i), s.published, s.with_end_token, s.n_tokens, 5.0)
            for i, s in enumerate(scored)
        ]
        published, corrected = (
            headline("alignment", rows, s, "table_6") for s in both("clip_truncation")
        )
        assert abs(published) > 1e-3
        assert (published == pytest.approx(corrected)) is same


@pytest.mark.parametrize("name", backbones.NAMES)
def test_row_rank_randomness(name):
    """Published, image i of every GPU's batch has the same noise; corrected, none has another's."""

    def noises(settings):
        own = settings["backbones"][name]["train"]
        assert own["micro_batch"] * own["gpus"] == own["global_batch"]
        every = own["repeat_draws_every"]
        draws = [
            torch.randn(4, generator=randomness.slot_generator(0, 3, slot, every))
            for slot in range(own["global_batch"])
        ]
        return len({tuple(d.tolist()) for d in draws}), own

    (published, own), (corrected, _) = map(noises, both("rank_randomness"))
    assert published == own["micro_batch"] and corrected == own["global_batch"]


def test_row_flips(tmp_path):
    """Stored latents are 1 and their mirrored ones -1: which of them training reads."""
    zeros = {name: torch.full((16, 4, 4), -99.0) for name in ("logvar", "logvar_flip")}
    text = {"prompt_embeds": torch.zeros(2, 4), "pooled": torch.zeros(4)}
    means = {"mean": torch.ones(16, 4, 4), "mean_flip": -torch.ones(16, 4, 4)}
    path = tmp_path / "photo-0.safetensors"
    save_file(means | zeros | text, path)

    def share(settings):
        flip = settings["train"]["flip_probability"]
        draws = samples.Draws(0, 1, 0, flip, backbones.get("sd3").draw_u)
        data = samples.Samples([samples.Sample("photo", (tiny.listed(path),))], draws, cache=True)
        return sum(bool((data[step, 0]["z"] < 0).all()) for step in range(200)) / 200

    published, corrected = map(share, both("flips"))
    assert 0.4 < published < 0.6 and corrected == 0


def test_row_image_seed():
    seeds = [
        {image_seed(s["generate"]["seed_policy"], s["seed"], id) for id in ("a", "b", "c")}
        for s in both("image_seed")
    ]
    assert seeds[0] == {0} and len(seeds[1]) == 3


def test_row_score_input(tmp_path):
    """Published, metrics of the feature pass see the pixels in memory; corrected, the JPEG's."""
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    folder = Folder(tmp_path, png=True)
    folder.save("photo", pixels, digest="", seconds=0)
    shard = manifest.read(tiny.save_manifest(tmp_path / "shard.json", tmp_path))
    seen = []
    for settings in both("score_input"):
        score_input = settings["metrics"]["score_input"]
        assert generate.keeps_png(score_input) is (score_input == "memory")
        [picture] = inputs.generated(shard, score_input=score_input)
        seen.append(np.asarray(picture.load()))
    assert (seen[0] == pixels).all() and (seen[1] != pixels).any()
    [texture] = inputs.generated(shard)  # GLCM Score and Compression Ratio, in any case
    assert texture.path == folder.image("photo")
