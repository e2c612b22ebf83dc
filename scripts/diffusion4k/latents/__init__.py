"""Images and captions, encoded once: the latent store and the loop that fills it."""

DTYPES = ("float32", "bfloat16")  # of encoding and storage
