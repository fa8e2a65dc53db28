"""PyTorch modules → what `resspec import` reads: exported, and every operation made an op."""
