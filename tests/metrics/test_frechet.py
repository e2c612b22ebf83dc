"""FID and KID against torchmetrics and clean-fid, below and above the dimension."""

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from diffusion4k.errors import UserError
from diffusion4k.metrics import frechet

DIMENSION = 48


def sample(n: int, seed: int, shift: float = 0.0, dimension: int = DIMENSION) -> np.ndarray:
    """Skewed, correlated, positive features like Inception's."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(dimension, dimension)) / np.sqrt(dimension)
    return np.abs(random.normal(size=(n, dimension)) @ mixing + shift).astype(np.float32)


def textbook(real: np.ndarray, generated: np.ndarray) -> float:
    """The definition with covariance matrices and a matrix square root."""
    real, generated = real.astype(np.float64), generated.astype(np.float64)
    shift = real.mean(0) - generated.mean(0)
    covariances = [np.cov(x, rowvar=False) for x in (real, generated)]
    root = sqrtm(covariances[0] @ covariances[1])
    return float(shift @ shift + np.trace(sum(covariances)) - 2 * np.trace(root).real)


@pytest.mark.parametrize("sizes", [(12, 12), (12, 300), (300, 20), (200, 300), (49, 48)], ids=str)
def test_fid_equals_the_definition(sizes):
    real, generated = sample(sizes[0], 0), sample(sizes[1], 1, shift=0.3)
    # the square root of a singular product loses half of its digits: 1e-3 is what oracles agree to
    close = 1e-9 if min(sizes) > DIMENSION else 1e-3
    assert frechet.fid(real, generated) == pytest.approx(textbook(real, generated), rel=close)


@pytest.mark.parametrize("n", [20, 300])
def test_fid_equals_clean_fid_and_torchmetrics(n):
    from cleanfid.fid import frechet_distance
    from torchmetrics.image.fid import _compute_fid

    real, generated = sample(n, 2), sample(n, 3, shift=0.2)
    moments = [(x.astype(np.float64).mean(0), np.cov(x, rowvar=False)) for x in (real, generated)]
    flat = [array for pair in moments for array in pair]
    ours = frechet.fid(real, generated)
    assert ours == pytest.approx(frechet_distance(*flat), rel=1e-3)
    assert ours == pytest.approx(_compute_fid(*map(torch.from_numpy, flat)).item(), rel=1e-3)


def oracles(real: np.ndarray, generated: np.ndarray) -> tuple[float, float]:
    """clean-fid's and torchmetrics' values from the same features."""
    from cleanfid.fid import frechet_distance
    from torchmetrics.image.fid import _compute_fid

    moments = [(x.astype(np.float64).mean(0), np.cov(x, rowvar=False)) for x in (real, generated)]
    flat = [array for pair in moments for array in pair]
    return frechet_distance(*flat), _compute_fid(*map(torch.from_numpy, flat)).item()


@pytest.mark.parametrize(("n", "dimension"), [(195, 2048), (2781, 512)], ids=str)
def test_the_papers_sizes_equal_clean_fid_and_torchmetrics(n, dimension):
    real = sample(n, 20, dimension=dimension)
    generated = sample(n, 21, shift=0.2, dimension=dimension)
    ours = frechet.fid(real, generated)
    for theirs in oracles(real, generated):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_both_formulas_agree():
    a, b = sample(200, 4) / 14, sample(150, 5) / 12
    assert frechet.nuclear_norm(a, b) == pytest.approx(frechet._root_trace(a, b), rel=1e-5)


def test_fid_of_a_set_with_itself_is_zero():
    for n in (10, 100):
        assert frechet.fid(sample(n, 6), sample(n, 6)) == pytest.approx(0, abs=1e-6)


def test_the_paper_s_small_set_at_full_dimension():
    """n = 195 in 2048 dimensions: exact, in an instant, and as biased as reported."""
    random = np.random.default_rng(0)
    real, generated = random.normal(size=(2, 195, 2048)).astype(np.float32)
    value = frechet.fid(real, generated)
    # independent subspaces share next to nothing: the traces remain, bias and no difference
    assert 1000 < value < 4096 + 100
    assert value > 10 * frechet.kid(real, generated)[1]


def test_kid_equals_clean_fid_and_torchmetrics():
    from cleanfid.fid import kernel_distance
    from torchmetrics.image.kid import poly_mmd

    real, generated = sample(150, 7).astype(np.float64), sample(150, 8, 1.0).astype(np.float64)
    value, error = frechet.kid(real, generated)
    assert value == pytest.approx(kernel_distance(real, generated, num_subsets=1), rel=1e-9)
    expected = poly_mmd(torch.from_numpy(real), torch.from_numpy(generated)).item()
    assert value == pytest.approx(expected, rel=1e-9)
    assert 0 < error < value


def test_kid_takes_subsets_of_large_sets():
    real, generated = sample(260, 9), sample(230, 10, 0.2)
    whole, error = frechet.kid(real, generated)
    value, same = frechet.kid(real, generated, subsets=50, subset_size=100)
    assert error == same
    assert value == pytest.approx(whole, abs=error)
    assert frechet.kid(real, generated, subsets=50, subset_size=100) == (value, same)


def test_kid_is_unbiased_and_its_error_honest():
    """One distribution: values around zero, and an error that is 1.4 times too large or a bit more.

    Two distributions: values scatter by what the standard error says.
    """
    draws = [frechet.kid(sample(40, 2 * i), sample(60, 2 * i + 1)) for i in range(60)]
    values, errors = np.array(draws).T
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 1.2 < errors.mean() / values.std(ddof=1) < 1.9
    shifted = [frechet.kid(sample(40, 2 * i), sample(60, 2 * i + 1, 0.5)) for i in range(60)]
    values, errors = np.array(shifted).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.35)


def paired_sample(n: int, seed: int, shift: float = 0.0) -> list[np.ndarray]:
    """Two sets of one distribution (but for `shift`) whose rows are alike pair by pair."""
    random = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(DIMENSION, DIMENSION)) / np.sqrt(DIMENSION)
    common, *own = random.normal(size=(3, n, DIMENSION))
    return [
        np.abs((np.sqrt(0.8) * common + np.sqrt(0.2) * noise) @ mixing + moved)
        for noise, moved in zip(own, (0, shift), strict=True)
    ]


def test_kid_of_pairs_is_unbiased_and_its_error_honest():
    """The field's value counts a picture against its own photograph, and falls below zero."""
    draws = [frechet.kid(*paired_sample(60, i), paired=True) for i in range(60)]
    values, errors = np.array(draws).T
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert 1.2 < errors.mean() / values.std(ddof=1) < 1.9
    fields = np.array([frechet.kid(*paired_sample(60, i)) for i in range(60)])
    assert fields[:, 0].mean() < -2 * fields[:, 1].mean()
    shifted = [frechet.kid(*paired_sample(60, i, 0.5), paired=True) for i in range(60)]
    values, errors = np.array(shifted).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.3)
    # and no other quantity than of sets without pairs
    apart = [frechet.kid(sample(60, 2 * i), sample(60, 2 * i + 1, 0.5))[0] for i in range(60)]
    noise = np.hypot(values.std(), np.std(apart)) / np.sqrt(60)
    assert abs(values.mean() - np.mean(apart)) < 3 * noise


