"""Images and captions, encoded once: the latent store and the loop that fills it."""
