"""CLIPScore, Aesthetics and Inception features with tiny random networks, and features.py."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import features
from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import aesthetics, clip, device, inception, scores

LONG = " ".join(f"a meadow with {n} yellow flowers," for n in range(30))
PROMPTS = ["a cat", "Two astronauts drinking coffee.", LONG]
LAYERS = {0: (1024, 768), 2: (128, 1024), 4: (64, 128), 6: (16, 64), 7: (1, 16)}
CPU = torch.device("cpu")


def clip_folder(folder: Path, width: int) -> Path:
    """A CLIP of one layer in the layout of timm/vit_base_patch16_clip_224.openai."""
    import open_clip
    from safetensors.torch import save_file

    config = {
        "embed_dim": width,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16},
        "text_cfg": {
            "context_length": 77,
            "vocab_size": 49408,
            "width": 32,
            "heads": 2,
            "layers": 1,
        },
    }
    config["vision_cfg"]["head_width"] = 16
    torch.manual_seed(width)
    model = open_clip.CLIP(**config)
    folder.mkdir()
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": config}))
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return folder


def head_file(path: Path) -> Path:
    torch.manual_seed(0)
    state = {}
    for layer, (out, width) in LAYERS.items():
        state[f"layers.{layer}.weight"] = torch.randn(out, width) / width**0.5
        state[f"layers.{layer}.bias"] = torch.randn(out)
    torch.save(state, path)
    return path


def inception_file(path: Path) -> Path:
    """Random Inception weights, made by the class itself with its download switched off."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(module.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), path)
    return path


def source(folder: Path, *files: Path, notes: tuple[str, ...] = ()) -> Path:
    """A manifest, as the sources stage writes them."""
    path = folder.with_name(f"{folder.name}.json")
    manifest.write(
        path, root=folder, files=files, inputs={}, settings={}, started=time.time(), notes=notes
    )
    return path


def picture(seed: int, height: int = 96, width: int = 96) -> Image.Image:
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def clean_file(path: Path) -> Path:
    """A TorchScript that answers clean-fid's calls, as the miniature makes it."""
    from diffusion4k.sources.miniature.metric_networks import make_inception_clean

    torch.manual_seed(1)
    return make_inception_clean(path)[0]


@pytest.fixture(scope="session")
def networks(tmp_path_factory) -> dict[str, Path]:
    """The networks' folders."""
    root = tmp_path_factory.mktemp("networks")
    for name in ("head", "inception"):
        (root / name).mkdir()
    head_file(root / "head" / "sac+logos+ava1-l14-linearMSE.pth")
    inception_file(root / "inception" / "weights-inception-2015-12-05-6726825d.pth")
    clean_file(root / "clean")
    clip_folder(root / "clip", 16)
    clip_folder(root / "clip_large", 768)
    return {name: root / name for name in ("clip", "clip_large", "head", "inception", "clean")}


@pytest.fixture(scope="session")
def small(networks) -> clip.Clip:
    return clip.Clip(networks["clip"], CPU)


def test_truncation(small):
    published, end, lengths = small.tokenize(PROMPTS)
    eot = small.tokenizer.eot_token_id
    assert torch.equal(published[:2], end[:2])
    assert lengths[0] == 4 and lengths[2] > 77
    assert end[2, -1] == eot and eot not in published[2]
    assert torch.equal(published[2, :-1], end[2, :-1])
    assert published[2, -1] == small.tokenizer.encode(LONG)[75]


def test_clipscore_equals_torchmetrics(small):
    """torchmetrics cuts the tokens itself; only the networks are ours."""
    from types import SimpleNamespace

    from torchmetrics.functional.multimodal import clip_score

    ids = [[49406, *small.tokenizer.encode(p), 49407] for p in PROMPTS]
    longest = max(map(len, ids))
    padded = torch.tensor([row + [49407] * (longest - len(row)) for row in ids])
    pictures = [picture(i) for i in range(3)]

    class Model(torch.nn.Module):
        config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=77))

        def get_image_features(self, pixels):
            return small.model.encode_image(pixels)

        def get_text_features(self, tokens, mask):
            return small.model.encode_text(tokens)

    def processor(text=None, images=None, **_):
        if text is not None:
            return {"input_ids": padded, "attention_mask": torch.ones_like(padded)}
        chw = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        return {"pixel_values": torch.stack([small.preprocess(image) for image in chw])}

    tensors = [torch.from_numpy(np.asarray(p).copy()).permute(2, 0, 1) for p in pictures]
    expected = clip_score(tensors, PROMPTS, model_name_or_path=lambda: (Model(), processor))
    ours = small.score(pictures, PROMPTS)
    each = torch.tensor([score.published for score in ours])
    # torchmetrics' functional form means before it clips
    cosines = small.embed_images(pictures) * small.embed_tokens(small.tokenize(PROMPTS)[0])
    raw = 100 * cosines.sum(-1)
    assert expected.item() == pytest.approx(max(raw.mean().item(), 0), abs=1e-4)
    assert torch.allclose(each, raw.clamp(min=0).double().to(each.dtype), atol=1e-5)
    assert [score.n_tokens for score in ours] == [len(row) for row in ids]
    assert ours[0].published == ours[0].with_end_token