def test_a_set_and_itself_as_pairs_have_no_distance():
    found = frechet.kid(sample(20, 0), sample(20, 0), paired=True)
    assert found == pytest.approx((0, 0), abs=1e-12)
    with pytest.raises(ValueError, match="30 and 20 rows are no pairs"):
        frechet.kid(sample(30, 0), sample(20, 0), paired=True)


def by_hand(x: np.ndarray, y: np.ndarray, crops: int, paired: bool) -> float:
    """The squared MMD as means over the pairs that count, one by one."""

    def mean(a: np.ndarray, b: np.ndarray, without_own: bool) -> float:
        values = [
            (float(a[i].astype(np.float64) @ b[j]) / len(a[i]) + 1) ** 3
            for i in range(len(a))
            for j in range(len(b))
            if not (without_own and i // crops == j // crops)
        ]
        return float(np.mean(values))

    return mean(x, x, True) + mean(y, y, True) - 2 * mean(x, y, paired)


@pytest.mark.parametrize("crops", [1, 3])
@pytest.mark.parametrize("paired", [False, True], ids=["apart", "paired"])
def test_kid_and_its_error_are_those_by_hand(crops, paired):
    """The jackknife, spelled out: without each image in turn, of one set or of both."""
    images = (7, 7) if paired else (7, 5)
    x, y = (sample(n * crops, seed, 0.2 * seed) for seed, n in enumerate(images, start=30))
    value, error = frechet.kid(x, y, crops=crops, paired=paired)
    assert value == pytest.approx(by_hand(x, y, crops, paired), rel=1e-9)

    def without(features: np.ndarray, image: int) -> np.ndarray:
        return np.delete(features, np.s_[image * crops : (image + 1) * crops], axis=0)

    if paired:
        left = [[(without(x, i), without(y, i)) for i in range(7)]]
    else:
        left = [[(without(x, i), y) for i in range(7)], [(x, without(y, i)) for i in range(5)]]
    variance = 0.0
    for sets in left:
        values = [by_hand(*pair, crops, paired) for pair in sets]
        variance += (len(values) - 1) * np.var(values)
    assert error == pytest.approx(np.sqrt(variance), rel=1e-6)


@pytest.mark.parametrize(("n", "size"), [(30, 30), (60, 25)], ids=["whole", "subsets"])
def test_without_pairs_left_out_kid_is_that_of_clean_fid(n, size):
    from cleanfid.fid import kernel_distance

    x, y = sample(n, 1), sample(n, 2, shift=0.3)
    np.random.seed(0)  # noqa: NPY002, which clean-fid draws from
    theirs = kernel_distance(x, y, num_subsets=400, max_subset_size=size)
    ours, error = frechet.kid(x, y, subsets=400, subset_size=size)
    assert ours == pytest.approx(theirs, abs=1e-6 if n == size else error)


def test_subsets_of_pairs_are_of_pairs():
    x, y = paired_sample(150, 3)
    whole, error = frechet.kid(x, y, paired=True)
    value, same = frechet.kid(x, y, subsets=50, subset_size=60, paired=True)
    assert error == same
    assert value == pytest.approx(whole, abs=error / 2)


def cropped(images: int, seed: int, crops: int = 4) -> np.ndarray:
    """(images * crops, d): the crops of an image resemble each other."""
    whole = np.repeat(sample(images, seed), crops, axis=0)
    return whole + 0.3 * np.random.default_rng(seed).normal(size=whole.shape)


def test_kid_of_crops_is_unbiased_and_its_error_honest():
    """Pairs within an image would bias it; crops taken for images would understate the error."""
    draws = [frechet.kid(cropped(30, 2 * i), cropped(30, 2 * i + 1), crops=4) for i in range(60)]
    values, errors = np.array(draws).T
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    shifted = [
        frechet.kid(cropped(30, 2 * i), cropped(30, 2 * i + 1) + 0.4, crops=4) for i in range(60)
    ]
    values, errors = np.array(shifted).T
    assert errors.mean() == pytest.approx(values.std(ddof=1), rel=0.35)
    naive = np.array([frechet.kid(cropped(30, i), cropped(30, i + 1) + 0.4)[1] for i in range(20)])
    assert naive.mean() < 0.7 * errors.mean()


@pytest.mark.parametrize(("n", "dimension"), [(64, 400), (200, 48)], ids=["below", "above"])
def test_the_floor_is_what_two_samples_of_n_score(n, dimension):
    """Below the dimension, where a line in 1 / n is far off, and above it."""
    draws = [[sample(n, 10 * i + k, dimension=dimension) for k in range(2)] for i in range(6)]
    truth = np.mean([frechet.fid(*pair) for pair in draws])
    floors = [frechet.floor(pair[0]) for pair in draws]
    assert np.mean([floor.value for floor in floors]) == pytest.approx(truth, rel=0.12)
    assert {floor.n for floor in floors} == {n} and floors[0].extrapolated
    assert [split.n for split in floors[0].splits] == [n // 2, n // 4, n // 8]
    halves = np.mean([floor.splits[0].value for floor in floors])
    assert halves > 1.15 * truth  # of half as many images it is far too high


def test_the_floor_is_seeded_and_says_from_what_it_comes():
    features = sample(101, 11)
    found = frechet.floor(features, seed=3)
    assert found == frechet.floor(features, seed=3) != frechet.floor(features, seed=4)
    sizes, values = zip(*((split.n, split.value) for split in found.splits), strict=True)
    assert sizes == (50, 25, 12) and sorted(values) == list(values)
    parabola = np.polyfit(np.log(sizes), np.log(values), 2)
    assert found.value == pytest.approx(np.exp(np.polyval(parabola, np.log(101))))
    assert all(split.standard_deviation > 0 for split in found.splits)


def test_sets_of_a_split_are_disjoint(monkeypatch):
    seen = []
    monkeypatch.setattr(frechet, "fid", lambda a, b: seen.append((a, b)) or float(len(a)) ** -1)
    frechet.floor(np.arange(33.0)[:, None], draws=3)
    assert [len(a) for a, _ in seen] == [16] * 3 + [8] * 3 * 2 + [4] * 3 * 4
    assert not any(set(a.ravel()) & set(b.ravel()) for a, b in seen)


def test_few_or_equal_images_bear_no_extrapolation():
    few = frechet.floor(sample(15, 2))
    assert few.n == 7 and not few.extrapolated and len(few.splits) == 1
    assert few.value == few.splits[0].value
    assert frechet.floor(np.ones((40, 3))).n == 20
    with pytest.raises(UserError, match="at least 4 images"):
        frechet.floor(sample(3, 2))


def test_the_floor_of_crops_never_parts_an_image():
    """Four equal crops of each image have the covariances of one, but for the divisor of n."""
    images = sample(60, 4)
    crops = np.repeat(images[:, None], 4, axis=1)
    whole = frechet.floor(images, seed=1).value
    assert frechet.floor(crops, seed=1).value == pytest.approx(whole, rel=0.15)
    parted = frechet.floor(crops.reshape(240, -1), seed=1).value
    assert parted < 0.5 * whole


def test_bad_features():
    with pytest.raises(UserError, match="at least 2 images"):
        frechet.fid(sample(1, 0), sample(5, 1))
    broken = sample(5, 0)
    broken[2, 3] = np.nan
    with pytest.raises(UserError, match="NaN"):
        frechet.fid(broken, sample(5, 1))
    with pytest.raises(UserError, match="different length"):
        frechet.fid(sample(5, 0), sample(5, 1)[:, :7])
