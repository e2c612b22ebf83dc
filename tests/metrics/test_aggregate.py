"""Aggregates: values, uncertainty, and sets that must be refused."""

import numpy as np
import pytest

import aggregate as script
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import aggregate, families, frechet, scores
from tiny_scores import alignments, bootstrap, shard, textures

SEEDED = np.random.default_rng(0)


def aggregated(*flags: object) -> manifest.Manifest:
    args = script.parser().parse_args([str(flag) for flag in flags])
    script.run(args)
    return manifest.read(args.output)


def test_texture(tmp_path):
    shards = [
        shard(tmp_path / "texture-0-of-2.json", scores.Texture, textures(range(3)), notes=["m"]),
        shard(tmp_path / "texture-1-of-2.json", scores.Texture, textures(range(3, 5))),
    ]
    paths = [s.path for s in shards]
    flags = ["--family", "texture", "--scores", *paths, "--expected", 5]
    made = aggregated(*flags, "--output", tmp_path / "texture.json")
    results = made.results
    assert made.notes == ["m"]
    assert set(results) == {"glcm", "glcm_entropy", "cr", "cr_mean"}
    values = np.array([0.5, 0.6, 0.7, 0.8, 0.9])
    assert results["glcm"]["value"] == pytest.approx(0.7)
    assert results["glcm"]["n"] == 5
    assert results["glcm"]["standard_error"] == pytest.approx(values.std(ddof=1) / 5**0.5)
    low, high = results["glcm"]["interval"]
    assert 0.5 <= low < 0.7 < high <= 0.9
    sizes = np.array([1000, 1100, 1200, 1300, 1400])
    assert results["cr"]["value"] == 5 * 64 * 128 * 3 / sizes.sum()
    assert results["cr_mean"]["value"] == pytest.approx((64 * 128 * 3 / sizes).mean())
    assert results["cr"]["interval"][0] < results["cr"]["value"] < results["cr"]["interval"][1]
    assert results["glcm_entropy"]["value"] == 7.0
    again = aggregated(*flags, "--output", tmp_path / "again.json")
    assert again.results == results
    other = aggregated(*flags, "--seed", 1, "--output", tmp_path / "other.json")
    assert other.results["glcm"]["interval"] != results["glcm"]["interval"]


def test_what_is_said_of_networks_goes_with_the_numbers_that_are_theirs(tmp_path):
    said = {"clip": "clip is random", "inception": "inception is random"}
    inputs = {name: shard(tmp_path / f"{name}.json", scores.Texture, [], notes=[note]).path
              for name, note in said.items()}  # fmt: skip
    notes = [*said.values(), "tiny photographs"]
    made = shard(tmp_path / "f.json", scores.Alignment, alignments(range(3)), notes=notes, **inputs)
    assert script.notes("fid", [made]) == [said["inception"], "tiny photographs"]
    assert script.notes("alignment", [made]) == [said["clip"], "tiny photographs"]
    assert script.notes("texture", [made]) == notes


def test_intervals_cover_the_truth():
    """95 % intervals of means of 60: most, and not all, of 100 hold the true mean."""
    random = np.random.default_rng(5)
    hits = 0
    for _ in range(100):
        low, high = aggregate.mean(random.gamma(2.0, 1.0, 60), seed=0)["interval"]
        hits += low <= 2.0 <= high
    assert 86 <= hits < 100


def test_intervals_are_the_seeded_bootstraps_95_percent():
    values, weights = np.random.default_rng(6).gamma(2.0, 1.0, (2, 40))
    found = aggregate.mean(values, seed=3)["interval"]
    assert found == pytest.approx(bootstrap(np.mean, values, seed=3), rel=1e-12)

    def ratio(a, b):
        return a.sum() / b.sum()

    found = aggregate.interval(ratio, values, weights, seed=4)["interval"]
    assert found == pytest.approx(bootstrap(ratio, values, weights, seed=4), rel=1e-12)


def test_alignment(tmp_path):
    shards = [shard(tmp_path / "f.json", scores.Alignment, alignments(range(5)))]
    results = families.get("alignment").aggregate(shards, expected=5)
    assert results["clipscore"]["value"] == 22
    assert results["long_prompts"] == {"value": 2, "n": 5}  # 78 and 79 tokens
    assert results["aesthetics"]["value"] == 5
    assert results["clipscore_end_token"]["value"] == 32


