"""Paired differences between models, and correlation with human ratings."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import compare as compare_script
import correlate as correlate_script
from diffusion4k import manifest
from diffusion4k.errors import UserError
from diffusion4k.metrics import compare, correlation, families, scores
from tiny_scores import alignments, bootstrap, shard, textures


def clip_rows(values) -> list[scores.Alignment]:
    return [scores.Alignment(f"i{i:03}", v, v + 1, 20, 5.0) for i, v in enumerate(values)]


def pair(tmp_path: Path, ours, other) -> list[list[manifest.Manifest]]:
    made = []
    for name, values in (("ours", ours), ("other", other)):
        rows = clip_rows(values)
        # in another order, and in two shards: prompts are matched by their ids
        order = np.random.default_rng(len(name)).permutation(len(rows))
        parts = np.array_split(order, 2)
        made.append(
            [
                shard(tmp_path / f"{name}-{i}.json", scores.Alignment, [rows[j] for j in part])
                for i, part in enumerate(parts)
            ]
        )
    return made


def test_a_difference_is_that_of_the_aggregates_and_its_interval_is_paired(tmp_path):
    random = np.random.default_rng(0)
    prompts = random.normal(30, 6, 80)  # easy and hard prompts spread far more than the models
    ours, other = prompts + 0.5 + random.normal(0, 0.5, 80), prompts + random.normal(0, 0.5, 80)
    sides = pair(tmp_path, ours, other)
    found = compare.compare("alignment", *sides, expected=80)["clipscore"]
    means = [families.get("alignment").aggregate(s, expected=80)["clipscore"] for s in sides]
    assert found["value"] == pytest.approx(means[0]["value"] - means[1]["value"])
    low, high = found["interval"]
    assert 0 < low < found["value"] < high
    expected = bootstrap(lambda a, b: a.mean() - b.mean(), ours, other, seed=0)
    assert [low, high] == pytest.approx(expected, rel=1e-9)
    # the two means' own intervals overlap by far: without pairs nothing could be said
    assert means[0]["interval"][0] < means[1]["interval"][1]
    width = means[0]["interval"][1] - means[0]["interval"][0]
    assert high - low < 0.2 * width


def test_equal_models_are_rarely_told_apart(tmp_path):
    random = np.random.default_rng(1)
    told = 0
    for i in range(40):
        prompts = random.normal(30, 6, 40)
        sides = pair(tmp_path / str(i), *(prompts + random.normal(0, 1, 40) for _ in range(2)))
        low, high = compare.compare("alignment", *sides, expected=40)["clipscore"]["interval"]
        told += not low <= 0 <= high
    assert told <= 6


def test_the_ratio_of_sums_is_compared_as_such(tmp_path):
    rows = textures(range(5))
    other = [scores.Texture(r.id, r.height, r.width, 2 * r.bytes, r.glcm, 1.0) for r in rows]
    sides = [
        [shard(tmp_path / f"{i}.json", scores.Texture, r)] for i, r in enumerate((rows, other))
    ]
    found = compare.compare("texture", *sides, expected=5)
    values = [families.get("texture").aggregate(s, expected=5)["cr"]["value"] for s in sides]
    assert found["cr"]["value"] == pytest.approx(values[0] - values[1])
    assert found["glcm"] == {"value": 0, "n": 5, "interval": [0, 0]}
    entropy = np.mean([r.glcm_entropy for r in rows])
    assert found["glcm_entropy"]["value"] == pytest.approx(entropy - 1)


def test_other_prompts_are_refused(tmp_path):
    one = [shard(tmp_path / "a.json", scores.Alignment, alignments(range(4)))]
    two = [shard(tmp_path / "b.json", scores.Alignment, alignments(range(1, 5)))]
    with pytest.raises(UserError, match=r"not the same prompts \(i0, i4\)"):
        compare.compare("alignment", one, two, expected=4)
    with pytest.raises(UserError, match="4 images scored where 5 are expected"):
        compare.compare("alignment", one, one, expected=5)


def test_the_script(tmp_path, capsys):
    sides = pair(tmp_path, np.arange(6.0), np.arange(6.0) + 1)
    flags = ["--family", "alignment", "--expected", 6, "--output", tmp_path / "c.json"]
    flags += ["--scores", *(s.path for s in sides[0]), "--against", *(s.path for s in sides[1])]
    args = compare_script.parser().parse_args([str(flag) for flag in flags])
    compare_script.run(args)
    made = manifest.read(tmp_path / "c.json")
    found = made.results["clipscore"]
    assert (found["value"], found["n"]) == (-1, 6)
    assert found["interval"] == pytest.approx([-1, -1])
    assert len(made.inputs) == 4
    assert "clipscore: -1" in capsys.readouterr().out


# correlation with human ratings


def test_correlations_are_scipys_with_intervals_that_hold_them():
    random = np.random.default_rng(2)
    ratings = {("m", f"i{i}"): value for i, value in enumerate(random.normal(3, 1, 120))}
    scored = {image: np.exp(value) + random.normal(0, 3) for image, value in ratings.items()}
    x, y = list(scored.values()), list(ratings.values())
    found = correlation.correlate(scored, ratings)
    assert found["srcc"]["value"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert found["plcc"]["value"] == pytest.approx(stats.pearsonr(x, y).statistic)
    for name in ("srcc", "plcc"):
        low, high = found[name]["interval"]
        assert -1 < low < found[name]["value"] < high < 1
        assert found[name]["n"] == 120
    turned = correlation.correlate(scored, ratings, sign=-1)
    assert turned["srcc"]["value"] == pytest.approx(-found["srcc"]["value"])


def rated(prompts: int, models: int) -> tuple[dict, dict]:
    """Scores and ratings of several models' images, which the prompt decides by far."""
    random = np.random.default_rng(4)
    hard = random.normal(0, 3, (2, prompts, 1))
    scored, ratings = hard + random.normal(0, 0.3, (2, prompts, models))
    names = [(f"m{j}", f"i{i:02}") for i in range(prompts) for j in range(models)]
    return tuple(dict(zip(names, values.ravel(), strict=True)) for values in (scored, ratings))


