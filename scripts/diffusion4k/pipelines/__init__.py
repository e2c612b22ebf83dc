"""Diffusers pipelines on disk: opened as F16, exported, compiled."""
