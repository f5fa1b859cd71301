"""Ensemble of invertible neural networks (stands alone: knows no space and no benchmark)."""
