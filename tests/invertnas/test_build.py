"""The one door: what is put together is the same as by hand, and what makes no sense is refused."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import invertnas
from invertnas import ArchSpec, ConfigError, DataMissingError, OutOfDomainError
from invertnas.build import build_predictor, build_search
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.initial import GivenInitial, RandomInitial
from invertnas.predictor.attributes import FreeScores
from invertnas.predictor.guided import GuidedPredictor
from invertnas.predictor.predictor import InvertiblePredictor
from invertnas.presets import PRESETS, Preset, preset
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces import NASBench201Space
from tests.helpers.fakes import FakeSurrogate, score

SPACE = NASBench201Space()
TINY = preset("fast", SPACE.name).changed(
    name="tiny",
    inn={"members": 2, "layers": 1, "hidden_layers": 1, "hidden": 8},
    train={"steps_per_epoch": 5},
    search={"initial": 8, "keep": 8},
)


class Own(NASBench201Space):
    name = "own"


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    small = {"latent_dim": 2, "gin_channels": [8, 4], "blocks": 1, "model_dim": 4, "heads": 1, "feed_forward": 4}
    return GVAE.create(GVAEConfig.from_dict({"num_nodes": 8, "num_ops": 7, **small}))


def by_hand(gvae: GVAE, seed: int) -> InvertNAS:
    inn = TINY.inn_config(gvae.config.flat_dim)
    predictor = InvertiblePredictor(SPACE, gvae, inn, TINY.train, TINY.predictor, seed=seed)
    return InvertNAS(SPACE, predictor, TINY.search, seed=seed)


def two_rounds(search: InvertNAS) -> list[str]:
    asked = []
    for _ in range(2):
        archs = search.ask()
        search.tell(archs, [score(arch) for arch in archs])
        asked += [SPACE.to_string(arch) for arch in archs]
    return asked


def test_a_search_is_what_it_is_by_hand(gvae: GVAE) -> None:
    built = build_search(SPACE, preset=TINY, gvae=gvae, seed=3)
    assert built.surrogate.fingerprint == by_hand(gvae, 3).surrogate.fingerprint  # type: ignore[attr-defined]
    assert two_rounds(built) == two_rounds(by_hand(gvae, 3)) != two_rounds(build_search(SPACE, preset=TINY, gvae=gvae))


def test_scores_come_with_the_space_or_from_outside(gvae: GVAE) -> None:
    small = preset("guided", SPACE.name).changed(inn=dict(TINY.inn), train={"pretrain_steps": 2, "steps_per_epoch": 1})
    scores = FreeScores(tuple(SPACE.all())[:30], np.arange(60.0).reshape(30, 2))
    found = [
        build_predictor(space, preset=small, gvae=gvae, scores=given)
        for space, given in ((SPACE, None), (SPACE, scores), (Own(), None))
    ]
    assert [isinstance(each, GuidedPredictor) and each.attributes.score_count for each in found] == [1, 2, 0]
    with pytest.raises(ConfigError, match="got scores with ranking='inn'"):
        build_predictor(SPACE, preset=TINY, gvae=gvae, scores=scores)
    with pytest.raises(ConfigError, match="got inn.targets=2"):
        build_predictor(SPACE, preset=small.changed(inn={"targets": 1 + 1}), gvae=gvae)


def test_names_find_preset_space_and_weights() -> None:
    search = build_search("nasbench101", members=2, seed=1)
    predictor = search.surrogate
    assert isinstance(predictor, InvertiblePredictor) and search.space.name == predictor.space.name == "nasbench101"
    assert search.config == preset("fast", "nasbench101").search != preset("fast", "own").search
    assert predictor.flow.config == preset("fast", "nasbench101").with_members(2).inn_config(predictor.flow.config.dim)
    assert search.ask() == RandomInitial().choose(search.space, 30, 1)


def test_initial_sets_by_name_strategy_and_list(gvae: GVAE) -> None:
    def first(initial: Any) -> list[ArchSpec]:
        return build_search(SPACE, preset=TINY, gvae=gvae, initial=initial, seed=5).ask()

    archs = RandomInitial().choose(SPACE, 9, 7)
    texts = [SPACE.to_string(arch) for arch in archs]
    assert first(archs) == first(texts) == first(GivenInitial(archs)) == archs[:8]
    assert first("random") == first(RandomInitial()) == RandomInitial().choose(SPACE, 8, 5)
    assert len(set(first("proxy"))) == 8 and first("proxy") != first("random")
    with pytest.raises(ConfigError, match="got 3 distinct initial architectures; expected at least 8"):
        first([*archs[:3], archs[0]])
    with pytest.raises(OutOfDomainError):
        first(["no cell"] * 9)
    with pytest.raises(ConfigError, match="got initial strategy 'prox'; .*did you mean 'proxy'"):
        first("prox")


def test_a_surrogate_takes_the_place_of_the_predictor() -> None:
    fake = FakeSurrogate()
    assert build_search(Own(), preset=TINY, surrogate=fake).surrogate is fake  # no weights are needed
    with pytest.raises(ConfigError, match="got members=3 beside a surrogate"):
        build_search(SPACE, preset=TINY, surrogate=fake, members=3)
    scores = FreeScores((SPACE.sample(np.random.default_rng(0)),), np.ones((1, 1)))
    with pytest.raises(ConfigError, match="got scores beside a surrogate"):
        build_search(SPACE, preset=TINY, surrogate=fake, scores=scores)


def test_bad_arguments_are_named(gvae: GVAE) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"seed": None}, "got seed=None"),
        ({"seed": 1.5}, "got seed=1.5"),
        ({"preset": "papr"}, "got preset 'papr'; expected one of fast, paper, thesis, guided: did you mean 'paper'"),
        ({"preset": None}, "got preset None"),
        ({"members": 0}, "got members=0; expected"),
        ({"initial": 3}, "got 3; expected several architectures"),
    ]
    for arguments, told in cases:
        with pytest.raises(ConfigError, match=told):
            build_search(SPACE, **{"preset": TINY, "gvae": gvae, **arguments})
    with pytest.raises(ConfigError, match="got space 'nasbench20l'; .*did you mean 'nasbench201'"):
        build_predictor("nasbench20l")
    with pytest.raises(DataMissingError, match="got space 'own', for which no weights ship"):
        build_search(Own())
    with pytest.raises(ConfigError, match="got initial strategy 'proxy' on 'own'; expected .*'random', or a list"):
        build_search(Own(), preset=TINY, gvae=gvae, initial="proxy")


def test_presets_are_frozen_all_the_way_down() -> None:
    for chosen in PRESETS.values():
        assert chosen.about and pickle.loads(pickle.dumps(chosen)) == copy.deepcopy(chosen) == chosen
        assert copy.deepcopy(chosen).per_space == chosen.per_space and hash(chosen) == hash(copy.deepcopy(chosen))
        mappings: list[Any] = [chosen.inn, chosen.per_space]
        for mapping in mappings:
            with pytest.raises(TypeError):
                mapping["hidden"] = 3
            mappings += [value for value in mapping.values() if hasattr(value, "keys")]
        stored = chosen.to_dict()
        stored["inn"]["hidden"] = 3
        assert chosen.inn["hidden"] != 3
    with pytest.raises(TypeError):
        PRESETS["own"] = PRESETS["fast"]  # type: ignore[index]


def test_presets_are_changed_by_fields() -> None:
    fast = PRESETS["fast"]
    other = fast.changed(inn={"members": 3}, candidates={"wanted": 9}, search={"batch": 2}, predictor={"clip_low": -2})
    assert (other.inn["members"], other.search.candidates.wanted, other.search.batch) == (3, 9, 2)
    assert other.predictor.clip_low == -2 and other.train == fast.train and fast.inn["members"] == 10
    assert other.on("nasbench301") is other  # what was changed holds everywhere
    assert fast.on("nasbench301").search.selection == "ucb" and fast.on("own") == fast
    cases: list[tuple[dict[str, Any], str]] = [
        ({"inn": {"member": 3}}, "got inn.member; .*did you mean 'members'"),
        ({"inn": {"dim": 3}}, "got inn.dim in a preset"),
        ({"inn": {"members": 0}}, "got members=0"),
        ({"search": {"initial": 0}}, "got initial=0"),
        ({"train": {"epochs": 0}}, "got train.epochs; expected one of"),
    ]
    for changes, told in cases:
        with pytest.raises(ConfigError, match=told):
            fast.changed(**changes)
    with pytest.raises(ConfigError, match="got train=None"):
        Preset("own", {}, None, fast.predictor, fast.search)  # type: ignore[arg-type]


def test_alignflow_starts_a_search_by_name() -> None:
    search = build_search("nasbench201", preset=TINY, initial="alignflow", seed=2)
    archs = search.ask()
    assert len({SPACE.identity(arch) for arch in archs}) == 8
    assert archs == invertnas.open_initial("alignflow", "nasbench201").choose(SPACE, 8, 2)
    assert np.mean([SPACE.is_valid(arch) for arch in archs]) == 1.0
