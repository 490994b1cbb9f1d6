"""The stage `self_play`: the solver's attempts at verified problems, pairs of right and wrong ones, and a better solver.

    labeled problems, human problems, procedural tasks -> questions --solver, in waves--> attempts --grader--> grades
        -> pass rates: who is in the band -> pairs (or right attempts) --fit--> solver of the next round

Pairs from outside (`given`) take the place of all that comes before the fit.

Steps are `self_play/questions` and, for round N, `self_play/N/attempts-W`, `grades-W`, `pass_rates`, `pairs` (or `right`) and `solver`.
Drawing ends early where the rest of the draws could not change what is trained on (`band`).
"""

from promptcot.self_play.band import Tally
from promptcot.self_play.given import learn
from promptcot.self_play.questions import Sources, questions
from promptcot.self_play.rounds import Played, play

__all__ = ["Played", "Sources", "Tally", "learn", "play", "questions"]
