"""What stands behind a number: the chain of manifests, whether it holds, and how it is mended."""
