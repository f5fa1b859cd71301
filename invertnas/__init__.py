"""InvertNAS: neural architecture search with an ensemble of invertible neural networks.

The public names stand in `__init__.pyi`, for type checkers and for here. Each is imported on first use, so
`import invertnas` loads no TensorFlow.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
