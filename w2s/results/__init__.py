"""What the predictions say: metrics, statistics, figures, the report and the reproduction verdict."""
