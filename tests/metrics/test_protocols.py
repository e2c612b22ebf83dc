"""FID by both protocols, from two folders to the number, beside the libraries that define them.

With random weights; and with the real ones, by the checksums of the configuration, where a folder
holds them under the names that they are published by:

    DIFFUSION4K_WEIGHTS=FOLDER .venv/bin/python -m pytest tests/metrics/test_protocols.py
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import score as script
from diffusion4k.files import sha256
from tiny_pictures import write_folder

FILES = {
    "published": "weights-inception-2015-12-05-6726825d.pth",
    "clean": "inception-2015-12-05.pt",
}
GIVEN = os.environ.get("DIFFUSION4K_WEIGHTS")


@pytest.fixture(params=["random", "real"] if GIVEN else ["random"])
def flags(request, networks) -> dict[str, list[str]]:
    """Each protocol's --weights, with --sha256 only where the weights are not the real ones."""
    if request.param == "real":
        return {name: ["--weights", str(Path(GIVEN) / file)] for name, file in FILES.items()}
    folders = {"published": networks["inception"], "clean": networks["clean"]}
    paths = {name: folder / FILES[name] for name, folder in folders.items()}
    return {n: ["--weights", str(path), "--sha256", sha256(path)] for n, path in paths.items()}


@pytest.fixture
def sets(tmp_path) -> tuple[Path, Path]:
    """Two folders of five pictures of one size, of the same names."""
    return write_folder(tmp_path / "images"), write_folder(tmp_path / "photographs", seed=50)


def fid(sets, protocol: str, flags: list[str]) -> float:
    args = ["fid", *map(str, sets), "--protocol", protocol, "--crop", "64", "--device", "cpu"]
    return script.score(script.parser().parse_args([*args, *flags]))[1]["fid"]["value"]


def pixels(folder: Path) -> list[np.ndarray]:
    return [np.asarray(Image.open(path)) for path in sorted(folder.iterdir())]


def test_as_published_it_is_torchmetrics(sets, flags):
    from torchmetrics.image.fid import FrechetInceptionDistance

    weights = flags["published"][1]
    theirs = FrechetInceptionDistance(feature_extractor_weights_path=weights, antialias=False)
    theirs.set_dtype(torch.float64)
    for folder in sets:
        batch = torch.from_numpy(np.stack(pixels(folder))).permute(0, 3, 1, 2)
        theirs.update(batch, real=folder == sets[1])
    ours = fid(sets, "published", flags["published"])
    assert ours == pytest.approx(theirs.compute().item(), rel=1e-3) and ours > 0


def test_clean_it_is_clean_fids(sets, flags):
    from cleanfid.fid import fid_from_feats
    from cleanfid.inception_torchscript import InceptionV3W
    from cleanfid.resize import build_resizer

    network = InceptionV3W(str(Path(flags["clean"][1]).parent), download=False)
    features = []
    for folder in sets:
        resized = np.stack([build_resizer("clean")(image) for image in pixels(folder)])
        with torch.no_grad():
            features.append(network(torch.from_numpy(resized).permute(0, 3, 1, 2)).numpy())
    ours = fid(sets, "clean", flags["clean"])
    assert ours == pytest.approx(fid_from_feats(*features), rel=1e-3) and ours > 0
