"""The F16 autoencoder: stock diffusers VAEs at twice their downsampling factor."""
