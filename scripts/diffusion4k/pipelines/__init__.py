"""Diffusers pipelines on disk: opened and loaded as F16, exported, compiled."""
