"""Scores of images and of sets: one row an image, aggregates apart, so that tables need no GPU."""
