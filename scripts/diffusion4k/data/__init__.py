"""Captioned image folders: their layout, their check."""
