"""From the grid's predictions to numbers: collect, measure, tabulate; then claims and the reproduction verdict."""
