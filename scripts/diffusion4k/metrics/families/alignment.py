"""CLIPScore and LAION Aesthetics, of the feature pass (Tables 3, 6 and 7)."""

from diffusion4k.metrics.families import Column, Family, means

CLIP_CONTEXT = 77  # tokens; a longer prompt is cut


class Alignment(Family):
    """clipscore is of long prompts cut as released, without their end token."""

    def row_type(self, shards=()):
        """CLIPScore under both truncations, the prompt's tokens, Aesthetics."""
        from diffusion4k.metrics import scores

        return scores.Alignment

    def statistics(self, columns):
        """Means over images."""
        return means(
            {
                "clipscore": "clipscore_published",
                "clipscore_end_token": "clipscore_end_token",
                "aesthetics": "aesthetics",
            }
        )

    def counts(self, columns):
        """How many prompts were too long."""
        long = int((columns["n_tokens"] > CLIP_CONTEXT).sum())
        return {"long_prompts": {"value": long, "n": len(columns["id"])}}


FAMILY = Alignment(
    "alignment",
    {
        "clipscore": Column(
            "CLIPScore",
            "higher",
            2,
            corrected=("metrics.clip_choice", "clipscore_end_token"),
            about="100 times the cosine of CLIP ViT-B/16's embeddings of picture and prompt, at "
            "least 0, mean over pictures",
        ),
        "clipscore_end_token": Column(
            "CLIPScore (end token)",
            "higher",
            2,
            about="CLIPScore of prompts cut at 77 tokens with their end token, which the released "
            "one cuts off",
        ),
        "aesthetics": Column(
            "Aesthetics",
            "higher",
            2,
            about="score of LAION's aesthetic predictor on CLIP ViT-L/14, about 1 to 10, mean "
            "over pictures",
        ),
    },
    stage="features",
    generated=True,
    paired=True,
    networks=("clip", "clip_large", "aesthetics_head"),
)
