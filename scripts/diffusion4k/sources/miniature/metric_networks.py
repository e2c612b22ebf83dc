"""Networks of the metrics, in the very files of the real ones: CLIP, aesthetics, Inception, VGG.

Their weights are random. So that a random network answers differently to different pictures at all,
its normalisations are those of the photographs: CLIP's features are centred on them, Inception's
batch normalisations hold their statistics. Nothing is fitted to captions, or to what looks alike.
"""

import json
import warnings
import zipfile
from io import BytesIO
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from diffusion4k.files import atomic, write_text
from diffusion4k.images import center_crop, resize_shorter_side
from diffusion4k.sources.miniature.photographs import PHOTOGRAPHS

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
CLIP_WIDTH = 64
HEAD_SIZES = {0: (768, 1024), 2: (1024, 128), 4: (128, 64), 6: (64, 16), 7: (16, 1)}


def make_clip(folder: Path, *, embed_dim: int, patch_size: int) -> list[Path]:
    """An open_clip folder as timm/vit_base_patch16_clip_224.openai, two layers of width 64.

    Its two projections are random: a caption is as near to any picture as to its own photograph.
    """
    import open_clip

    tower = {"layers": 2, "width": CLIP_WIDTH}
    config = {
        "embed_dim": embed_dim,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 224, "patch_size": patch_size, "head_width": 16} | tower,
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "heads": 4} | tower,
    }
    model = open_clip.model.CLIP(**config).eval().requires_grad_(False)
    # at the scale that CLIP starts its training from, a random encoder hardly sees its input
    for transformer in (model.visual.transformer, model.transformer):
        for parameter in transformer.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=1.5 * parameter.shape[1] ** -0.5)
    nn.init.normal_(model.token_embedding.weight, std=1.0)
    for projection in (model.visual.proj, model.text_projection):
        nn.init.orthogonal_(projection)

    normalise = open_clip.image_transform(224, is_train=False, mean=CLIP_MEAN, std=CLIP_STD)
    pictures = torch.stack([normalise(image) for image in _squares(224)])
    with torch.no_grad():
        _centre(model.visual.ln_post, model.visual, pictures)
    write_text(
        folder / "open_clip_config.json",
        json.dumps(
            {"model_cfg": config, "preprocess_cfg": {"mean": CLIP_MEAN, "std": CLIP_STD}}, indent=1
        ),
    )
    weights = _save_safetensors(folder / "open_clip_model.safetensors", model.state_dict())
    return [folder / "open_clip_config.json", weights]


def make_aesthetics_head(folder: Path) -> list[Path]:
    """LAION's linear head: random, its scores about 5 with a spread of half a point."""
    state = {}
    for index, (inputs, outputs) in HEAD_SIZES.items():
        state[f"layers.{index}.weight"] = torch.randn(outputs, inputs) * inputs**-0.5
        state[f"layers.{index}.bias"] = torch.zeros(outputs)
    # an embedding has length 1, hence entries of 1/sqrt(768)
    state["layers.7.weight"] *= 0.5 * 768**0.5
    state["layers.7.bias"] += 5.0
    return [_save_pickle(folder / "sac+logos+ava1-l14-linearMSE.pth", state)]