def arrays(values: np.ndarray, part=slice(None), *, clean: bool = True) -> dict[str, np.ndarray]:
    """Features of whole images, two crops of each that differ from it, and clean-fid's."""
    chosen = values[part]
    patches = np.repeat(chosen, 2, axis=0)
    patches[1::2] += 1
    return {"features": chosen, "patches": patches} | ({"clean": 2 * chosen} if clean else {})


def test_fid(tmp_path):
    real, generated = SEEDED.normal(size=(2, 10, 16)).astype(np.float32)
    rows, order = alignments(range(10)), [3, 1, 0, 2, 9, 8, 7, 6, 5, 4]
    reference = [shard(tmp_path / "r.json", scores.Alignment, rows, arrays(real))]
    shards = [
        shard(
            tmp_path / f"g{i}.json",
            scores.Alignment,
            [rows[j] for j in part],
            arrays(generated, part),
        )
        for i, part in enumerate((order[:4], order[4:]))
    ]
    results = families.get("fid").aggregate(shards, reference=reference, expected=10)
    assert results["fid"] == {
        "value": pytest.approx(frechet.fid(real, generated)),
        "n": 10,
        "n_reference": 10,
    }
    # the shards are in another order than the reference: pairs are found by their ids
    kid = frechet.kid(real, generated, paired=True)
    assert (results["kid"]["value"], results["kid"]["standard_error"]) == pytest.approx(kid)
    kid = frechet.kid(real, generated)
    usual = results["kid_usual"]
    assert (usual["value"], usual["standard_error"]) == pytest.approx(kid)
    assert usual["value"] != results["kid"]["value"]
    # too few to extrapolate from: the floor says that it is of halves
    assert results["fid_floor"]["n"] == results["patch_fid_floor"]["n"] == 5
    assert results["fid_floor"]["method"] == "halves"
    floor = results["fid_floor"]["value"]
    assert results["fid_clean_floor"]["value"] == pytest.approx(4 * floor, rel=1e-5)
    # clean-fid's features are twice the others: the distance is four times as large
    assert results["fid_clean"]["value"] == pytest.approx(4 * results["fid"]["value"], rel=1e-5)
    crops = [arrays(x)["patches"] for x in (real, generated)]
    assert results["patch_fid"]["value"] == pytest.approx(frechet.fid(*crops))
    assert (results["patch_fid"]["n"], results["patch_fid"]["crops"]) == (10, 20)
    kid = frechet.kid(*crops, crops=2, paired=True)
    assert results["patch_kid"]["value"] == pytest.approx(kid[0])
    assert results["patch_kid"]["standard_error"] == pytest.approx(kid[1])
    half = [shard(tmp_path / "h.json", scores.Alignment, rows, arrays(real, clean=False))]
    assert "fid_clean" not in families.get("fid").aggregate(shards, reference=half, expected=10)
    assert not any("interval" in result for result in results.values())
    with pytest.raises(UserError, match="--reference"):
        families.get("fid").aggregate(shards, expected=10)
    strangers = [scores.Alignment(f"x{i}", 1.0, 1.0, 9, 1.0) for i in range(10)]
    wrong = [shard(tmp_path / "x.json", scores.Alignment, strangers, arrays(real))]
    with pytest.raises(UserError, match="i0, i1, .* of the reference set are not among"):
        families.get("fid").aggregate(wrong, reference=reference, expected=10)


def test_the_floor_of_enough_images_is_that_at_n_with_what_it_comes_from():
    features = np.random.default_rng(7).normal(size=(32, 1, 6)).astype(np.float32)
    floor = aggregate.distances(features, features + 1, seed=2)["fid_floor"]
    assert (floor["n"], [split["n"] for split in floor["splits"]]) == (32, [16, 8, 4])
    assert (
        floor["value"] == frechet.floor(features[:, 0], seed=2).value < floor["splits"][0]["value"]
    )
    assert floor["method"].startswith("parabola")


def test_patch_kid_takes_the_same_prompts_of_both_sets(monkeypatch):
    """Too many crops are thinned by whole prompts; a set and itself stay pairs, at no distance."""
    monkeypatch.setattr(aggregate, "MOST_CROPS", 12)
    features = np.random.default_rng(1).normal(size=(20, 2, 8))
    paired = aggregate.patches(features, features, paired=True, seed=0)["patch_kid"]
    assert paired["value"] == pytest.approx(0, abs=1e-12)
    assert (paired["n"], paired["crops"]) == (6, 12)
    apart = aggregate.patches(features, features[:15], seed=0)["patch_kid"]
    assert abs(apart["value"]) > 0.01 and apart["n"] == 6


