"""AlignFlow: carries architectures of a reduced search space over to the full one (paper section 3.2)."""

from invertnas.alignflow.model import AlignFlow as AlignFlow
from invertnas.alignflow.pretrained import load_alignflow as load_alignflow
from invertnas.alignflow.translate import translate as translate
