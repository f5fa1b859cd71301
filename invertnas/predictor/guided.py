"""A predictor in which the INN proposes and scores, and a Gaussian process ranks (`ranking="process"`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from invertnas.errors import ArtefactError, ConfigError
from invertnas.files.io import read_arrays, write_arrays
from invertnas.gvae.model import GVAE
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.vector import Unlabelled, VectorTrainer
from invertnas.predictor.attributes import AttributeScale, FreeScores
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.inverse import by_draw
from invertnas.predictor.predictor import InvertiblePredictor
from invertnas.predictor.process import AdditiveProcess, Blocks, Terms, log_expected_improvement
from invertnas.predictor.warp import SoftScale
from invertnas.protocols import Draw, Labelled
from invertnas.seeding import generator
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray

PROCESS_FILE = "process.npz"
UNLABELLED = 4000  # at most so many architectures train the attributes
SAMPLED = 1000  # random architectures that do where there are no scores, and at most that set the units
ELITE = 10  # best labelled architectures from which the inverse starts


class GuidedPredictor(InvertiblePredictor):
    """INNs map latents to [z, a, y], attributes a beside the accuracy y; a Gaussian process predicts accuracies.

    The attributes are those of the graph (`graph_attributes`) and, where given, scores that cost no training. Both
    train the INNs before the first label. From then on the INNs

    - predict the scores of architectures that have none,
    - propose architectures: the inverse of [z, a, y] with a high y, and z and attributes a of the best labelled.

    Accuracies, uncertainty and expected improvement are those of the process. Its covariance is the sum of one in
    the one-hot graph and one in the attributes, so that what few labels say of the attributes holds everywhere.

    Args:
        space: encodes and decodes architectures.
        gvae: pretrained on the space.
        inn: ensemble architecture; `targets` is set here, one more than there are attributes.
        train: optimisation of the ensemble.
        config: with ranking "process".
        scores: of some architectures; None for the graph's attributes alone.
        seed: of every random choice.

    Raises:
        ConfigError: the GVAE does not fit the space or the ensemble the GVAE; `ranking` is "inn".
    """

    ranks_by: ClassVar[str] = "process"
    trainer: VectorTrainer

    def __init__(
        self,
        space: SearchSpace,
        gvae: GVAE,
        inn: INNConfig,
        train: INNTrainConfig,
        config: PredictorConfig,
        *,
        scores: FreeScores | None = None,
        seed: int = 0,
    ) -> None:
        if inn.targets != 1:
            raise ConfigError(f"got inn.targets={inn.targets}; expected 1, since the attributes of the space set it")
        rng = generator(seed, "unlabelled")
        if scores is None:
            archs = [space.sample(rng) for _ in range(SAMPLED)]
        else:
            archs = [scores.archs[row] for row in rng.permutation(len(scores.archs))[:UNLABELLED]]
        self.attributes, self._digest = AttributeScale(space, archs, scores), "" if scores is None else scores.digest()
        targets = 1 + self.attributes.graph_count + self.attributes.score_count
        inn = INNConfig(**{**inn.to_dict(), "targets": targets})
        super().__init__(space, gvae, inn, train, config, seed=seed)
        unknown = np.zeros((len(archs), self.attributes.score_count), np.float32)  # there is none
        known = np.concatenate([self.attributes.of_graph(archs), self.attributes.scores(archs, unknown)], axis=1)
        self.trainer = VectorTrainer(self.flow, train, Unlabelled(self._latents(archs), known), seed=seed)
        sample = self._raw(archs[:SAMPLED], known[:SAMPLED, self.attributes.graph_count :])
        self._units = [float(np.sqrt(2.0 * block.var(axis=0).sum())) or 1.0 for block in sample]
        self._elite: FloatArray | None = None
        self._asked: tuple[tuple[ArchSpec, ...], Blocks] | None = None
        self._ranker: AdditiveProcess | None = None
        self._scale, self._best = SoftScale(0.0, 1.0, 0.0, 1.0), 0.0

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        """Fit the process to all labels, and the ensemble every `config.refit` rounds; returns a report.

        Args:
            train, val: labelled architectures; fractions. Nothing needs validation, so both train.
            round_index: 0 for the initial fit, which trains on the attributes first.
        """
        everything = train.extend(val.archs, val.accuracies)
        accuracies = np.array(everything.accuracies)
        self._fit_accuracy_scale(accuracies)
        report: dict[str, Any] = {}
        if round_index == 0:
            report["pretraining_loss"] = self.trainer.pretrain()
        if round_index % self.config.refit == 0:
            report |= self._fit_ensemble(everything, round_index)
        raw = self._raw(everything.archs)
        self._scale = SoftScale.fit(accuracies)
        scaled = self._scale.to_scale(accuracies)
        self._ranker, self._best = AdditiveProcess.fit(self._scaled(raw), scaled, self._terms), float(scaled.max())
        self._asked = None
        best = np.argsort(-accuracies, kind="stable")[:ELITE]
        self._elite = self._latents([everything.archs[row] for row in best])
        return report | {"process": [float(log) for log in self._ranker.logs]}

    def _fingerprint(self, gvae: GVAE, inn: INNConfig, train: INNTrainConfig, seed: int) -> dict[str, Any]:
        return {**super()._fingerprint(gvae, inn, train, seed), "scores_sha256": self._digest}

    def load(self, folder: Path) -> None:
        """Restore `save`. Raises as the base does."""
        super().load(folder)
        self._asked, self._ranker, self._elite = None, None, None
        arrays = read_arrays(folder / PROCESS_FILE)
        if not arrays:
            return
        try:
            blocks = tuple(arrays[f"block_{number}"] for number in range(len(self._units)))
            rest = [arrays[name] for name in ("logs", "centre", "factor", "weights")]
            self._ranker = AdditiveProcess(self._terms, blocks, rest[0], float(rest[1]), *rest[2:])
            self._scale = SoftScale(*arrays["scale"].tolist())
            self._best, self._elite = float(arrays["best"]), arrays["elite"]
        except KeyError as error:
            raise ArtefactError(f"{folder / PROCESS_FILE} lacks {error}; delete the folder and run again") from error

    def save(self, folder: Path) -> None:
        """Write what the base writes, and `process.npz`: the process and what the inverse starts from."""
        super().save(folder)
        arrays = dict[str, Any]()
        if self._ranker is not None:
            ranker = self._ranker
            arrays = {f"block_{number}": block for number, block in enumerate(ranker.blocks)}
            arrays |= {name: np.asarray(getattr(ranker, name)) for name in ("logs", "centre", "factor", "weights")}
            arrays |= {"scale": np.array(dataclasses.astuple(self._scale)), "best": np.array(self._best)}
            arrays["elite"] = self._elite
        write_arrays(folder / PROCESS_FILE, arrays)

    def predict(self, archs: Sequence[ArchSpec | str]) -> tuple[FloatArray, FloatArray]:
        """Accuracies (B,) of the process, and the ensemble's own (K, B), as fractions. Raises as `uncertainty`."""
        given = self._accepted(archs)
        mean, _ = self._process_of_labels().predict(self._blocks(given))
        members = self._forward(self._latents(given)) * self._y_scale + self._y_shift
        return self._scale.from_scale(mean).astype(np.float32), members.astype(np.float32)

    def uncertainty(self, archs: Sequence[ArchSpec | str]) -> FloatArray:
        """Standard deviations (B,) of the process, as fractions, to first order. Raises ConfigError before a fit."""
        mean, std = self._process_of_labels().predict(self._blocks(self._accepted(archs)))
        return (std * self._scale.slope(mean)).astype(np.float32)

    def improvement(self, archs: Sequence[ArchSpec], pending: Sequence[ArchSpec] = ()) -> FloatArray:
        """Logarithms (B,) of the expected improvements on the best label, on the scale of the labels (`SoftScale`).

        Architectures in `pending` count as answered by their predictions. Raises ConfigError before a fit.
        """
        process, key = self._process_of_labels(), tuple(archs)
        if self._asked is None or self._asked[0] != key:  # every pick of a question asks of the same ones
            self._asked = key, self._blocks(archs)
        blocks, best = self._asked[1], self._best
        if pending:
            believed = self._blocks(pending)
            best = max(best, float(process.predict(believed)[0].max()))
            process = process.believing(believed)
        return log_expected_improvement(*process.predict(blocks), best).astype(np.float32)

    def _inverted(self, draws: Sequence[Draw]) -> list[FloatArray]:
        """(K * n, D) GVAE latents of each draw, without its noise: crossings of the best labelled.

        Each takes z of one of the best labelled, moved by the z drawn, the attributes a of another, and the target as
        y. (In the paper z is what is drawn.)

        Raises:
            ConfigError: before a fit.
        """
        if self._elite is None:
            raise ConfigError("got no labels to start from; expected fit before invert")
        cfg, count = self.flow.config, len(self._elite)
        numbers = np.concatenate([np.arange(len(draw.targets)) for draw in draws])
        rows, others = numbers % count, (numbers + 1 + numbers // count) % count
        best = self._outputs(tf.constant(self._elite, tf.float32)).numpy()
        vectors = best[:, rows]
        vectors[..., -cfg.targets : -1] = best[:, others, -cfg.targets : -1]
        vectors[..., : -cfg.targets] += np.concatenate([draw.z for draw in draws])[:, : cfg.dim - cfg.targets]
        vectors[..., -1] = (np.concatenate([draw.targets for draw in draws]) - self._y_shift) / self._y_scale
        found = self._inverse_of(tf.constant(vectors, tf.float32)).numpy()
        latents = self._latent_scale.from_inn(np.nan_to_num(found.reshape(-1, cfg.dim))).reshape(found.shape)
        return by_draw(latents, draws)

    def _fit_ensemble(self, labelled: Labelled, round_index: int) -> dict[str, Any]:
        y, attributes = self._to_target(labelled.accuracies), self._attributes(labelled.archs)
        return self.trainer.fit_vector(self._latents(labelled.archs), attributes, y, round_index=round_index)

    @property
    def _terms(self) -> Terms:
        return ((0,), (1, 2) if self.attributes.score_count else (1,))

    def _process_of_labels(self) -> AdditiveProcess:
        if self._ranker is None:
            raise ConfigError("got no labels for the Gaussian process; expected fit before predictions")
        return self._ranker

    def _blocks(self, archs: Sequence[ArchSpec]) -> Blocks:
        return self._scaled(self._raw(archs))

    def _scaled(self, raw: list[FloatArray]) -> Blocks:
        """Features whose squared distances between random architectures are about 1, block by block."""
        return [block / unit for block, unit in zip(raw, self._units)]

    def _raw(self, archs: Sequence[ArchSpec], scores: FloatArray | None = None) -> list[FloatArray]:
        """(B, ...) one-hot graph, attributes of the graph, and scores where the space has them."""
        graphs = self.space.encode(archs)
        graph = np.concatenate([part.reshape(len(archs), -1) for part in (graphs.ops, graphs.adjacency)], axis=1)
        found = [graph, self.attributes.of_graph(archs)]
        if self.attributes.score_count:
            found.append(self._scores(archs) if scores is None else scores)
        return found

    def _scores(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B, S), known or predicted by the mean of the ensemble."""
        count = self.attributes.score_count
        outputs = self._outputs(tf.constant(self._latents(archs), tf.float32)).numpy()[..., -1 - count : -1]
        return self.attributes.scores(archs, np.nan_to_num(outputs.mean(axis=0)))

    def _attributes(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(B, A) of the graph, then scores."""
        return np.concatenate(self._raw(archs)[1:], axis=1)

    @tf.function(reduce_retracing=True, autograph=False)
    def _outputs(self, latents: tf.Tensor) -> tf.Tensor:
        return self.flow(tf.tile(latents[tf.newaxis], (self.flow.config.members, 1, 1)))[0]

    @tf.function(reduce_retracing=True, autograph=False)
    def _inverse_of(self, vectors: tf.Tensor) -> tf.Tensor:
        return self.flow(vectors, inverse=True)[0]
