"""What is known of downloads before they are there: their size, and whose pipeline it is.

Sizes: docs/sources.md, or four bytes a parameter; of photographs, by their number and mean sides.
An unknown one is no guess but a question mark.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Repository:
    """GB to download; of a pipeline of a backbone's class, the backbone."""

    gb: float
    backbone: str | None = None


REPOSITORIES = {
    "stabilityai/stable-diffusion-3-medium-diffusers": Repository(15, "sd3"),
    "black-forest-labs/FLUX.1-dev": Repository(34, "flux"),
    "zhang0jhon/flux_wavelet": Repository(44, "flux"),
    "zhang0jhon/flux_wavelet_v2_sc": Repository(44, "flux"),
    "timm/vit_base_patch16_clip_224.openai": Repository(0.6),
    "timm/vit_large_patch14_clip_224.openai": Repository(1.7),
    "timm/vgg16.tv_in1k": Repository(0.55),
}
# mean height and width, px, of the images of a data set's folders: Table 9 of the paper
PHOTOGRAPHS = {
    "zhang0jhon/Aesthetic-4K": {
        "train": (4578, 4838),
        "eval/size_2048": (3143, 3746),
        "eval/size_4096": (5269, 6420),
    }
}
FILES = {  # by the last part of their address
    "sac%2Blogos%2Bava1-l14-linearMSE.pth": 0.0037,
    "weights-inception-2015-12-05-6726825d.pth": 0.096,
    "inception-2015-12-05.pt": 0.096,
}
