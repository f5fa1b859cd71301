"""Reading the official NAS-Bench-101 file: TFRecord framing, JSON rows, protocol buffers on the wire.

Every record is a JSON list [hash, epochs, adjacency, operations, metrics]: adjacency as n * n digits row by
row, operations joined by commas, metrics a base64 message ModelMetrics {repeated EvaluationData
evaluation_data = 1; int32 trainable_parameters = 2; double total_time = 3} with EvaluationData {double
current_epoch = 1, training_time = 2, train_accuracy = 3, validation_accuracy = 4, test_accuracy = 5; string
checkpoint_path = 6} (github.com/google-research/nasbench, nasbench/api.py and lib/model_metrics.proto).
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import struct
from collections.abc import Iterator
from pathlib import Path

from invertnas.errors import ArtefactError, DataMissingError

URL = "https://storage.googleapis.com/nasbench/nasbench_only108.tfrecord"
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclasses.dataclass(frozen=True)
class Run:
    """One training run of one cell.

    Attributes:
        module_hash: the benchmark's name of the cell.
        epochs: length of the run: 4, 12, 36 or 108.
        adjacency: rows of digits, n strings of length n.
        operations: names, n of them.
        val_accuracy: after the last epoch, in [0, 1].
        test_accuracy: likewise.
    """

    module_hash: str
    epochs: int
    adjacency: tuple[str, ...]
    operations: tuple[str, ...]
    val_accuracy: float
    test_accuracy: float


def read_runs(path: Path) -> Iterator[Run]:
    """All runs of a file, in its order; TensorFlow checks the checksum of every record.

    Raises:
        DataMissingError: no such file.
        ArtefactError: the file is truncated, damaged or of another format.
    """
    for number, record in enumerate(_records(path)):
        try:
            yield parse_run(record)
        except (ValueError, TypeError, IndexError, KeyError, struct.error, binascii.Error) as error:
            raise ArtefactError(
                f"{path} is no NAS-Bench-101 file: record {number} cannot be read ({error!r}); expected "
                "nasbench_only108.tfrecord or nasbench_full.tfrecord"
            ) from error


def _records(path: Path) -> Iterator[bytes]:
    if not path.is_file():
        raise DataMissingError(f"no file at {path}; download it from {URL}")
    import tensorflow as tf

    try:
        for batch in tf.data.TFRecordDataset(str(path), buffer_size=1 << 24).batch(1_024).as_numpy_iterator():
            yield from batch.tolist()
    except tf.errors.DataLossError as error:
        raise ArtefactError(f"{path} is truncated or damaged ({error.message}); download it again") from error


def parse_run(record: bytes) -> Run:
    """One record. Raises ValueError, TypeError, IndexError, KeyError or struct.error if it is malformed."""
    name, epochs, digits, operations, metrics = json.loads(record.decode("utf-8"))
    names = tuple(operations.split(","))
    count = len(names)
    if len(digits) != count * count or not set(digits) <= {"0", "1"}:
        raise ValueError(f"{len(digits)} adjacency digits for {count} operations")
    rows = tuple(digits[row * count : (row + 1) * count] for row in range(count))
    message = _message(base64.b64decode(metrics, validate=True))
    # The first evaluation is that before training, the last that after the final epoch.
    last = _message(message[1][-1])
    values = [struct.unpack("<d", last[field][-1])[0] for field in (4, 5)]
    if not all(0 <= value <= 1 for value in values):
        raise ValueError(f"accuracies {values}, which are no fractions")
    return Run(str(name), int(epochs), rows, names, values[0], values[1])


def _message(content: bytes) -> dict[int, list[bytes]]:
    """Field number -> raw values in order; a variable-length number becomes its little-endian bytes."""
    fields: dict[int, list[bytes]] = {}
    position = 0
    while position < len(content):
        key, position = _varint(content, position)
        kind = key & 7
        if kind == _VARINT:
            number, end = _varint(content, position)
            value = number.to_bytes(8, "little")
        else:
            if kind == _BYTES:
                size, position = _varint(content, position)
            elif kind in (_FIXED64, _FIXED32):
                size = 8 if kind == _FIXED64 else 4
            else:
                raise ValueError(f"wire type {kind}")
            end = position + size
            value = content[position:end]
            if len(value) != size:
                raise ValueError("a message that ends early")
        fields.setdefault(key >> 3, []).append(value)
        position = end
    return fields


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position behind it."""
    number, shift = 0, 0
    while True:
        byte = content[position]
        number |= (byte & 0x7F) << shift
        position += 1
        shift += 7
        if byte < 0x80:
            return number, position
