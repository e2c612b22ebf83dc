"""The scale-consistent VAE's training: what it leaves, what stops it, what it is trained on."""

import json

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL
from PIL import Image

import tiny
from diffusion4k import manifest, monitor
from diffusion4k.data import check, listing
from diffusion4k.errors import UserError
from diffusion4k.pipelines.export import export
from diffusion4k.pipelines.folder import PipelineFolder, vae_folder
from diffusion4k.train import autoencoder, photographs
from diffusion4k.train.autoencoder_settings import AutoencoderSettings
from diffusion4k.vae import discriminator
from tiny_training import job_for, make_vae_inputs, recipe, train

pytestmark = pytest.mark.usefixtures("fresh_accelerator")


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    root = tmp_path_factory.mktemp("inputs")
    make_vae_inputs(root)
    return root


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory):
    job = job_for(inputs, tmp_path_factory.mktemp("trained"), "vae")
    train(recipe("vae"), job)
    return job.output


def state(folder):
    return AutoencoderKL.from_pretrained(folder).state_dict()


def test_the_result_is_a_diffusers_vae_whose_encoder_is_the_old_one(inputs, trained):
    before, after = state(inputs / "vae" / "vae"), state(trained.with_suffix("") / "vae")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(name.startswith("decoder.") for name in changed)
    made = manifest.read(trained)
    assert manifest.verify(made) == [] and made.notes == ["random weights (test)"]
    told = json.loads((made.root / "vae" / "config.json").read_text(encoding="utf-8"))
    assert str(inputs) not in str(told)


def test_reconstructions_of_held_out_photographs_are_drawn_at_each_save(trained):
    pictures = sorted((trained.parent / "progress" / "pictures").iterdir())
    assert [path.stem for path in pictures] == ["step-000002", "step-000004", "step-000006"]
    # two photographs held out; each, the F8 VAE's and the student's
    shapes = {np.asarray(Image.open(path)).shape for path in pictures}
    assert shapes == {(2 * 32, 3 * 32, 3)}


def test_an_encoder_is_trained_where_that_is_asked(inputs, tmp_path):
    job = job_for(inputs, tmp_path, "vae", stop_step=2)
    train(recipe("vae", encoder="trained", ema=0.0, adversarial=0.0), job)
    before, after = state(inputs / "vae" / "vae"), state(job.output.with_suffix("") / "vae")
    assert any(
        not torch.equal(before[name], after[name]) for name in before if name.startswith("encoder.")
    )


def test_a_value_that_is_not_finite_names_step_and_images(inputs, tmp_path, monkeypatch):
    read = photographs.Photographs.__getitem__

    def poisoned(self, key):
        item = read(self, key)
        return item | ({"eps": item["eps"] * float("nan")} if key == (3, 1) else {})

    monkeypatch.setattr(photographs.Photographs, "__getitem__", poisoned)
    with pytest.raises(UserError, match=r"step 4: loss nan.*photo_\d.*checkpoint-000002"):
        train(recipe("vae"), job_for(inputs, tmp_path, "vae"))


ROW = {"discriminator_real": 0.5, "discriminator_fake": 0.4, "adaptive_weight": 3.0}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"discriminator_real": 0.9999, "discriminator_fake": 0.9998}, "answers 0.9999"),
        ({"discriminator_real": 0.9999, "discriminator_fake": 0.0001}, None),
        ({"adaptive_weight": 1e4}, "adaptive weight"),
    ],
)
def test_a_collapsed_discriminator_stops_the_training(change, said):
    rows = [ROW | change] * monitor.WINDOW
    found = discriminator.collapse(rows)
    assert (found is None) if said is None else (said in found)
    assert discriminator.collapse(rows[1:]) is None
    assert discriminator.collapse([*rows[1:], ROW]) is None
    settings = AutoencoderSettings(decoder_batch=1, micro_batch=1)
    task = autoencoder.ScaleConsistency(settings)
    whole = [row | {"loss": 1.0} for row in rows]
    ill = task.ailment(whole[-1], whole[:-1])
    assert (ill is None) if said is None else (said in ill)


