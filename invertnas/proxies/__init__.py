"""Zero-cost proxies: scores of untrained networks that rank architectures (paper section 3.2 and F.5)."""

from invertnas.proxies.base import FloatArray as FloatArray
from invertnas.proxies.base import Proxy as Proxy