def test_aesthetics_is_the_affine_map(networks):
    large = clip.Clip(networks["clip_large"], CPU)
    path = networks["head"] / "sac+logos+ava1-l14-linearMSE.pth"
    state = torch.load(path, weights_only=True)
    pictures = [picture(1), picture(2, 64, 128)]
    value = large.embed_images(pictures)
    assert torch.allclose(value.norm(dim=1), torch.ones(2))
    for layer in LAYERS:
        value = value @ state[f"layers.{layer}.weight"].T + state[f"layers.{layer}.bias"]
    ours = aesthetics.Aesthetics(large, path).score(pictures)
    assert ours == pytest.approx(value.flatten().tolist(), rel=1e-4)


def test_wrong_files_are_named(networks, small, tmp_path):
    class Malicious:
        def __reduce__(self):
            return print, ("executed",)

    torch.save({"layers.0.weight": Malicious()}, tmp_path / "bad.pth")
    torch.save({"other": torch.zeros(1)}, tmp_path / "other.pth")
    head = networks["head"] / "sac+logos+ava1-l14-linearMSE.pth"
    for name in ("bad.pth", "other.pth"):
        with pytest.raises(UserError, match=f"{name}: not LAION"):
            aesthetics.load_head(tmp_path / name)
        with pytest.raises(UserError, match=f"{name}: not the Inception"):
            inception.Inception(tmp_path / name, CPU)
    with pytest.raises(UserError, match="16 dimensions"):
        aesthetics.Aesthetics(small, head).score([picture(0)])
    with pytest.raises(UserError, match="no open_clip_config"):
        clip.Clip(tmp_path, CPU)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="--device cpu"):
            device.choose("cuda")


def write_dataset(root: Path, count: int) -> Path:
    folder = root / "data" / "eval"
    folder.mkdir(parents=True)
    lines = []
    for i in range(count):
        images.save_jpeg(folder / f"p{i}.jpg", np.asarray(picture(i, 100, 140 + i)))
        lines.append(json.dumps({"file_name": f"p{i}.jpg", "text": PROMPTS[i % 3]}))
    (folder / "metadata.jsonl").write_text("\n".join(lines))
    return source(root / "data", notes=("made from noise",))


def write_generated(root: Path, ids: list[str], size: int = 96) -> Path:
    files = [root / "generated" / "images" / f"{id}.jpg" for id in ids]
    for i, file in enumerate(files):
        images.save_jpeg(file, np.asarray(picture(50 + i, size, size)))
    path = root / "generated" / "shard-0-of-1.json"
    asked = {"height": 96, "width": 96}
    manifest.write(
        path, root=path.parent, files=files, inputs={}, settings=asked, started=time.time()
    )
    return path


