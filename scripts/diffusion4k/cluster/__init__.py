"""A SLURM cluster seen from its login node: what is queued, who started it, whether it fits."""
