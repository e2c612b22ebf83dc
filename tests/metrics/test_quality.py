"""No-reference quality: pyiqa lives in an environment of its own."""

import time

import numpy as np
import pytest
import torch

import quality as script
import rounding
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import quality, scores
from tiny_pictures import generated, picture


def test_quality_without_pyiqa_is_one_clear_line(tmp_path):
    flags = ["--images", "i", "--musiq", "m", "--maniqa", "n", "--output", str(tmp_path / "q.json")]
    with pytest.raises(UserError, match="run `make env-iqa`"):
        script.run(script.parser().parse_args(flags))


def test_quality_takes_weights_from_files_alone(pyiqa, tmp_path, monkeypatch):
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    network, paths = torch.nn.Linear(3, 1), {}
    for name, wrap in (("musiq", lambda s: s), ("maniqa", lambda s: {"params": s})):
        paths[name] = tmp_path / f"{name}.pth"
        torch.save(wrap(network.state_dict()), paths[name])
    found = quality.Quality(paths, torch.device("cpu"))(picture(0))
    assert found["musiq"] == found["maniqa"]
    mean = torch.from_numpy(np.asarray(picture(0)).mean((0, 1)) / 255).float()
    # as many pixels as the mean has, times weights below 1
    close = rounding.tolerance(terms=picture(0).width * picture(0).height, scale=3)
    assert found["musiq"] == pytest.approx(network(mean).item(), abs=close)
    assert pyiqa == ["test_vit", "test_vit"]
    torch.save({"other": torch.zeros(1)}, paths["musiq"])
    with pytest.raises(UserError, match="musiq.pth: not pyiqa's weights of musiq"):
        quality.Quality(paths, torch.device("cpu"))


def test_the_script_scores_each_picture_once(pyiqa, tmp_path):
    flags = {"images": generated(tmp_path, {"i0": (64, 96), "i1": (96, 64)})}
    flags["output"] = tmp_path / "quality.json"
    for name, wrap in (("musiq", lambda s: s), ("maniqa", lambda s: {"params": s})):
        weights, flags[name] = tmp_path / name / "w.pth", tmp_path / f"{name}.json"
        weights.parent.mkdir()
        torch.save(wrap(torch.nn.Linear(3, 1).state_dict()), weights)
        manifest.write(
            flags[name], root=tmp_path, files=[weights], inputs={}, settings={}, started=time.time()
        )
    words = [f"--{name}={value}" for name, value in flags.items()] + ["--device=cpu"]
    args = script.parser().parse_args(words)
    paths = [flags[name] for name in ("images", "musiq", "maniqa")]
    saves = scores.SavedScores(args.output, scores.Quality, scores.key(paths, size=None))
    saves.put(scores.Quality("i1", musiq=70.5, maniqa=0.25))  # by a job that was killed
    script.run(args)
    written = manifest.read(args.output)
    rows = scores.read_rows([written], scores.Quality, expected=2)
    assert rows["id"].tolist() == ["i0", "i1"]
    assert (rows["musiq"][1], rows["maniqa"][1]) == (70.5, 0.25) and rows["musiq"][0] < 10
    assert written.results == {"n": 2} and [file.name for file in written.files] == [
        "quality.parquet"
    ]
    assert [*written.inputs] == ["images", "musiq", "maniqa"] and not saves.folder.exists()