@pytest.fixture
def arguments(networks, tmp_path, monkeypatch) -> list[str]:
    """features.py's flags for the networks and a data set of five photographs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    dataset = write_dataset(tmp_path, 5)
    made = {
        name: source(folder, *folder.iterdir(), notes=("random weights (miniature)",))
        for name, folder in networks.items()
    }
    flags = f"--dataset {dataset} --folder eval --clip {made['clip']} --device cpu"
    flags += f" --clip-large {made['clip_large']} --aesthetics-head {made['head']}"
    flags += f" --inception-clean {made['clean']} --crop 40 --crops 2"
    return f"{flags} --inception {made['inception']} --batch 2".split()


def run(*flags: object) -> None:
    features.run(features.parser().parse_args([str(flag) for flag in flags]))


def test_clean_features_equal_clean_fids(networks):
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    from diffusion4k.files import sha256

    path = networks["clean"] / "inception-2015-12-05.pt"
    theirs = InceptionV3W(str(networks["clean"]), download=False)
    pixels = [np.asarray(picture(i, 200 + i, 320)) for i in range(2)]
    resized = np.stack([build_resizer("clean")(p) for p in pixels])
    with torch.no_grad():
        expected = theirs(torch.from_numpy(resized).permute(0, 3, 1, 2)).numpy()
    ours = inception.CleanInception(path, sha256(path), CPU)(pixels)
    assert ours.shape == (2, 2048) and ours.std() > 0
    assert ours == pytest.approx(expected, rel=1e-6)


def test_clean_fids_program_is_not_loaded_unless_its_checksum_fits(networks, tmp_path, monkeypatch):
    from diffusion4k.files import sha256

    path = networks["clean"] / "inception-2015-12-05.pt"
    with monkeypatch.context() as patch:
        patch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("loaded"))
        with pytest.raises(UserError, match="its sha256 is not 0123"):
            inception.CleanInception(path, "0123", CPU)
    other = tmp_path / "other.pt"
    other.write_bytes(b"no TorchScript")
    with pytest.raises(UserError, match="other.pt: not clean-fid's TorchScript"):
        inception.CleanInception(other, sha256(other), CPU)


def test_crops_stand_at_even_distances_and_are_not_scaled():
    pixels = np.arange(100 * 160 * 3).reshape(100, 160, 3)
    crops = inception.crops(pixels, 40, 3)
    assert [c.shape for c in crops] == [(40, 40, 3)] * 9
    assert np.array_equal(crops[0], pixels[:40, :40])
    assert np.array_equal(crops[4], pixels[30:70, 60:100])
    assert np.array_equal(crops[8], pixels[60:, 120:])
    assert np.array_equal(inception.crops(pixels, 40, 1)[0], pixels[30:70, 60:100])
    with pytest.raises(UserError, match="299 px does not fit an image of 100x160 px"):
        inception.crops(pixels, 299, 1)


def test_features_of_generated_images(arguments, tmp_path, small, networks):
    shard = write_generated(tmp_path, ["p3", "p0", "p2"])
    output = tmp_path / "features-0-of-1.json"
    run("--images", shard, "--output", output, *arguments)
    made = manifest.read(output)
    assert made.notes == ["made from noise", "random weights (miniature)"]
    rows = scores.read_rows([made], scores.Alignment, 3)
    values = scores.read_features([made], "features")
    assert values.shape == (3, 2048) and len(np.unique(values[:, 0])) == 3
    order = rows["id"].tolist()
    patches = scores.read_features([made], "patches").reshape(3, 4, 2048)
    pixels = np.asarray(Image.open(shard.parent / "images" / "p2.jpg"))
    corners = [pixels[y : y + 40, x : x + 40] for y in (0, 56) for x in (0, 56)]
    network = inception.Inception(next(networks["inception"].iterdir()), CPU)
    assert patches[order.index("p2")] == pytest.approx(network(corners), rel=1e-4, abs=1e-4)
    assert scores.read_features([made], "clean").shape == (3, 2048)
    assert sorted(order) == ["p0", "p2", "p3"]
    image = images.load_rgb(shard.parent / "images" / "p2.jpg", exif_transpose=False)
    expected = small.score([image], [PROMPTS[2]])[0]
    at = order.index("p2")
    assert rows["clipscore_published"][at] == pytest.approx(expected.published, abs=1e-4)
    assert rows["clipscore_end_token"][at] == pytest.approx(expected.with_end_token, abs=1e-4)
    assert rows["n_tokens"][at] > 77
    assert np.isfinite(rows["aesthetics"]).all()
    assert not output.with_suffix(".progress").exists()


def test_features_of_the_reference_resume(arguments, tmp_path, monkeypatch):
    whole, part = tmp_path / "whole.json", tmp_path / "part.json"
    run("--reference", "--size", 96, "--output", whole, *arguments)
    real = inception.Inception.__call__
    calls = []

    def killed(self, batch):
        calls.append(len(batch))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, batch)

    monkeypatch.setattr(inception.Inception, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        run("--reference", "--size", 96, "--output", part, *arguments)
    run("--reference", "--size", 96, "--output", part, *arguments)
    # a batch of images, then their crops; two images were kept before the kill
    assert calls == [2, 8, 2, 2, 8, 1, 4]
    one, two = manifest.read(whole), manifest.read(part)
    assert [f.sha256 for f in one.files] == [f.sha256 for f in two.files]
    with pytest.raises(UserError, match="--size"):
        run("--reference", "--output", part, *arguments)


def test_features_refuse_what_does_not_fit(arguments, tmp_path):
    stranger = write_generated(tmp_path / "a", ["p0", "zebra"])
    with pytest.raises(UserError, match="no prompt for zebra"):
        run("--images", stranger, "--output", tmp_path / "f.json", *arguments)
    small_one = write_generated(tmp_path / "b", ["p0"], size=64)
    with pytest.raises(UserError, match="p0.jpg: 64x64 px .* 96x96 is expected"):
        run("--images", small_one, "--output", tmp_path / "f.json", *arguments)
    empty = manifest.read(write_generated(tmp_path / "c", ["p0"]))
    empty.paths()[0].write_bytes(b"")
    with pytest.raises(UserError, match="zero bytes"):
        run("--images", empty.path, "--output", tmp_path / "f.json", *arguments)
