"""Does an answer's form betray whether it is right?"""

import re
from collections import Counter
from collections.abc import Iterable

from w2s.data.questions import Example

ASKED = re.compile(r"\nAnswer: (?P<answer>.*)\nIs this answer right\?", re.DOTALL)
FORMS = {
    "length": lambda text: len(text.split()).bit_length(),
    "single letter": lambda text: bool(re.fullmatch(r"\W*[A-Za-z]\W*", text)),
    "digits": lambda text: bool(re.fullmatch(r"[\W\d]*\d[\W\d]*", text)),
    "label in front": lambda text: bool(re.match(r"\W?[A-Za-z0-9][.):]\s", text)),
    "capital": lambda text: text[:1].isupper(),
    "last sign": lambda text: text[-1:] if not text[-1:].isalnum() else "",
    "first sign": lambda text: text[:1] if not text[:1].isalnum() else "",
    "lines": lambda text: text.count("\n"),
    "white space": lambda text: text != text.strip(),
}


def betrayals(examples: Iterable[Example], tolerance: float = 0.25) -> list[str]:
    """Features of form whose values are not about as frequent in true as in false examples.

    Looked at is the answer where the text asks about one, else the whole text.
    """
    told = [
        ((found := ASKED.search(item.inputs["text"])) and found["answer"]) or item.inputs["text"] for item in examples
    ]
    truth = [item.answer for item in examples]
    found = []
    for name, form in FORMS.items():
        counts = {
            side: Counter(form(text) for text, true in zip(told, truth, strict=True) if true == side)
            for side in (True, False)
        }
        shares = {side: {value: n / count.total() for value, n in count.items()} for side, count in counts.items()}
        values = shares[True].keys() | shares[False].keys()
        if any(abs(shares[True].get(value, 0) - shares[False].get(value, 0)) > tolerance for value in values):
            found.append(name)
    return found
