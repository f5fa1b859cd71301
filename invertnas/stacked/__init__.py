"""K networks of equal shape as one tensor program: layers, optimiser, gradients."""
