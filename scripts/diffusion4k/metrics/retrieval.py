"""Whether a generated picture is nearest to its own prompt's photograph, of a whole benchmark's.

Closer pixels alone (RMSE) may be one blurred average of all photographs: that is nearest to the
same photograph for every prompt. Both sets are compared as thumbnails.
"""

import numpy as np
from PIL import Image

SIDE = 16  # px


def thumbnail(image: Image.Image) -> np.ndarray:
    """(1, SIDE * SIDE * 3) float32 in [0, 1]: the means of as many equal parts of an RGB image."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32).reshape(1, -1) / 255


def retrieved(generated: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(n,) bool: of the n rows of `real`, none is nearer to row i of `generated` than row i.

    Both are (n, d), row i of either of the same prompt.
    """
    generated, real = (np.asarray(x, dtype=np.float64) for x in (generated, real))
    # |g|^2 is common to a row
    distances = (real * real).sum(1) - 2 * generated @ real.T
    return np.diagonal(distances) <= distances.min(axis=1)
