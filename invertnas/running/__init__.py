"""Searches with real trainings: `run` asks, evaluates on any executor, tells and records."""

from invertnas.running.log import read_events as read_events
from invertnas.running.log import read_run as read_run
from invertnas.running.measurement import Evaluation as Evaluation
from invertnas.running.measurement import Measurement as Measurement
from invertnas.running.measurement import Progress as Progress
from invertnas.running.measurement import RunResult as RunResult
from invertnas.running.runner import Callback as Callback
from invertnas.running.runner import run as run
from invertnas.running.workers import ProcessWorkers as ProcessWorkers
