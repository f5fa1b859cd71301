"""Initial sampling: which architectures a search labels first (paper section 3.2). NumPy only."""

from invertnas.initial.alignflow import AlignFlowInitial as AlignFlowInitial
from invertnas.initial.alignflow import AlignFlowInitialConfig as AlignFlowInitialConfig
from invertnas.initial.base import InitialStrategy as InitialStrategy
from invertnas.initial.base import RandomInitial as RandomInitial
from invertnas.initial.proxy import ProxyConfig as ProxyConfig
from invertnas.initial.proxy import ProxyInitial as ProxyInitial
