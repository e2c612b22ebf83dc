"""CLIPScore, Aesthetics and Inception features with tiny random networks."""

import numpy as np
import pytest
import torch
from PIL import Image

from diffusion4k import device
from diffusion4k.errors import UserError
from diffusion4k.metrics import aesthetics, clip, inception
from tiny_metrics import CPU, LAYERS, LONG, PROMPTS
from tiny_pictures import picture


def test_truncation(small):
    published, end, lengths = small.tokenize(PROMPTS)
    eot = small.tokenizer.eot_token_id
    assert torch.equal(published[:2], end[:2])
    assert lengths[0] == 4 and lengths[2] > 77
    assert end[2, -1] == eot and eot not in published[2]
    assert torch.equal(published[2, :-1], end[2, :-1])
    assert published[2, -1] == small.tokenizer.encode(LONG)[75]


ODD = [
    "it’s a “quiet” morning — mist",
    "rock &amp; roll, &lt;b&gt;",
    "ﬁeld  ofＦull width\u2028and a\tTAB",
    "I’ll, I'LL and CAFE\u0301",
    "İstanbul ΣΑΣ, 1234 №5 🦊🏽",
    LONG,
]


@pytest.mark.parametrize("prompt", ODD)
def test_prompts_have_the_tokens_that_the_release_gives_them(small, prompt):
    """torchmetrics tokenizes with transformers, whose CLIP tokenizer cleans less than open_clip's.

    The vocabulary is open_clip's own, written out as transformers reads it.
    """
    from transformers import CLIPTokenizer

    ours = small.tokenizer
    ends = {"<start_of_text>": "<|startoftext|>", "<end_of_text>": "<|endoftext|>"}
    vocabulary = {ends.get(token, token): id for token, id in ours.encoder.items()}
    merges = sorted(ours.bpe_ranks, key=ours.bpe_ranks.get)
    theirs = CLIPTokenizer(vocab=vocabulary, merges=[tuple(pair) for pair in merges])
    assert [49406, *ours.encode(prompt), 49407] == theirs(prompt)["input_ids"]


def test_another_clip_gives_no_clipscore(networks):
    large = clip.Clip(networks["clip_large"], CPU)
    with pytest.raises(UserError, match="CLIPScore embeds in 768 dimensions, ViT-B/16 in 512"):
        large.score([picture(0)], ["a cat"])


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
    with pytest.raises(UserError, match="512 dimensions"):
        aesthetics.Aesthetics(small, head).score([picture(0)])
    with pytest.raises(UserError, match="no open_clip_config"):
        clip.Clip(tmp_path, CPU)
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="--device cpu"):
            device.choose("cuda")
    for name in ("gpu", "mps", "cuda:", ""):
        with pytest.raises(UserError, match="must be auto, cpu, cuda or cuda:N"):
            device.choose(name)


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
