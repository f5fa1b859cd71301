"""The invertible performance predictor: GVAE and INN ensemble joined (paper Fig. 1)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from invertnas.checks import Range, checked, checked_number
from invertnas.errors import ArtefactError, ConfigError
from invertnas.files.fingerprint import check_fingerprint, fingerprint
from invertnas.files.io import read_arrays, write_arrays
from invertnas.gaussian_process import GaussianProcess
from invertnas.gvae.model import GVAE
from invertnas.gvae.pretrained import gvae_digest
from invertnas.inn.config import INNConfig, INNTrainConfig
from invertnas.inn.engine import inference
from invertnas.inn.flow import FlowEnsemble
from invertnas.inn.train import INNTrainer
from invertnas.predictor.aggregate import idw_weights, mean_weights
from invertnas.predictor.config import PredictorConfig
from invertnas.predictor.finetune import EndToEndTrainer, copy_gvae
from invertnas.predictor.inverse import by_draw, checked_targets, decode_distinct
from invertnas.predictor.latent_scale import LatentScale, label_place, least_variance
from invertnas.predictor.soundness import sound_report, spread_of
from invertnas.protocols import Draw, Labelled
from invertnas.seeding import generator
from invertnas.spaces.accept import accepted_all
from invertnas.spaces.base import SearchSpace
from invertnas.spaces.spec import ArchSpec, FloatArray

REACHES, NOISES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0), (1e-4, 1e-2, 1.0)  # that the Gaussian process may have
MOST_ENCODED = 50_000  # architectures whose latents are kept
SPREAD_SAMPLE = 1000  # random architectures that measure the latent's mean and spread


class InvertiblePredictor:
    """Predicts accuracies of architectures and architectures of accuracies.

    Implements `invertnas.protocols.Surrogate`. The GVAE runs with inference statistics only.
    Unless `config.finetune` is "end_to_end", none of its variables is ever trained here; if it is, a
    copy is trained, and the latents' scaling stays that of the given one.

    Args:
        space: encodes and decodes architectures.
        gvae: pretrained on the space: as many `cells`, `cells * num_nodes` nodes and `num_ops` operations; never
            changed.
        inn: ensemble architecture; its `dim` must be the GVAE's `flat_dim`, cells * N * L.
        train: optimisation of the ensemble.
        config: scaling, aggregation and what is trained.
        seed: of every random choice.

    Raises:
        ConfigError: the GVAE does not fit the space, or the ensemble not the GVAE.
        TrainingError: the GVAE maps all architectures to one latent, or to none that is finite.
    """

    ranks_by: ClassVar[str] = "inn"

    def __init__(
        self,
        space: SearchSpace,
        gvae: GVAE,
        inn: INNConfig,
        train: INNTrainConfig,
        config: PredictorConfig | None = None,
        *,
        seed: int = 0,
    ) -> None:
        gvae.config.check_space(space)
        if inn.dim != gvae.config.flat_dim:
            raise ConfigError(
                f"got INN dimension {inn.dim}; expected {gvae.config.flat_dim} = cells * nodes * latent of the GVAE"
            )
        self.space, self.config = space, config or PredictorConfig()
        if self.config.ranking != self.ranks_by:
            raise ConfigError(
                f"got ranking={self.config.ranking!r} for {type(self).__name__}; expected {self.ranks_by!r}; make the "
                "predictor by create_predictor"
            )
        self.fingerprint = self._fingerprint(gvae, inn, train, seed)
        end_to_end = self.config.finetune == "end_to_end"
        self.gvae = copy_gvae(gvae) if end_to_end else gvae
        self.flow = FlowEnsemble.create(inn, seed=seed)
        self.trainer = INNTrainer(self.flow, train, seed=seed)
        sample_rng = generator(seed, "latent-spread")
        latents = self.gvae.encode(space.encode([space.sample(sample_rng) for _ in range(SPREAD_SAMPLE)]))
        self.spread = spread_of(latents)
        self._latent_scale = self._fit_latent_scale(latents)
        self._y_shift, self._y_scale = 0.0, 1.0
        self.weights = mean_weights(inn.members)
        self.finetuner = self._end_to_end() if end_to_end else None
        self._process: GaussianProcess | None = None
        self._encoded: dict[ArchSpec, FloatArray] = {}
        self._process_data: dict[str, np.ndarray] = {}

    def _fingerprint(self, gvae: GVAE, inn: INNConfig, train: INNTrainConfig, seed: int) -> dict[str, Any]:
        """Everything that a saved state is bound to; the GVAE is the one handed in, before any fine-tuning."""
        parts: dict[str, Any] = {"space": self.space.name, "seed": seed, "gvae_sha256": gvae_digest(gvae)}
        parts |= {"gvae": gvae.config.to_dict(), "inn": inn.to_dict(), "train": dataclasses.asdict(train)}
        return fingerprint(parts | {"predictor": dataclasses.asdict(self.config)})

    def _end_to_end(self) -> EndToEndTrainer:
        rate, reverse = self.config.gvae_learning_rate, self.config.encoder_reverse
        return EndToEndTrainer(self.trainer, self.gvae, self._latent_scale, learning_rate=rate, reverse=reverse)

    def _fit_latent_scale(self, latents: FloatArray) -> LatentScale:
        inn, config = self.flow.config, self.config
        axis = least_variance(latents) if config.label_axis == "least_variance" else None
        shift, scale = (latents.mean(axis=0), self.spread) if config.scale_latent else (np.zeros(inn.dim), 1.0)
        return LatentScale(shift, scale, axis, label_place(inn.dim, inn.layers))

    def fit(self, train: Labelled, val: Labelled, *, round_index: int) -> dict[str, Any]:
        """Fit the ensemble (end to end: and the GVAE) and its aggregation weights; returns the trainer's report.

        Args:
            train: labelled architectures; fractions.
            val: labelled architectures for early stopping; may be empty.
            round_index: 0 for the initial fit, above for retraining.

        Raises:
            TrainingError: no member ended with a finite loss.

        Warns:
            RuntimeWarning: members sat out more than half of the steps, since their gradients were not finite. The
                report names them, `"unsound"`.
        """
        everything = train.extend(val.archs, val.accuracies)
        self._fit_accuracy_scale(np.array(everything.accuracies))
        sat_out = self.trainer.adam.skipped_steps()
        report = sound_report(self._fit_models(train, val, round_index), sat_out)
        if self.finetuner is not None:  # the GVAE is another one now
            self._encoded.clear()
        if self.config.aggregate == "idw":
            targets = self._to_target(everything.accuracies)
            self.weights = idw_weights(self._forward(self._latents(everything.archs)), targets)
        if self.config.uncertainty == "gaussian_process":
            self._fit_process(self._latents(everything.archs), np.array(everything.accuracies))
        return report

    def _fit_process(self, latents: FloatArray, accuracies: np.ndarray) -> None:
        self._process = GaussianProcess.fit(latents, accuracies, reaches=REACHES, noises=NOISES)
        self._process_data = {"process_latents": latents, "process_accuracies": accuracies}

    def _fit_models(self, train: Labelled, val: Labelled, round_index: int) -> dict[str, Any]:
        y, val_y = self._to_target(train.accuracies), self._to_target(val.accuracies) if len(val) else None
        if self.finetuner is not None:
            val_graphs = self.space.encode(val.archs) if len(val) else None
            return self.finetuner.fit(self.space.encode(train.archs), y, val_graphs, val_y, round_index=round_index)
        val_x = self._latents(val.archs) if len(val) else None
        return self.trainer.fit(self._latents(train.archs), y, val_x, val_y, round_index=round_index).to_dict()

    def predict(self, archs: Sequence[ArchSpec | str]) -> tuple[FloatArray, FloatArray]:
        """Accuracies (B,) aggregated over members, and the members' own (K, B), as fractions.

        Members that are not finite are left out; where no member is left, the accuracy is NaN.

        Args:
            archs: B architectures of the space, or strings of its notation; at least one.

        Raises:
            ConfigError: it is not several architectures, or none.
            OutOfDomainError: one is not of the space.
        """
        members = self._forward(self._latents(self._accepted(archs))) * self._y_scale + self._y_shift
        weights = self.weights[:, np.newaxis] * np.isfinite(members)
        total = weights.sum(axis=0)
        total = np.where(total > 0, total, np.nan)
        return ((weights * np.nan_to_num(members)).sum(axis=0) / total).astype(np.float32), members.astype(np.float32)

    def uncertainty(self, archs: Sequence[ArchSpec | str]) -> FloatArray:
        """Standard deviations (B,) of the predicted accuracies, as fractions; see `PredictorConfig.uncertainty`.

        Members whose prediction is not finite are left out, as in `predict`; NaN where none is.

        Raises:
            ConfigError: of the Gaussian process before a fit, and as `predict`.
            OutOfDomainError: as `predict`.
        """
        if self.config.uncertainty == "members":
            members = self.predict(archs)[1]
            finite = np.isfinite(members)
            members[~finite] = np.nan
            return members.std(axis=0, where=finite | ~finite.any(axis=0))
        if self._process is None:
            raise ConfigError("got no labels for the Gaussian process; expected fit before uncertainty")
        return self._process.predict(self._latents(self._accepted(archs)))[1].astype(np.float32)

    def invert(
        self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator
    ) -> list[ArchSpec | None]:
        """Decode the inverse of each target through every member (paper Fig. 1, right to left).

        Args:
            targets: (n,) accuracies, fractions.
            z_std: standard deviation of z, at least 0.
            latent_noise: noise on the latent in units of its spread over the space, at least 0.
            rng: source of z and noise.

        Returns:
            K * n architectures, member by member; None where the decoded graph is invalid.

        Raises:
            ConfigError: a target is no fraction, a noise below 0, or `rng` no generator of NumPy.
        """
        return self.invert_drawn([self.draw(targets, z_std=z_std, latent_noise=latent_noise, rng=rng)])[0]

    def draw(self, targets: FloatArray, *, z_std: float, latent_noise: float, rng: np.random.Generator) -> Draw:
        """The random numbers of `invert`, see there; all members share z. Raises ConfigError as it does."""
        cfg, targets = self.flow.config, checked_targets(targets)
        checked_number(z_std, "z_std", Range(0))
        checked_number(latent_noise, "latent_noise", Range(0))
        checked(rng, np.random.Generator, "rng", "InvertiblePredictor")
        z = z_std * rng.standard_normal((len(targets), cfg.dim - 1), np.float32)
        noise = None
        if latent_noise > 0:
            shape = (cfg.members * len(targets), cfg.dim)
            noise = latent_noise * self.spread * rng.standard_normal(shape, np.float32)
        return Draw(targets, z, noise)

    def invert_drawn(self, draws: Sequence[Draw]) -> list[list[ArchSpec | None]]:
        """`invert` for many draws, inverted and decoded in one call each.

        Args:
            draws: of `draw`.

        Returns:
            For each draw, K * n architectures, member by member; None where the decoded graph is invalid.
        """
        parts = self._inverted(draws)
        noisy = [part if draw.noise is None else part + draw.noise for part, draw in zip(parts, draws)]
        archs = decode_distinct(self.space, self.gvae, np.concatenate(noisy))
        ends = np.cumsum([len(part) for part in noisy])
        return [archs[end - len(part) : end] for end, part in zip(ends, noisy)]

    def invert_latents(self, targets: FloatArray, *, z_std: float, rng: np.random.Generator) -> FloatArray:
        """(K * n, D) GVAE latents of (n,) accuracies with sampled z; all members share z."""
        return self._inverted([self.draw(targets, z_std=z_std, latent_noise=0.0, rng=rng)])[0]

    def _inverted(self, draws: Sequence[Draw]) -> list[FloatArray]:
        """(K * n, D) GVAE latents of each draw, without its noise."""
        cfg = self.flow.config
        targets = np.concatenate([draw.targets for draw in draws])
        scaled = (targets - self._y_shift) / self._y_scale
        pair = np.concatenate([np.concatenate([draw.z for draw in draws]), scaled[:, np.newaxis]], axis=1)
        found = inference(cfg).invert(self.trainer.variables, pair.astype(np.float32), self.flow.orders).numpy()
        latents = self._latent_scale.from_inn(np.nan_to_num(found.reshape(-1, cfg.dim))).reshape(found.shape)
        return by_draw(latents, draws)

    def save(self, folder: Path) -> None:
        """Write `predictor.npz`: weights, optimiser, scaling, aggregation, fingerprint; end to end, the GVAE too."""
        arrays = {**self.trainer.state(), "weights": self.weights, "y_scale": np.array([self._y_shift, self._y_scale])}
        arrays["fingerprint"] = np.array(json.dumps(self.fingerprint))
        arrays |= self._process_data
        if self.finetuner is not None:
            arrays |= self.finetuner.state()
        write_arrays(folder / "predictor.npz", arrays)

    def load(self, folder: Path) -> None:
        """Restore `save`, from which everything continues exactly.

        The Gaussian process of `uncertainty` is made anew of the labels in the file.

        Raises:
            ConfigError: it belongs to another space, GVAE, seed, configuration or way of fine-tuning.
            ArtefactError: the file is damaged or lacks an array.
        """
        path = folder / "predictor.npz"
        arrays = read_arrays(path)
        if missing := sorted({"weights", "y_scale"} - set(arrays)):
            raise ArtefactError(f"{path} lacks {', '.join(missing)}; delete the folder and run again")
        if "fingerprint" in arrays:  # a file from before there was one is checked by its shapes alone
            check_fingerprint(path, str(arrays["fingerprint"]), self.fingerprint)
        self.trainer.load_state(arrays)
        if self.finetuner is not None:
            self.finetuner.load_state(arrays)
        elif "gvae_0" in arrays:
            raise ConfigError(f"got a fine-tuned GVAE in {path}; expected finetune='end_to_end' to continue with it")
        self._encoded.clear()
        self._process, self._process_data, self.weights = None, {}, arrays["weights"]
        if "process_latents" in arrays:
            self._fit_process(arrays["process_latents"], arrays["process_accuracies"])
        self._y_shift, self._y_scale = arrays["y_scale"].tolist()

    def _accepted(self, archs: Sequence[ArchSpec | str]) -> list[ArchSpec]:
        given = accepted_all(self.space, archs)
        if not given:
            raise ConfigError("got no architectures; expected at least one; pass those to predict")
        return given

    def _latents(self, archs: Sequence[ArchSpec]) -> FloatArray:
        """(n, D) latents as the INN sees them; each architecture is encoded once while the GVAE stays the same."""
        new = [arch for arch in dict.fromkeys(archs) if arch not in self._encoded]
        if new:
            if len(self._encoded) > MOST_ENCODED:
                self._encoded.clear()
                new = list(dict.fromkeys(archs))
            latents = self._latent_scale.to_inn(self.gvae.encode(self.space.encode(new)))
            self._encoded.update(zip(new, latents))
        rows = [self._encoded[arch] for arch in archs]
        return np.stack(rows) if rows else np.zeros((0, self.flow.config.dim), np.float32)

    def _fit_accuracy_scale(self, accuracies: FloatArray) -> None:
        if not self.config.scale_accuracy:
            return
        better = np.sort(accuracies)[len(accuracies) // 2 :]
        self._y_shift, self._y_scale = float(better[0]), max(float(better.std()), 1e-4)

    def _to_target(self, accuracies: Sequence[float]) -> FloatArray:
        scaled = (np.array(accuracies) - self._y_shift) / self._y_scale
        if self.config.scale_accuracy:
            scaled = np.maximum(scaled, self.config.clip_low)
        return scaled.astype(np.float32)

    def _forward(self, latents: FloatArray) -> FloatArray:
        return inference(self.flow.config).predict(self.trainer.variables, latents, self.flow.orders).numpy()
