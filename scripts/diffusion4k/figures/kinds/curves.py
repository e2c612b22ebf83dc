"""Training loss by step, of what is trained here; of a VAE's loss each term."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from diffusion4k.figures.kinds import Kind

if TYPE_CHECKING:
    import pandas as pd

    from diffusion4k.figures.shown import Drawing, Shown


# columns of a VAE's loss.parquet (train/autoencoder.py), and what they are called
VAE_TERMS = {
    "loss_mse": "squared error",
    "loss_lpips": "LPIPS",
    "loss_scale_consistency": "scale consistency",
    "loss_adversarial": "adversarial term",
    "adaptive_weight": "its adaptive weight",
    "loss_discriminator": "hinge",
    "loss_gradient_penalty": "gradient penalty",
}


@dataclass(frozen=True)
class Curves(Kind):
    """Loss over steps, a curve a training, or a term of a VAE's."""

    def draw(self, shown: "Shown") -> "Drawing":
        from diffusion4k.figures import plots
        from diffusion4k.figures.shown import Drawing

        curves = {}
        for label, table in shown.tables("loss.parquet", ["step", "loss"], VAE_TERMS).items():
            terms = [name for name in VAE_TERMS if name in table]
            curves |= {f"{label}, {VAE_TERMS[name]}": _curve(table, name) for name in terms} or {
                label: table
            }
        return Drawing(plots.curves(curves), remarks=(plots.CURVES,))


def _curve(table: "pd.DataFrame", name: str) -> "pd.DataFrame":
    """Another column in the loss's place, where it has a value: a term may begin late."""
    return table[["step", name]].dropna().set_axis(["step", "loss"], axis=1)


KIND = Curves("curves", reads="training")
