"""The predictor whose INN proposes and scores, and whose process ranks: attributes, inverse, files, searches."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from invertnas.errors import ArtefactError, ConfigError
from invertnas.gvae.config import GVAEConfig
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.predictor.attributes import AttributeScale, FreeScores
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.create import create_predictor
from invertnas.predictor.guided import GuidedPredictor
from invertnas.predictor.predictor import InvertiblePredictor
from invertnas.protocols import Labelled
from invertnas.search.config import CandidateConfig, SearchConfig
from invertnas.search.optimizer import InvertNAS
from invertnas.spaces.attributes import attribute_names, graph_attributes
from tests.helpers.fakes import SPACE, score

GVAE_CONFIG = GVAEConfig(8, 7, latent_dim=4, gin_channels=(8,), blocks=1, model_dim=8, heads=2, feed_forward=8)
INN = INNConfig(32, 2, layers=2, hidden_layers=1, hidden=16, head_scale=0.1)
TRAIN = INNTrainConfig(
    rank_weighted=False, batch_size=16, steps_per_epoch=10, initial_epochs=2, retrain_epochs=1, pretrain_steps=60,
    learning_rate=1e-2,
)  # fmt: skip
CONFIG = PredictorConfig(
    scale_latent=True, scale_accuracy=True, uncertainty="gaussian_process", ranking="process", refit=3
)
SEARCH = SearchConfig(
    initial=8, keep=8, batch=2, selection="ei",
    candidates=CandidateConfig(wanted=20, max_retries=1, rows=4, z_std=0.3, mutate_top=3, mutations=5, samples=6),
)  # fmt: skip


def labelled(count: int, seed: int = 0) -> Labelled:
    rng = np.random.default_rng(seed)
    archs = list(dict.fromkeys(SPACE.sample(rng) for _ in range(count)))
    return Labelled().extend(archs, [score(arch) for arch in archs])


def free_scores(count: int = 60) -> FreeScores:
    archs = labelled(count, seed=5).archs
    values = np.array([[arch.ops.count(3) - 2.0 * arch.ops.count(6)] for arch in archs])
    values[0] = -np.inf
    return FreeScores(archs, values)


@pytest.fixture(scope="module")
def gvae() -> GVAE:
    return GVAE.create(GVAE_CONFIG, seed=3)


def make(gvae: GVAE, scores: FreeScores | None = None, seed: int = 0, **changes: Any) -> GuidedPredictor:
    config = dataclasses.replace(CONFIG, **changes)
    return GuidedPredictor(SPACE, gvae, INN, TRAIN, config, scores=scores, seed=seed)


@pytest.fixture(scope="module", params=[True, False], ids=["scores", "graph alone"])
def fitted(request: pytest.FixtureRequest, gvae: GVAE) -> GuidedPredictor:
    model = make(gvae, free_scores() if request.param else None)
    model.fit(labelled(30), Labelled(), round_index=0)
    return model


def test_the_process_ranks(fitted: GuidedPredictor) -> None:
    new = labelled(80, seed=2)
    mean, members = fitted.predict(new.archs)
    assert (mean.shape, members.shape, mean.dtype) == ((len(new),), (2, len(new)), np.float32)
    assert spearmanr(mean, new.accuracies)[0] > 0.8
    known = labelled(30)
    assert np.abs(fitted.predict(known.archs)[0] - known.accuracies).max() < 0.05
    std, at_known = fitted.uncertainty(new.archs), fitted.uncertainty(known.archs)
    assert (std > 0).all() and at_known.mean() < std.mean()


def test_improvement_is_high_for_good_ones_and_falls_beside_pending_ones(fitted: GuidedPredictor) -> None:
    new = labelled(80, seed=2)
    gain = fitted.improvement(new.archs)
    assert gain.shape == (len(new),) and np.isfinite(gain).all()
    assert spearmanr(gain, new.accuracies)[0] > 0.4
    best = new.archs[int(np.argmax(gain))]
    later = fitted.improvement(new.archs, [best])
    assert later[int(np.argmax(gain))] < gain.max() - 0.1
    np.testing.assert_array_equal(fitted.improvement(new.archs), gain)


def test_targets_and_what_the_attributes_are(gvae: GVAE) -> None:
    archs = [SPACE.sample(np.random.default_rng(seed)) for seed in range(200)]
    scale = AttributeScale(SPACE, archs)
    values = scale.of_graph(archs)
    varying = int((graph_attributes(SPACE, archs).std(axis=0) > 1e-6).sum())
    assert scale.score_count == 0 and values.shape[1] == scale.graph_count == varying < len(attribute_names(SPACE))
    np.testing.assert_allclose(values.mean(axis=0), 0, atol=0.05)
    assert np.abs(values).max() <= 4.0
    alone, scored = (make(gvae, scores) for scores in (None, free_scores()))
    assert alone.flow.config.targets == 1 + varying and scored.flow.config.targets == 2 + varying


def test_scores_where_they_are_known_and_predicted_elsewhere() -> None:
    scores = free_scores()
    scale = AttributeScale(SPACE, scores.archs, scores)
    known = scale.scores(scores.archs, np.full((len(scores.archs), 1), 3.0, np.float32))
    assert abs(known.mean()) < 0.05 and known.min() == known[0] and (known < 3.0).all()
    others = [arch for arch in labelled(50, seed=8).archs if arch not in scores.archs]
    np.testing.assert_array_equal(scale.scores(others, np.full((len(others), 1), 9.0, np.float32)), 4.0)


def test_the_inn_learns_scores_before_the_first_label(gvae: GVAE) -> None:
    model, scores = make(gvae, free_scores(300)), free_scores(300)
    known, outputs = model.attributes.scores(scores.archs, np.zeros((len(scores.archs), 1))), []
    for _ in range(2):
        outputs.append(model._outputs(model._latents(scores.archs)).numpy()[..., -2].mean(axis=0))
        model.trainer.pretrain()
    errors = [float(((found - known[:, 0]) ** 2).mean()) for found in outputs]
    assert errors[1] < 0.7 * errors[0]


def test_refits_and_reports(gvae: GVAE) -> None:
    model = make(gvae)
    first = model.fit(labelled(12), Labelled(), round_index=0)
    assert np.isfinite(first["pretraining_loss"]) and first["steps"] == 20 and len(first["process"]) == 5
    before = [variable.numpy() for variable in model.trainer.variables]
    assert "steps" not in model.fit(labelled(13), Labelled(), round_index=1)
    assert all((a == b.numpy()).all() for a, b in zip(before, model.trainer.variables))
    assert model.fit(labelled(14), Labelled(), round_index=3)["steps"] == 10
    assert any((a != b.numpy()).any() for a, b in zip(before, model.trainer.variables))


def test_the_inverse_starts_from_the_best(fitted: GuidedPredictor) -> None:
    targets = np.array([0.8, 0.9], np.float32)
    exact = fitted.invert_latents(targets, z_std=0.0, rng=np.random.default_rng(0))
    again = fitted.invert_latents(targets, z_std=0.0, rng=np.random.default_rng(0))
    moved = fitted.invert_latents(targets, z_std=1.0, rng=np.random.default_rng(0))
    assert exact.shape == (2 * 2, 32) and (exact == again).all() and np.abs(exact - moved).max() > 1e-2
    found = fitted._outputs(fitted._latent_scale.to_inn(exact)).numpy()[0, :2, -1]
    np.testing.assert_allclose(found, (targets - fitted._y_shift) / fitted._y_scale, atol=1e-3)


def test_refusals(gvae: GVAE) -> None:
    fresh, archs = make(gvae), labelled(3).archs
    for call in (fresh.predict, fresh.uncertainty, fresh.improvement):
        with pytest.raises(ConfigError, match="expected fit before"):
            call(archs)
    with pytest.raises(ConfigError, match="expected fit before invert"):
        fresh.invert(np.ones(2, np.float32), z_std=1.0, latent_noise=0.0, rng=np.random.default_rng(0))
    with pytest.raises(ConfigError, match="ranking='inn'"):
        make(gvae, ranking="inn", refit=1)
    with pytest.raises(ConfigError, match="uncertainty='members'"):
        dataclasses.replace(CONFIG, uncertainty="members")
    with pytest.raises(ConfigError, match="got refit=3 with ranking='inn'"):
        dataclasses.replace(CONFIG, ranking="inn")
    with pytest.raises(ConfigError, match=r"got scores \(3,\)"):
        FreeScores(archs, np.zeros(3))
    with pytest.raises(ConfigError, match="NaN"):
        FreeScores(archs, np.full((3, 1), np.nan))


def test_the_right_class(gvae: GVAE) -> None:
    assert isinstance(create_predictor(SPACE, gvae, INN, TRAIN, CONFIG, seed=0), GuidedPredictor)
    plain = create_predictor(SPACE, gvae, INN, TRAIN, PredictorConfig(), seed=0)
    assert type(plain) is InvertiblePredictor and plain.flow.config.targets == 1
    with pytest.raises(ConfigError, match="got selection='ei' with InvertiblePredictor"):
        InvertNAS(SPACE, plain, SEARCH, seed=0)
    with pytest.raises(ConfigError, match="got ranking='process' for InvertiblePredictor; expected 'inn'"):
        InvertiblePredictor(SPACE, gvae, INN, TRAIN, CONFIG, seed=0)


def test_saved_and_restored(fitted: GuidedPredictor, gvae: GVAE, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    scores = free_scores() if fitted.attributes.score_count else None
    other, archs = make(gvae, scores), labelled(20, seed=4).archs
    other.load(tmp_path)
    np.testing.assert_array_equal(other.predict(archs)[0], fitted.predict(archs)[0])
    np.testing.assert_array_equal(other.improvement(archs), fitted.improvement(archs))
    target = np.array([0.9], np.float32)
    found = [model.invert_latents(target, z_std=0.5, rng=np.random.default_rng(1)) for model in (fitted, other)]
    np.testing.assert_array_equal(found[0], found[1])
    with pytest.raises(ConfigError, match="another"):
        make(gvae, None if scores else free_scores()).load(tmp_path)
    (tmp_path / "process.npz").write_bytes(b"")
    with pytest.raises(ArtefactError):
        other.load(tmp_path)


def run(search: InvertNAS, rounds: int) -> list[str]:
    asked = list[str]()
    for _ in range(rounds):
        archs = search.ask()
        search.tell(archs, [score(arch) for arch in archs])
        asked += [SPACE.to_string(arch) for arch in archs]
    return asked


def test_a_search_with_op_counts_alone_beats_random_samples(gvae: GVAE) -> None:
    search = InvertNAS(SPACE, make(gvae), SEARCH, seed=1)
    asked = run(search, 12)
    assert len(set(asked)) == len(asked) == 8 + 11 * 2
    values = [score(SPACE.from_string(text)) for text in asked]
    uniform = labelled(3000, seed=3).accuracies
    assert max(values) > np.quantile(uniform, 0.999) and np.mean(values[-10:]) > np.quantile(uniform, 0.95)


def test_a_search_continues_exactly_with_a_question_open(gvae: GVAE, tmp_path: Path) -> None:
    straight, broken = (InvertNAS(SPACE, make(gvae), SEARCH, seed=1) for _ in range(2))
    run(straight, 4)
    run(broken, 4)
    straight.ask(), broken.ask()
    broken.save(tmp_path)
    resumed = InvertNAS(SPACE, make(gvae), SEARCH, seed=1)
    resumed.load(tmp_path)
    assert resumed.ask(1) == straight.ask(1)  # the open ones count as answered by their predictions
    assert run(resumed, 3) == run(straight, 3)