def nested(root) -> manifest.Manifest:
    for number in range(12):
        folder = root / "own" / f"part_{number % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40, 36), (number, 0, 0)).save(folder / f"{number}.png")
    (root / "own" / "notes.txt").write_text("no image")
    return manifest.read(tiny.save_manifest(root / "own.json", root / "own"))


def test_any_folder_of_images_will_do(tmp_path):
    dataset = nested(tmp_path)
    found = listing.of(dataset, ".", captioned=False)
    assert len(found) == 12 and found[0].id == "part_0-0"
    assert len(listing.of(dataset, "part_1", captioned=False)) == 4
    training, held_out = listing.divide(found, 3, seed=0)
    assert len(training) == 9 and {p.id for p in training}.isdisjoint(p.id for p in held_out)
    # a function of the names: fewer images move nobody from one side to the other
    fewer = [p for p in found if p.id != training[0].id]
    assert {p.id for p in listing.divide(fewer, 3, seed=0)[1]} == {p.id for p in held_out}
    with pytest.raises(UserError, match="hold out fewer"):
        listing.divide(found, 12, seed=0)
    with pytest.raises(UserError, match="no images"):
        listing.of(dataset, "part_9", captioned=False)


def test_two_images_of_one_name_and_a_broken_one_are_named(tmp_path):
    dataset = nested(tmp_path)
    broken = tmp_path / "own" / "part_0" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    reports = [check.inspect(p, captioned=False) for p in listing.of(dataset, ".", captioned=False)]
    assert [report.file_name for report in reports if report.reasons] == ["0.png"]
    Image.new("RGB", (40, 36)).save(tmp_path / "own" / "part_0" / "0.jpg")
    again = manifest.read(tiny.save_manifest(tmp_path / "own.json", tmp_path / "own"))
    with pytest.raises(UserError, match="rename one"):
        listing.of(again, ".", captioned=False)


def test_a_pipeline_with_the_trained_vae_has_it_and_encodes_the_same(trained, tmp_path):
    base = PipelineFolder.open(tiny.save_pipeline("flux", tmp_path))
    folder = vae_folder(manifest.read(trained))
    files = export(base, None, tmp_path / "out", vae=folder, decoder="published")
    theirs = (tmp_path / "out" / "vae" / "diffusion_pytorch_model.safetensors").read_bytes()
    assert theirs == (folder / "diffusion_pytorch_model.safetensors").read_bytes()
    names = {path.relative_to(tmp_path / "out").parts[0] for path in files}
    assert {"transformer", "text_encoder", "vae", "diffusion4k.json"} <= names
    made = PipelineFolder.open(tmp_path / "out")
    how = {"dtype": torch.float32, "device": "cpu", "without_transformer": True}
    picture = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.no_grad():
        new, swapped = (
            pipeline.vae.encode(picture).latent_dist.mean
            for pipeline in (made.load(**how), base.with_vae(trained).load(**how))
        )
    assert torch.equal(new, swapped)
    assert base.with_vae(trained).fingerprint(transformer=False) != base.fingerprint(
        transformer=False
    )
    other = tiny.save_manifest(tmp_path / "no.json", tmp_path / "flux" / "transformer")
    with pytest.raises(UserError, match="cannot take the place"):
        base.with_vae(other)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 33}, "size: 33 px is no multiple"),
        ({"size": 64, "resize": 64, "discriminator_depth": 6}, "too small for a discriminator"),
        ({"resize": 256}, "resize: crops of 512 px do not fit"),
        ({"encoder": "thawed"}, "encoder: 'thawed'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(changes, said):
    with pytest.raises(UserError, match=said):
        AutoencoderSettings(decoder_batch=4, micro_batch=4, **changes)
    with pytest.raises(UserError, match="decoder_batch: 6 images cannot be dealt out"):
        AutoencoderSettings(decoder_batch=6, micro_batch=4).accumulation(1)
