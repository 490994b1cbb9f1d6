"""Does post-training work? Self-play and distillation on the embedded model, by the package's own runs."""
