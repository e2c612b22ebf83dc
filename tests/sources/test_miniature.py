"""The miniature's sources: layout, captions, determinism; each loads as the real one does."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import make_miniature
from diffusion4k import images, manifest
from diffusion4k.data import captions as metadata
from diffusion4k.sources.miniature import architectures, dataset, metric_networks, text_models
from diffusion4k.sources.miniature.notes import plumbing
from diffusion4k.sources.miniature.photographs import PHOTOGRAPHS, UNSEEN

CAPTIONS = [caption for photograph in PHOTOGRAPHS for caption in photograph.captions]
CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """make_miniature pins one thread; the session's other tests get theirs back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def make(folder: Path, what: str, *flags: str) -> manifest.Manifest:
    output = folder / f"{what}.json"
    args = ["--what", what, "--folder", str(folder / what), "--output", str(output), *flags]
    make_miniature.run(make_miniature.parser().parse_args(args))
    return manifest.read(output)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Each source, made once, at the least size."""
    folder, made = tmp_path_factory.mktemp("sources"), {}

    def get(what: str) -> manifest.Manifest:
        if what not in made:
            flags = ("--size", "128", "--small-size", "64", "--vae-steps", "2")
            made[what] = make(folder, what, *flags)
        return made[what]

    return get


@pytest.mark.parametrize(
    ("folder", "count", "least"),
    [("train", 36, 128), ("eval/size_2048", 12, 64), ("eval/size_4096", 6, 128)],
)
def test_data_set_is_laid_out_like_aesthetic_4k(sources, folder, count, least):
    source = sources("aesthetic_4k")
    samples = metadata.read(source.root, folder)
    assert len(samples) == count == source.results[folder]
    for sample in samples:
        image = images.load_rgb(sample.path, exif_transpose=True)
        assert least <= min(image.size) <= 1.1 * least + 1
        assert 1.0 <= max(image.size) / min(image.size) < 1.5
    on_disk = set((source.root / folder).iterdir()) - {source.root / folder / "metadata.jsonl"}
    assert on_disk == {sample.path for sample in samples}
    assert manifest.verify(source) == []


def test_evaluation_crops_are_held_out_and_ask_for_known_photographs(sources):
    root = sources("aesthetic_4k").root
    train = metadata.read(root, "train")
    for folder in ("eval/size_2048", "eval/size_4096"):
        for sample in metadata.read(root, folder):
            assert sample.text in {other.text for other in train}
            assert sample.path.read_bytes() not in {other.path.read_bytes() for other in train}


def test_vaes_learn_from_the_training_crops_in_colour_and_in_grey(sources):
    source = sources("photographs")
    files = sorted((source.root / "seen").iterdir())
    assert len(files) == source.results["seen"] == 72
    for colour, grey in zip(files[::2], files[1::2], strict=True):
        assert colour.name.replace("colour", "grey") == grey.name
        assert (np.asarray(Image.open(colour).convert("L"))[..., None] == Image.open(grey)).all()


def test_photographs_that_no_training_saw_are_a_split_of_their_own(sources):
    source = sources("photographs")
    samples = metadata.read(source.root, "unseen")
    assert len(samples) == len(UNSEEN) == source.results["unseen"] == 7
    assert {photo.file for photo in PHOTOGRAPHS}.isdisjoint(photo.file for photo in UNSEEN)
    for sample in samples:
        with Image.open(sample.path) as image:
            assert min(image.size) == 128 and np.asarray(image).std() > 10
    assert manifest.verify(source) == []


def test_captions_are_sentences_of_ten_to_twenty_words_that_open_alike():
    assert len(set(CAPTIONS)) == 36
    assert all(10 <= len(caption.split()) <= 20 for caption in CAPTIONS)
    openings = [
        {" ".join(c.replace(",", "").split()[:3]) for c in photo.captions} for photo in PHOTOGRAPHS
    ]
    assert all(len(opening) == 1 for opening in openings)
    assert len(set.union(*openings)) == len(PHOTOGRAPHS)


def test_data_set_is_a_function_of_the_seed(sources, tmp_path):
    first = sources("aesthetic_4k")
    flags = ("--size", "128", "--small-size", "64")
    again = make(tmp_path / "again", "aesthetic_4k", *flags)
    other = make(tmp_path / "other", "aesthetic_4k", *flags, "--seed", "1")
    assert again.files == first.files
    assert {f.sha256 for f in other.files}.isdisjoint(
        {f.sha256 for f in first.files if f.name.endswith(("jpg", "png"))}
    )


def test_tokenizers_keep_every_word_of_a_caption_whole():
    clip, t5 = text_models.clip_tokenizer(CAPTIONS), text_models.t5_tokenizer(CAPTIONS)
    for caption in CAPTIONS:
        words = caption.replace(",", " ,").split()
        assert clip.decode(clip(caption).input_ids[1:-1]).split() == words
        # start and end in CLIP, end alone in T5
        assert len(clip(caption).input_ids) == len(words) + 2 <= text_models.TOKENS
        assert len(t5(caption).input_ids) == len(words) + 1
        assert t5.unk_token_id not in t5(caption).input_ids
    assert clip.unk_token_id not in clip("Zyx-Ångström 42!").input_ids[1:-1]
    second = text_models.clip_tokenizer(CAPTIONS, pad="!")
    assert second.pad_token == "!"


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_pipelines_load_offline_and_draw(sources, name):
    from diffusion4k import backbones
    from diffusion4k.pipelines.folder import PipelineFolder

    source = sources(name)
    folder = PipelineFolder.open(source.path)
    assert folder.backbone.name == name
    pipeline = folder.load(dtype=torch.float32, device="cpu")
    encoders = [pipeline.text_encoder, pipeline.text_encoder_2]
    beside = [part for name, part in pipeline.components.items() if "encoder" in name]
    count = sum(
        p.numel() for part in [*filter(None, beside), pipeline.vae] for p in part.parameters()
    )
    assert count == architectures.MINIATURE[name].beside
    assert not any(module.training for module in [*encoders, pipeline.vae])
    assert {"vae_psnr", "vae_loss", "vae_cpu_seconds"} <= source.results.keys()

    backbone = backbones.get(name)
    encoded = backbone.encode_text(pipeline, [CAPTIONS[0], CAPTIONS[3]], 24, CPU)
    assert len(encoded[0]["prompt_embeds"]) == 24 + (text_models.TOKENS if name == "sd3" else 0)
    for key, value in encoded[0].items():
        assert (value - encoded[1][key]).std() > 0.3, f"{key} tells captions apart"

    height, width = 64, 96
    picture = pipeline(
        prompt=CAPTIONS[0],
        height=height,
        width=width,
        num_inference_steps=2,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
        **backbone.call_arguments(t5_tokens=24, negative_prompt=""),
    ).images
    assert picture.shape == (1, height, width, 3)
    assert np.isfinite(picture).all()


@pytest.mark.parametrize("name", ["sd3", "flux"])
def test_vae_statistics_are_those_of_its_f16_latents(sources, name):
    from diffusers import AutoencoderKL

    from diffusion4k.vae.f16 import make_f16

    vae = AutoencoderKL.from_pretrained(sources(name).root, subfolder="vae")
    assert vae.config.latent_channels == 16
    assert len(vae.config.block_out_channels) == 4
    make_f16(vae, encoder="stride", decoder="folded")
    train = dataset.splits(128, 64)[0]
    squares = [
        images.center_crop(images.resize_shorter_side(crop.image, 128), 128)
        for crop in dataset.crops(train, make_miniature.own_seed(name, 0))
    ]
    pixels = torch.from_numpy(np.stack([images.to_float(square) for square in squares]))
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mean
    assert latents.shape == (36, 16, 8, 8)
    normalised = (latents - vae.config.shift_factor) * vae.config.scaling_factor
    assert normalised.mean().item() == pytest.approx(0, abs=1e-3)
    assert normalised.std().item() == pytest.approx(1, abs=1e-3)


def test_pipelines_are_a_function_of_the_seed_and_differ(sources, tmp_path):
    flags = ("--size", "128", "--vae-steps", "2")
    assert make(tmp_path, "flux", *flags).files == sources("flux").files
    vaes = [
        next(file.sha256 for file in sources(name).files if file.name.startswith("vae/diff"))
        for name in ("sd3", "flux")
    ]
    assert vaes[0] != vaes[1]


@pytest.mark.parametrize(("name", "width"), [("clip", 512), ("clip_large", 768)])
def test_clip_is_random_but_tells_pictures_and_captions_apart(sources, name, width):
    import open_clip

    root = sources(name).root
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{root}")
    assert type(model.visual.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"
    tokens = open_clip.get_tokenizer(f"local-dir:{root}")([p.captions[0] for p in PHOTOGRAPHS])
    pictures = torch.stack([preprocess(square) for square in metric_networks._squares(128)])
    with torch.no_grad():
        seen = model.eval().encode_image(pictures, normalize=True)
        read = model.encode_text(tokens, normalize=True)
    assert seen.shape == read.shape == (12, width)
    cosines = seen @ read.T
    assert cosines.std(dim=0).min() > 0.01 and cosines.std(dim=1).min() > 0.01
    # nothing is fitted: a caption's own photograph is the nearest no oftener than by chance
    own = cosines.argmax(dim=1) == torch.arange(12)
    assert own.sum() <= 4  # by chance 5 or more once in 390 draws
    assert (cosines.diag().mean() - cosines.mean()).abs() < 3 * cosines.std() / 12**0.5


def test_aesthetics_head_scores_about_five(sources):
    from diffusion4k.metrics import aesthetics, inputs

    head = aesthetics.load_head(inputs.weights(sources("aesthetics_head")))
    embeddings = torch.nn.functional.normalize(torch.randn(500, 768), dim=1)
    with torch.no_grad():
        scores = head(embeddings)
    assert scores.mean().item() == pytest.approx(5, abs=0.3)
    assert 0.2 < scores.std().item() < 1.0


def test_inception_is_random_and_tells_photographs_apart(tmp_path, monkeypatch):
    from diffusion4k.metrics import inputs
    from diffusion4k.metrics.inception import Inception

    squares = metric_networks._squares(64)[:3]
    monkeypatch.setattr(metric_networks, "_squares", lambda size: squares)
    source = make(tmp_path, "inception")
    path = inputs.weights(source)
    assert path.name == "weights-inception-2015-12-05-6726825d.pth"
    features = Inception(path, CPU)([np.asarray(square) for square in squares])
    assert features.shape == (3, 2048)
    assert 0.05 < features.mean() < 5
    assert features.std(axis=0).mean() > 0.05
    stem = torch.load(path, weights_only=True)["Conv2d_1a_3x3.conv.weight"]
    assert (stem.std(dim=(2, 3)) > 0).all()  # no average over space, to which blur would be near


def test_vgg16_has_torchvisions_convolutions_in_pairs_of_opposite_sign(sources):
    from safetensors.torch import load_file
    from torchvision.models import vgg16

    with torch.device("meta"):
        expected = vgg16(weights=None).features.state_dict()
    state = load_file(sources("vgg16").root / "model.safetensors")
    assert {f"features.{key}" for key in expected} == state.keys()
    for key, value in expected.items():
        one, other = state[f"features.{key}"].chunk(2)
        assert torch.cat([one, other]).shape == value.shape
        assert torch.equal(one, -other)


def test_manifest_says_that_it_is_a_miniature(sources):
    for what in ("aesthetic_4k", "photographs", "sd3", "aesthetics_head"):
        assert all(map(plumbing, sources(what).notes))


def test_sizes_that_no_pipeline_could_draw_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        make(tmp_path, "aesthetic_4k", "--size", "100")
    assert "--size: should be at least 64 and a multiple of 32, not 100" in capsys.readouterr().err


def test_help_is_quick_and_names_every_source():
    script = Path(make_miniature.__file__)
    result = subprocess.run(
        [sys.executable, "-X", "importtime", script, "--help"], capture_output=True, text=True
    )
    assert result.returncode == 0
    assert all(what in result.stdout for what in make_miniature.WHATS)
    assert "torch" not in result.stderr


def test_clean_fids_network_loads_and_does_not_name_the_folder_that_made_it(tmp_path):
    torch.manual_seed(0)
    [path] = metric_networks.make_inception_clean(tmp_path)
    assert str(Path(metric_networks.__file__).parent).encode() not in path.read_bytes()
    with zipfile.ZipFile(path) as content:
        assert not [name for name in content.namelist() if name.endswith("debug_pkl")]
    network = torch.jit.load(path)
    assert network(torch.zeros(1, 3, 299, 299)).isfinite().all()
