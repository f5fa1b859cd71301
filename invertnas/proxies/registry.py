"""Zero-cost proxies by name; a proxy's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from invertnas.errors import ConfigError
from invertnas.proxies.base import Proxy
from invertnas.spaces.base import SearchSpace


def _nwot(space: SearchSpace) -> Proxy:
    from invertnas.proxies.nwot import NWOT

    return NWOT(space)


def _nwot_full(space: SearchSpace) -> Proxy:
    from invertnas.proxies.nwot import FULL, NWOT

    return NWOT(space, FULL.get(space.name))


def _epsinas(space: SearchSpace) -> Proxy:
    from invertnas.proxies.epsinas import EpsinasNB201, EpsinasNLP

    if space.name == "nasbench_nlp":
        return EpsinasNLP()
    if space.name == "nasbench201":
        return EpsinasNB201()
    raise ConfigError(f"got epsinas on {space.name!r}; expected nasbench_nlp or nasbench201")


# Each makes the proxy of a space, with its default seed. Raises ConfigError where it does not apply.
PROXIES: MappingProxyType[str, Callable[[SearchSpace], Proxy]] = MappingProxyType(
    {"nwot": _nwot, "nwot_full": _nwot_full, "epsinas": _epsinas}
)
# The proxy that the paper uses in each space (F.5).
DEFAULT_PROXIES = MappingProxyType(
    {"nasbench101": "nwot", "nasbench201": "nwot", "nasbench301": "nwot", "nasbench_nlp": "epsinas"}
)


def open_proxy(name: str, space: SearchSpace) -> Proxy:
    """The proxy of a name on a space. Raises ConfigError for an unknown name, or a space it does not apply to."""
    if name not in PROXIES:
        raise ConfigError(f"got proxy {name!r}; expected one of {', '.join(PROXIES)}")
    return PROXIES[name](space)