def test_distance_and_reconstruction(tmp_path):
    rows = [scores.Distance(f"i{i}", 0.1 * i, 20.0) for i in range(1, 4)]
    thumbnails = dict.fromkeys(("real", "generated"), np.eye(3, 768, dtype=np.float32))
    results = families.get("distance").aggregate(
        [shard(tmp_path / "d.json", scores.Distance, rows, thumbnails)], expected=3
    )
    assert results["retrieval"]["value"] == 1
    assert results["rmse"]["value"] == pytest.approx(0.2)
    assert results["psnr"]["value"] == 20
    real, rebuilt = SEEDED.normal(size=(2, 4, 8)).astype(np.float32)
    rows = [scores.Reconstruction(f"i{i}", 0.01, 0.1, 29.0, 0.8, 0.2) for i in range(4)]
    features = {"real": real, "reconstructed": rebuilt}
    features |= {f"{name}_patches": np.repeat(x, 2, axis=0) ** 2 for name, x in features.items()}
    made = shard(tmp_path / "v.json", scores.Reconstruction, rows, features)
    results = families.get("reconstruction").aggregate([made], expected=4)
    assert list(results) == [*("rfid", "patch_rfid", "nmse", "root_nmse", "psnr", "ssim", "lpips")]
    assert results["rfid"]["value"] == pytest.approx(frechet.fid(real, rebuilt))
    crops = [features[f"{name}_patches"] for name in ("real", "reconstructed")]
    assert results["patch_rfid"]["value"] == pytest.approx(frechet.fid(*crops))
    assert (results["patch_rfid"]["n"], results["patch_rfid"]["crops"]) == (4, 8)
    assert results["psnr"]["n"] == 4


def test_one_image_has_no_uncertainty(tmp_path):
    made = shard(tmp_path / "t.json", scores.Texture, textures([0]))
    results = families.get("texture").aggregate([made], expected=1)
    assert results["glcm"] == {"value": 0.5, "n": 1}
    features = arrays(np.zeros((1, 8)))
    one = shard(tmp_path / "f.json", scores.Alignment, alignments([0]), features)
    with pytest.raises(UserError, match="at least 2 images"):
        families.get("fid").aggregate([one], reference=[one], expected=1)


def test_an_empty_shard_is_harmless(tmp_path):
    empty = shard(
        tmp_path / "e.json", scores.Alignment, [], {"features": np.empty((0, 0), np.float32)}
    )
    features = {"features": SEEDED.normal(size=(4, 8))}
    full = shard(tmp_path / "f.json", scores.Alignment, alignments(range(4)), features)
    for shards in ([empty, full], [full, empty]):
        assert scores.read_features(shards, "features").shape == (4, 8)
        assert families.get("alignment").aggregate(shards, expected=4)["clipscore"]["n"] == 4


def test_sets_that_must_be_refused(tmp_path):
    good = shard(tmp_path / "good.json", scores.Texture, textures(range(4)))
    with pytest.raises(UserError, match="4 images scored where 5 are expected"):
        families.get("texture").aggregate([good], expected=5)
    with pytest.raises(UserError, match="4 images scored where 3 are expected"):
        families.get("texture").aggregate([good], expected=3)
    overlap = shard(tmp_path / "overlap.json", scores.Texture, textures([3, 4]))
    with pytest.raises(UserError, match="i3 scored twice"):
        families.get("texture").aggregate([good, overlap], expected=6)
    rows = [*textures(range(3)), scores.Texture("bad", 64, 64, 100, float("nan"), 5.0)]
    broken = shard(tmp_path / "broken.json", scores.Texture, rows)
    with pytest.raises(UserError, match="glcm is not a finite number for bad"):
        families.get("texture").aggregate([broken], expected=4)
    with pytest.raises(UserError, match="no column aesthetics, clipscore_end_token"):
        families.get("alignment").aggregate([good], expected=4)
    with pytest.raises(UserError, match="safetensors file is missing"):
        scores.read_features([good], "features")