def test_several_models_images_of_a_prompt_are_drawn_together():
    """Eight images of a prompt say little more than one: as if apart, the interval is a third."""
    scored, ratings = rated(prompts=25, models=8)

    def apart(values: dict) -> dict:
        return {(model, f"{model}-{id}"): value for (model, id), value in values.items()}

    together = correlation.correlate(scored, ratings, seed=2)
    alone = correlation.correlate(apart(scored), apart(ratings), seed=2)
    for name in ("srcc", "plcc"):
        assert together[name]["value"] == pytest.approx(alone[name]["value"])
        assert together[name]["n"] == 200
        widths = [np.ptp(found[name]["interval"]) for found in (together, alone)]
        assert widths[0] > 2 * widths[1]
    # spelled out: prompts are drawn, each with its eight images
    x, y = (np.array(list(values.values())).reshape(25, 8) for values in (scored, ratings))
    expected = bootstrap(lambda a, b: np.corrcoef(a.ravel(), b.ravel())[0, 1], x, y, seed=2)
    assert together["plcc"]["interval"] == pytest.approx(expected, rel=1e-9)


def test_few_ratings_give_no_nan():
    ratings = {("m", str(i)): float(i > 0) for i in range(4)}
    found = correlation.correlate({image: i + 0.5 for i, image in enumerate(ratings)}, ratings)
    assert np.isfinite(found["srcc"]["interval"]).all()
    assert np.isfinite(found["plcc"]["value"])


def test_what_cannot_be_correlated_is_said():
    ratings = {("m", "a"): 1.0, ("m", "b"): 2.0, ("m", "c"): 3.0}
    with pytest.raises(UserError, match="ratings of m/c, of which there is no score"):
        correlation.correlate({("m", "a"): 1.0, ("m", "b"): 2.0}, ratings)
    with pytest.raises(UserError, match="not all equal"):
        correlation.correlate(dict.fromkeys(ratings, 1.0), ratings)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("image,rating\na,3\n", "the header must be model,id,rating"),
        ("model,id,rating\nm,a,3\nm,b,good\n", "line 3: the rating is no number"),
        ("model,id,rating\nm,a,nan\n", "line 2: the rating is no number"),
        ("model,id,rating\nm,a\n", "line 2: the rating is no number"),
        ("model,id,rating\nm,caf\xe9,3\n", "ratings.csv: not UTF-8"),
    ],
)
def test_a_bad_line_of_ratings_is_named(tmp_path, text, says):
    (tmp_path / "ratings.csv").write_text(text, encoding="latin-1")
    with pytest.raises(UserError, match=says):
        correlation.read_ratings(tmp_path / "ratings.csv")


def test_a_row_of_table_1(tmp_path):
    """More compressible images were rated lower: the sign of the Compression Ratio is turned."""
    made = shard(tmp_path / "texture.json", scores.Texture, textures(range(5)))
    lines = [f"m,i{i},{rating}" for i in range(5) for rating in (i, i + 1)]
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("model,id,rating\n" + "\n".join(lines) + "\n")
    for metric in ("cr", "glcm"):
        flags = ["--metric", metric, "--ratings", ratings, "--scores", f"m={made.path}"]
        flags += ["--expected", 5, "--output", tmp_path / f"{metric}.json"]
        correlate_script.run(correlate_script.parser().parse_args([str(f) for f in flags]))
        results = manifest.read(tmp_path / f"{metric}.json").results
        assert results["srcc"]["value"] == pytest.approx(1)
        assert results["srcc"]["n"] == 5


def test_the_choice_of_entropy_reaches_table_1(tmp_path):
    """Ordered by true entropy, the images stand the other way round: the choice decides."""
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("model,id,rating\n" + "".join(f"m,i{i},{i}\n" for i in range(4)))
    rows = [replace(row, glcm_entropy=-row.glcm) for row in textures(range(4))]
    made = shard(tmp_path / "texture.json", scores.Texture, rows)
    flags = ["--metric", "glcm", "--ratings", ratings, "--scores", f"m={made.path}"]
    flags += ["--expected", 4, "--output", tmp_path / "glcm.json", "--choice"]
    for choice, expected in (("published", 1), ("corrected", -1)):
        args = correlate_script.parser().parse_args([str(f) for f in (*flags, choice)])
        correlate_script.run(args)
        found = manifest.read(tmp_path / "glcm.json").results
        assert found["srcc"]["value"] == pytest.approx(expected)
