"""The F16 autoencoder: stock diffusers VAEs at twice their downsampling factor."""

ENCODERS = ("stride", "dilation")  # forms of its first convolution, see f16.py
DECODERS = ("published", "folded", "upsample")  # and of its last
