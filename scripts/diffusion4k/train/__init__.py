"""Fine-tuning: objectives, stateless randomness, samples, checkpoints and the trainer."""
