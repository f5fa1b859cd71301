"""Trainable Keras networks of architectures: `build_keras`, and what they cost: `network_cost`."""

from invertnas.networks.build import build_keras as build_keras
from invertnas.networks.build import count_parameters as count_parameters
from invertnas.networks.build import network_cost as network_cost
from invertnas.networks.cost import NetworkCost as NetworkCost
from invertnas.networks.nasbench_nlp import RecurrentCell as RecurrentCell
from invertnas.networks.nasbench_nlp import TiedEmbedding as TiedEmbedding
