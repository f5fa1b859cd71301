"""Initial sampling: which architectures a search labels first (paper section 3.2). Light to import."""

from invertnas.initial.alignflow import AlignFlowInitial as AlignFlowInitial
from invertnas.initial.alignflow import AlignFlowInitialConfig as AlignFlowInitialConfig
from invertnas.initial.base import GivenInitial as GivenInitial
from invertnas.initial.base import InitialStrategy as InitialStrategy
from invertnas.initial.base import RandomInitial as RandomInitial
from invertnas.initial.opening import INITS as INITS
from invertnas.initial.opening import initial_files as initial_files
from invertnas.initial.opening import initial_settings as initial_settings
from invertnas.initial.opening import open_initial as open_initial
from invertnas.initial.proxy import ProxyConfig as ProxyConfig
from invertnas.initial.proxy import ProxyInitial as ProxyInitial
