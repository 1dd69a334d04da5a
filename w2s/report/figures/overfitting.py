"""What training to the end costs against the best snapshot, which only an oracle could choose (section 5.1.1)."""

from matplotlib.figure import Figure

from w2s.report.figures.forest import differences
from w2s.report.figures.style import method_look
from w2s.report.tables import ReportGrid, Tables

SECTION = "curves"
ORDER = 2
TABLE = "overfitting"
TITLE = "What stopping at the best moment would have gained"
CAPTION = (
    "Test accuracy at the best snapshot − at the end, with intervals; right of 0 a student has overfitted. The best "
    "snapshot is an oracle’s choice, made by truth that no student has; on each half of the test examples it is the "
    "one that is best on the other half, since the highest of several accuracies on the same examples would be partly "
    "luck. A method that stops early ends where it stopped, and only snapshots that it stayed with are chosen from: "
    "its rows say what was left to gain, and cannot be compared with the others."
)


def draw(tables: Tables, grid: ReportGrid) -> Figure:
    label = "best snapshot − end (points)"
    return differences(TITLE, grid, tables[TABLE], label=label, look=lambda row: method_look(grid, row["method"]))
