"""Graph VAE: embeds architectures into a continuous latent space and decodes them back."""
