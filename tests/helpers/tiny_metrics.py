"""The metrics' networks with random weights, in the layouts of their files: CLIP, the aesthetics
head, Inception twice."""

import json
import time
from pathlib import Path

import pytest
import torch

from diffusion4k import manifest

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


def clean_file(path: Path) -> Path:
    """A TorchScript that answers clean-fid's calls, as the miniature makes it."""
    from diffusion4k.sources.miniature.metric_networks import make_inception_clean

    torch.manual_seed(1)
    return make_inception_clean(path)[0]


def networks(root: Path) -> dict[str, Path]:
    """The networks' folders."""
    for name in ("head", "inception"):
        (root / name).mkdir()
    head_file(root / "head" / "sac+logos+ava1-l14-linearMSE.pth")
    inception_file(root / "inception" / "weights-inception-2015-12-05-6726825d.pth")
    clean_file(root / "clean")
    clip_folder(root / "clip", 512)
    clip_folder(root / "clip_large", 768)
    return {name: root / name for name in ("clip", "clip_large", "head", "inception", "clean")}


def source(folder: Path, *files: Path, notes: tuple[str, ...] = ()) -> Path:
    """A manifest, as the sources stage writes them."""
    path = folder.with_name(f"{folder.name}.json")
    manifest.write(
        path, root=folder, files=files, inputs={}, settings={}, started=time.time(), notes=notes
    )
    return path
