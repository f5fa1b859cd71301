"""Pictures and pages of runs: `write_report` of a run's folder, `draw_cell` of an architecture."""

from invertnas.reporting.cell import draw_cell as draw_cell
from invertnas.reporting.cell import save_cell as save_cell
from invertnas.reporting.page import write_report as write_report