def make_inception(folder: Path) -> list[Path]:
    """The weights of torch-fidelity's InceptionV3, random, batch statistics of the photographs.

    A random network sees fine texture before all else: a blurred photograph may be farther from the
    photographs than noise is.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torchvision.models import inception_v3

    # torchvision's network has the same tensors, and can be built without a file of weights
    start = inception_v3(weights=None, num_classes=1008, aux_logits=False, init_weights=False)
    file = BytesIO()
    torch.save(start.state_dict(), file)
    file.seek(0)
    network = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=file
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # the statistics become those of the one batch
    network.train()
    network(torch.stack([_uint8(image) for image in _squares(256)]))
    return [
        _save_pickle(folder / "weights-inception-2015-12-05-6726825d.pth", network.state_dict())
    ]


def make_inception_clean(folder: Path) -> list[Path]:
    """A stand-in for clean-fid's TorchScript: the same calls and shapes, two layers, random."""
    layers = nn.Sequential(
        nn.Conv2d(3, 32, 7, stride=4),
        nn.ReLU(),
        nn.Conv2d(32, 64, 5, stride=4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.Linear(64 * 16, 2048),
        nn.ReLU(),
    )
    # traced, not scripted: a script writes its constants in the order of Python's random hashes
    buffer = BytesIO()
    with warnings.catch_warnings(action="ignore"):  # deprecated, but what the real file is
        traced = torch.jit.trace(_Layers(layers).eval(), torch.zeros(1, 3, 299, 299))
        torch.jit.save(traced, buffer)
    path = folder / "inception-2015-12-05.pt"
    with atomic(path) as temporary:
        temporary.write_bytes(_without_debug(buffer))
    return [path]


def _without_debug(file: BytesIO) -> bytes:
    """A TorchScript without its debug records: they name the folder that it was traced in."""
    kept = BytesIO()
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(kept, "w") as stripped:
        for name in whole.namelist():
            if not name.endswith((".debug_pkl", "/.data/serialization_id")):
                stripped.writestr(zipfile.ZipInfo(name), whole.read(name))
    return kept.getvalue()


class _Layers(nn.Module):
    """What clean-fid asks of the file: a module with the network as its `layers`."""

    def __init__(self, layers: nn.Module):
        super().__init__()
        self.layers = layers

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def make_vgg16(folder: Path, *, narrower: int = 1) -> list[Path]:
    """The convolutions of VGG-16 under torchvision's names, random, in pairs of opposite sign.

    So initialised (Balduzzi 2017, "looks linear") a ReLU loses nothing, and few random channels
    prefer no colour and no direction of an error; without, LPIPS by the narrow network is lowered
    by a green cast. `narrower`: by how much each is; 4 takes a sixteenth of the arithmetic.
    """
    state, channels, index = {}, 3, 0
    for full, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        width = full // narrower
        for _ in range(convolutions):
            first = not state
            half = torch.empty(width // 2, channels if first else channels // 2, 3, 3)
            nn.init.kaiming_normal_(half, mode="fan_out", nonlinearity="relu")
            weight = torch.cat([half, -half])
            if not first:
                weight = torch.cat([weight, -weight], dim=1)
            state[f"features.{index}.weight"] = weight
            state[f"features.{index}.bias"] = torch.zeros(width)
            channels, index = width, index + 2  # a ReLU follows
        index += 1  # the pooling
    return [_save_safetensors(folder / "model.safetensors", state)]


def _centre(norm: nn.LayerNorm, tower: nn.Module, pictures: Tensor) -> None:
    """Shift a LayerNorm so that its output has mean zero over the pictures."""
    outputs: list[Tensor] = []
    hook = norm.register_forward_hook(lambda module, args, output: outputs.append(output))
    tower(pictures)
    hook.remove()
    norm.bias.data -= outputs[0].mean(dim=tuple(range(outputs[0].ndim - 1)))


def _squares(size: int) -> list[Image.Image]:
    """The photographs' central squares of `size` px."""
    opened = (photograph.open() for photograph in PHOTOGRAPHS)
    return [center_crop(resize_shorter_side(image, size), size) for image in opened]


def _uint8(image: Image.Image) -> Tensor:
    """RGB image => uint8 CHW."""
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    return pixels.view(image.height, image.width, 3).permute(2, 0, 1)


def _save_safetensors(path: Path, state: dict[str, Tensor]) -> Path:
    with atomic(path) as temporary:
        save_file({key: value.contiguous() for key, value in state.items()}, temporary)
    return path


def _save_pickle(path: Path, state: dict[str, Tensor]) -> Path:
    # through a buffer: torch.save writes a file's own, here temporary, name into its archive
    buffer = BytesIO()
    torch.save(dict(state), buffer)
    with atomic(path) as temporary:
        temporary.write_bytes(buffer.getvalue())
    return path
