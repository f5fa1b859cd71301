"""The one door: a search, or its predictor alone, put together by the names of its parts.

The assembly is the same everywhere: the GVAE of the space, the preset as it is on the space, the predictor of both,
the initial set, and the search around them. Scripts and users come through here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from invertnas.checks import checked_seed
from invertnas.errors import ConfigError
from invertnas.initial.base import InitialStrategy
from invertnas.initial.opening import open_initial
from invertnas.presets import DEFAULT, Preset
from invertnas.presets import preset as named_preset
from invertnas.protocols import Surrogate
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.records import as_space
from invertnas.spaces.spec import ArchSpec

if TYPE_CHECKING:  # TensorFlow is imported when something is built
    from invertnas.gvae.model import GVAE
    from invertnas.predictor.attributes import FreeScores
    from invertnas.predictor.predictor import InvertiblePredictor
    from invertnas.search.optimizer import InvertNAS


def build_search(
    space: SearchSpace | str,
    *,
    preset: str | Preset = DEFAULT,
    initial: str | InitialStrategy | Sequence[ArchSpec | str] = "random",
    members: int | None = None,
    gvae: GVAE | None = None,
    surrogate: Surrogate | None = None,
    scores: FreeScores | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> InvertNAS:
    """A search ready for its first `ask`.

    Args:
        space: search space, or the name of one that ships, such as "nasbench201".
        preset: name of a preset, or one changed by `Preset.changed`.
        initial: "random", "proxy", "alignflow", an `InitialStrategy`, or architectures or their strings.
        members: flows in the ensemble, None for the preset's number.
        gvae: GVAE of the space, None for the one in `folder`; needed for a space of your own.
        surrogate: predictor to search with in place of the one that is built.
        scores: of architectures without training, for presets that read them; None for those that come with InvertNAS,
            of which a space of your own has none.
        folder: of the weights of GVAE and AlignFlow, None for those that come with InvertNAS.
        seed: of every random choice.

    Raises:
        ConfigError: an argument is unknown, out of range or without effect.
        DataMissingError: no weights are found for the space.
        ArtefactError: weights are damaged or do not fit.
        OutOfDomainError: an initial architecture is not in the space.
    """
    from invertnas.search.optimizer import InvertNAS

    of, number = as_space(space), checked_seed(seed)
    chosen = resolved_preset(of, preset, members)
    if surrogate is not None and scores is not None:
        raise ConfigError("got scores beside a surrogate; expected one of the two: give them to build_predictor")
    if surrogate is not None and members is not None:
        raise ConfigError(f"got members={members} beside a surrogate; expected one of the two: it has its own members")
    if gvae is None and (surrogate is None or initial == "alignflow"):
        gvae = _gvae(of, folder)
    if surrogate is None:
        surrogate = build_predictor(of, preset=chosen, gvae=gvae, scores=scores, seed=number)
    strategy = open_initial(initial, of, folder=folder, gvae=gvae)
    first = strategy.choose(of, chosen.search.initial, number)
    return InvertNAS(of, surrogate, chosen.search, initial=first, seed=number)


def build_predictor(
    space: SearchSpace | str,
    *,
    preset: str | Preset = DEFAULT,
    members: int | None = None,
    gvae: GVAE | None = None,
    scores: FreeScores | None = None,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
) -> InvertiblePredictor:
    """A predictor that is not fitted yet; arguments and errors as in `build_search`."""
    from invertnas.free_scores import stored_scores
    from invertnas.predictor.create import create_predictor

    of, number = as_space(space), checked_seed(seed)
    chosen = resolved_preset(of, preset, members)
    model = _gvae(of, folder) if gvae is None else gvae
    inn = chosen.inn_config(model.config.flat_dim)
    if chosen.predictor.ranking == "process":
        scores = stored_scores(of) if scores is None else scores
    return create_predictor(of, model, inn, chosen.train, chosen.predictor, scores=scores, seed=number)


def resolved_preset(space: SearchSpace, preset: str | Preset, members: int | None = None) -> Preset:
    """The preset as it is on the space, with the number of members put in. Raises ConfigError."""
    chosen = preset.on(space.name) if isinstance(preset, Preset) else named_preset(preset, space.name)
    return chosen.with_members(members)


def _gvae(space: SearchSpace, folder: str | os.PathLike[str] | None) -> GVAE:
    from invertnas.gvae.pretrained import load_gvae

    return load_gvae(space, folder)
