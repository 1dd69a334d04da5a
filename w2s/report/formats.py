"""Numbers as the report writes them."""

from w2s.report.summary import Estimate


def signed(text: str) -> str:
    """A number's text with a typographic minus, and no minus before zero."""
    return (text if float(text) else text.lstrip("-")).replace("-", "−")


def percent(value: float | None, digits: int = 1) -> str:
    """58.1 %, or n/a."""
    return "n/a" if value is None else signed(f"{100 * value:.{digits}f}") + "\u202f%"


def interval(estimate: Estimate, digits: int = 1) -> str:
    """58.1 % [56.0, 60.2]; n/a with the reason where it is undefined."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"n/a: {estimate.reason}"
    return f"{percent(estimate.value, digits)} [{_end(estimate.low, digits)}, {_end(estimate.high, digits)}]"


def _end(share: float, digits: int) -> str:
    """An interval's end in percent. Of a ratio to almost nothing no more is said than that it lies beyond 1,000."""
    if abs(share) > 10:
        return "> 1000" if share > 0 else "< −1000"
    return signed(f"{100 * share:.{digits}f}")


def ends(estimate: Estimate) -> str:
    """The interval of a defined share alone: 56 to 60 %."""
    return f"{signed(f'{100 * (estimate.low or 0):.0f}')} to {percent(estimate.high, 0)}"


def points(estimate: Estimate) -> str:
    """A difference of accuracies: +8.1 points [6.0, 10.2]."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"n/a: {estimate.reason}"
    value, low, high = (signed(f"{100 * number:+.1f}") for number in (estimate.value, estimate.low, estimate.high))
    return f"{value} points [{low}, {high}]"


def human(parameters: float) -> str:
    """A model size as people write it: 11k, 1.5B."""
    rounded = float(f"{parameters:.3g}")
    units = {"T": 1e12, "B": 1e9, "M": 1e6, "k": 1e3}
    unit = next((unit for unit, scale in units.items() if rounded >= scale), "")
    value = rounded / units.get(unit, 1)
    return (f"{value:.1f}".removesuffix(".0") if value < 10 else f"{value:.0f}") + unit
