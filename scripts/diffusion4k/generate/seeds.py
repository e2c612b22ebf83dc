"""The seed of an image: as released, or its own."""

import hashlib

from diffusion4k.errors import UserError

POLICIES = ("published", "per_prompt")


def image_seed(policy: str, seed: int, id: str) -> int:
    """The seed of prompt `id`'s noise, in [0, 2^63).

    published: `seed` for every prompt, as the released evaluation script does with 0, so that all
    images of a size start from the same noise. per_prompt: derived from (seed, id).
    """
    if policy == "published":
        return seed
    if policy == "per_prompt":
        return int.from_bytes(hashlib.sha256(f"{seed}/{id}".encode()).digest()[:8]) >> 1
    raise UserError(f"no seed policy {policy!r}; choose from {', '.join(POLICIES)}")
