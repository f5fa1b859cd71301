"""GVAE and INN ensemble joined to one invertible performance predictor."""
