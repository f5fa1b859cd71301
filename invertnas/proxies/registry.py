"""Zero-cost proxies by name; a proxy's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from invertnas.checks import checked_choice
from invertnas.errors import ConfigError
from invertnas.proxies.base import Proxy
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import known, load_class, records


def _nwot(space: SearchSpace) -> Proxy:
    from invertnas.proxies.nwot import NWOT

    return NWOT(space)


def _nwot_full(space: SearchSpace) -> Proxy:
    from invertnas.proxies.nwot import FULL, NWOT

    return NWOT(space, FULL.get(space.name))


def _epsinas(space: SearchSpace) -> Proxy:
    record = known(space.name)
    if record is None or record.epsinas is None:
        having = " or ".join(other.name for other in records() if other.epsinas is not None)
        raise ConfigError(f"got epsinas on {space.name!r}; expected {having}")
    proxy: Proxy = load_class(record.epsinas)()
    return proxy


# Each makes the proxy of a space, with its default seed. Raises ConfigError where it does not apply.
PROXIES: MappingProxyType[str, Callable[[SearchSpace], Proxy]] = MappingProxyType(
    {"nwot": _nwot, "nwot_full": _nwot_full, "epsinas": _epsinas}
)


def default_proxies() -> dict[str, str]:
    """Space -> the proxy that the paper uses in it (F.5)."""
    return {record.name: record.proxy for record in records() if record.proxy is not None}


def open_proxy(name: str, space: SearchSpace) -> Proxy:
    """The proxy of a name on a space. Raises ConfigError for an unknown name, or a space it does not apply to."""
    return PROXIES[checked_choice(name, PROXIES, "proxy")](space)
