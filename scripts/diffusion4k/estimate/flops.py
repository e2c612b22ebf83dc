"""How many floating-point operations a picture takes, from the networks' configs alone.

Matrix products, convolutions and attention, a multiply-add counted as two, as
torch.utils.flop_counter counts them (tests/estimate/test_flops.py). Norms, activations and the
text encoders are left out: below 1 % at 4096 px. Configs are diffusers' (architectures.py).
"""

from diffusion4k.architectures import Architecture, Config

TIME = 256  # width of the sinusoidal embedding of timesteps and guidance


def tokens(height: int, width: int, factor: int = 16) -> int:
    """Image tokens of a picture of height x width px whose VAE has this factor."""
    return (height // (2 * factor)) * (width // (2 * factor))


def forward(
    architecture: Architecture, *, height: int, width: int, t5_tokens: int, factor: int = 16
) -> int:
    """One prediction of a transformer for one picture, height x width in px.

    Classifier-free guidance (SD3) takes two.
    """
    count = flux if "num_single_layers" in architecture.transformer else sd3
    text = architecture.clip_tokens + t5_tokens
    return count(architecture.transformer, image=tokens(height, width, factor), text=text)


def sd3(config: Config, *, image: int, text: int) -> int:
    """SD3Transformer2DModel: joint blocks, the last of which drops the text; SD3 paper, figure 2.

    24 d^2 a token and layer, and attention over both streams, 4 (N + T)^2 d.
    """
    width = config["num_attention_heads"] * config["attention_head_dim"]
    layers, pixels = config["num_layers"], config["in_channels"] * config["patch_size"] ** 2
    both = 24 * width**2  # q, k, v, out, and an MLP of four times the width
    blocks = layers * (both * image + 4 * (image + text) ** 2 * width)
    blocks += ((layers - 1) * both + 6 * width**2) * text
    # adaptive norms act once a picture: shift, scale and gate twice, for either stream
    blocks += 2 * width**2 * (layers * 6 + (layers - 1) * 6 + 2)
    ends = 2 * 2 * pixels * width * image + 2 * config["joint_attention_dim"] * width * text
    return blocks + ends + _conditioning(width, config["pooled_projection_dim"], embeddings=1)


def flux(config: Config, *, image: int, text: int) -> int:
    """FluxTransformer2DModel: double, then single blocks, 24 d^2 S + 4 S^2 d each, S = N + T."""
    width = config["num_attention_heads"] * config["attention_head_dim"]
    double, single = config["num_layers"], config["num_single_layers"]
    every = image + text
    blocks = (double + single) * (24 * width**2 * every + 4 * every**2 * width)
    blocks += 2 * width**2 * (double * 12 + single * 3)
    ends = 2 * 2 * config["in_channels"] * width * image
    ends += 2 * config["joint_attention_dim"] * width * text
    embeddings = 2 if config.get("guidance_embeds") else 1
    return blocks + ends + _conditioning(width, config["pooled_projection_dim"], embeddings)


def _conditioning(width: int, pooled: int, embeddings: int) -> int:
    """Two-layer MLPs of timestep (and guidance) and of the pooled text; the last adaptive norm."""
    mlps = embeddings * (TIME + width) * width + (pooled + width) * width
    return 2 * (mlps + 2 * width**2)


def attention(
    architecture: Architecture, *, height: int, width: int, t5_tokens: int, factor: int = 16
) -> int:
    """The part of `forward` that is attention: at 4096 px 64 % of SD3-2B's, 47 % of Flux-12B's."""
    config = architecture.transformer
    every = tokens(height, width, factor) + architecture.clip_tokens + t5_tokens
    layers = config["num_layers"] + config.get("num_single_layers", 0)
    return layers * 4 * every**2 * config["num_attention_heads"] * config["attention_head_dim"]


def training(forward_flops: float, *, recompute: bool, kept: float = 0) -> float:
    """A training step: the backward pass costs twice the forward; recomputing, once more.

    `kept` is the part of the forward pass that is kept instead.
    """
    return forward_flops * (4 if recompute else 3) - (kept if recompute else 0)


def encode(config: Config, *, height: int, width: int, factor: int = 16) -> int:
    """The VAE's encoder for one picture of height x width px; factor 16: conv_in strides by 2."""
    channels, layers = config["block_out_channels"], config["layers_per_block"]
    area = height * width // (factor // 8) ** 2
    total, before = _conv(3, channels[0], area), channels[0]
    for stage, out in enumerate(channels):
        for layer in range(layers):
            total += _resnet(before if layer == 0 else out, out, area)
        before = out
        if stage < len(channels) - 1:
            area //= 4
            total += _conv(out, out, area)
    return total + _middle(config, area) + _conv(before, 2 * config["latent_channels"], area)


def decode(
    config: Config, *, height: int, width: int, factor: int = 16, form: str = "folded"
) -> int:
    """The VAE's decoder for one picture of height x width px; `form`: of the last F16 convolution.

    `folded` has four 2x2 taps a pixel of the small grid, `upsample` nine a pixel of the large one,
    `published` the same on blocks that overlap.
    """
    channels, layers = config["block_out_channels"][::-1], config["layers_per_block"] + 1
    rows, columns = height // factor, width // factor
    area = rows * columns
    total = _conv(config["latent_channels"], channels[0], area) + _middle(config, area)
    before = channels[0]
    for stage, out in enumerate(channels):
        for layer in range(layers):
            total += _resnet(before if layer == 0 else out, out, area)
        before = out
        if stage < len(channels) - 1:
            rows, columns, area = 2 * rows, 2 * columns, 4 * area
            total += _conv(out, out, area)
    if factor == 8:
        return total + _conv(before, 3, area)
    if form == "folded":
        return total + 2 * 4 * before * 12 * (rows + 1) * (columns + 1)
    margin = 4 if form == "published" else 0
    return total + _conv(before, 3, 4 * (rows + margin) * (columns + margin))


def _conv(inputs: int, outputs: int, area: int, taps: int = 9) -> int:
    return 2 * taps * inputs * outputs * area


def _resnet(inputs: int, outputs: int, area: int) -> int:
    shortcut = _conv(inputs, outputs, area, taps=1) if inputs != outputs else 0
    return _conv(inputs, outputs, area) + _conv(outputs, outputs, area) + shortcut


def _middle(config: Config, area: int) -> int:
    """Two residual blocks and, between them, one head of attention over every latent."""
    width = config["block_out_channels"][-1]
    found = 2 * _resnet(width, width, area)
    if config.get("mid_block_add_attention", True):
        found += 8 * width**2 * area + 4 * area**2 * width
    return found
