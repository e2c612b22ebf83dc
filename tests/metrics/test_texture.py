"""texture.py: its rows, its resume, bad images; and that it imports no torch."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import texture
from diffusion4k import images, manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import families, glcm, scores
from tiny_pictures import generated, relist
from tiny_scores import textures


def score_texture(*flags: object) -> manifest.Manifest:
    args = texture.parser().parse_args([str(flag) for flag in flags])
    texture.run(args)
    return manifest.read(args.output)


def test_texture_script(tmp_path, monkeypatch):
    shard = generated(tmp_path, {f"i{i}": (64, 128) for i in range(5)}, height=64, width=128)
    flags = ["--images", shard, "--workers", 1]
    whole = score_texture(*flags, "--output", tmp_path / "texture-0-of-1.json")
    rows = scores.read_rows([whole], scores.Texture, 5)
    assert whole.notes == ["n"]
    picture = images.load_rgb(tmp_path / "images" / "i2.jpg", exif_transpose=False)
    published, haralick = glcm.score(glcm.grey(np.asarray(picture))).values()
    at = rows["id"].tolist().index("i2")
    assert (rows["glcm"][at], rows["glcm_entropy"][at]) == (published, haralick)
    assert (rows["height"][at], rows["width"][at]) == (64, 128)
    assert rows["bytes"][at] == (tmp_path / "images" / "i2.jpg").stat().st_size

    score, calls = glcm.score, []

    def killed(*parameters, **how):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return score(*parameters, **how)

    monkeypatch.setattr(glcm, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        score_texture(*flags, "--output", tmp_path / "again.json")
    again = score_texture(*flags, "--output", tmp_path / "again.json")
    assert again.files[0].sha256 == whole.files[0].sha256
    assert len(calls) < 10  # what was done before the kill is not done again
    assert not (tmp_path / "again.progress").exists()


def test_texture_script_with_other_matrices(tmp_path):
    shard = generated(tmp_path, {f"i{i}": (64, 128) for i in range(3)})
    flags = ["--images", shard, "--workers", 1, "--patch", 32, "--levels", 16, "--properties"]
    flags += ["--distances", 1, 3, "--angles", 0, 90, "--output", tmp_path / "texture.json"]
    made = score_texture(*flags)
    rows = scores.read_rows([made], scores.TextureProperties, 3)
    picture = images.load_rgb(tmp_path / "images" / "i1.jpg", exif_transpose=False)
    matrices = glcm.Matrices(32, 16, (1, 3), (0, 90))
    expected = glcm.score(glcm.grey(np.asarray(picture)), matrices, properties=True)
    at = rows["id"].tolist().index("i1")
    assert {name: rows[name][at] for name in expected} == expected
    results = families.get("texture").aggregate([made], expected=3)
    assert results["contrast"]["value"] == pytest.approx(rows["contrast"].mean())


def test_saves_of_other_code_are_dropped(tmp_path, monkeypatch):
    row = textures([0])[0]
    old = scores.SavedScores(tmp_path / "t.json", scores.Texture, scores.key([]))
    old.put(row, extra=np.arange(3))
    saved, arrays = old.get("i0")
    assert saved == row and arrays["extra"].tolist() == [0, 1, 2]
    monkeypatch.setattr("diffusion4k.manifest.CODE", "another")
    new = scores.SavedScores(tmp_path / "t.json", scores.Texture, scores.key([]))
    assert new.get("i0") is None and not old.folder.exists()


def test_texture_names_bad_images(tmp_path):
    shard = generated(tmp_path, {"small": (64, 64), "good": (128, 128)}, height=128, width=128)
    with pytest.raises(UserError, match="small.jpg: 64x64 px .* 128x128 is expected"):
        score_texture("--images", shard, "--output", tmp_path / "t.json")
    path = tmp_path / "images" / "good.jpg"
    changed = bytearray(path.read_bytes())
    changed[3000] ^= 1
    path.write_bytes(changed)  # one bit, and it still decodes
    again = f"good.jpg: its content has changed .*listed in {shard}.*snakemake … -- repair"
    with pytest.raises(UserError, match=again):
        score_texture("--images", shard, "--size", 64, "--output", tmp_path / "t.json")
    path.write_bytes(path.read_bytes()[:2000])
    relist(shard)
    with pytest.raises(UserError, match="good.jpg: cannot be decoded"):
        score_texture(
            "--images", shard, "--size", 64, "--workers", 1, "--output", tmp_path / "t.json"
        )


def test_scripts_without_networks_import_no_torch(tmp_path):
    shard = generated(tmp_path, {"i0": (64, 64), "i1": (64, 64)})
    commands = [
        ["texture.py", "--images", shard, "--output", tmp_path / "t.json"],
        ["aggregate.py", "--family", "texture", "--scores", tmp_path / "t.json"]
        + ["--expected", 2, "--output", tmp_path / "a.json"],
    ]
    scripts = Path(texture.__file__).parent
    for name, *flags in commands:
        code = f"import runpy, sys; sys.path.insert(0, {str(scripts)!r});"
        code += f"runpy.run_path({str(scripts / name)!r}, run_name='__main__');"
        code += "assert not {'torch', 'diffusers'} & set(sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, flags)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    assert manifest.read(tmp_path / "a.json").results["glcm"]["n"] == 2


def test_what_is_not_finite_is_not_saved(tmp_path):
    saves = scores.SavedScores(tmp_path / "t.json", scores.Texture, scores.key([]))
    with pytest.raises(UserError, match="i0: its extra: holds values that are no numbers"):
        saves.put(textures([0])[0], extra=np.array([1.0, np.inf]))
    assert saves.get("i0") is None
