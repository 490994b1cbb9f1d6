"""Is a corpus worth it? The same small student learns from equal tokens of each, and a held-out benchmark decides.

corpora --lessons--> trial/NAME/lessons --nested draws--> trial/NAME/STUDENT --evaluate--> outcome: B less A, paired, with its interval
"""

from promptcot.trials.lessons import lessons
from promptcot.trials.outcome import Outcome, as_json, as_text, outcome
from promptcot.trials.students import Trying

__all__ = ["Outcome", "Trying", "as_json", "as_text", "lessons", "outcome"]
