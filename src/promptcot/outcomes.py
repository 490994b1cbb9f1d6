"""What can become of a row or a completion, as enums: an outcome is never a bare boolean."""

from enum import StrEnum


class Finish(StrEnum):
    """How a completion ended."""

    STOP = "stop"  # the model closed it itself (end-of-sequence)
    LENGTH = "length"  # the token limit cut it
    ERROR = "error"  # the engine gave none, after all its retries: no fault of the model


class Split(StrEnum):
    """The part of a run a problem family belongs to. `dev` stops EM and picks the round; `test` is read once."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"


class Drop(StrEnum):
    """Why a row left the data flow. Every dropped row is kept readable beside its table, with one of these."""

    # reading
    BAD_ROW = "bad_row"  # a field is missing, empty or of the wrong type
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    # what a model wrote
    TRUNCATED = "truncated"  # the token limit cut the completion
    UNPARSABLE = "unparsable"  # a tag is missing, doubled or out of order
    EMPTY = "empty"  # the tags hold nothing
    TOO_LONG = "too_long"  # does not fit the context; never cut silently
    FAILED = "failed"  # the server gave no usable answer, after all retries
    # annotation
    NOT_CHOSEN = "not_chosen"  # another annotator's reply was taken for the same seed; self-play: beyond the wanted share or number
    # screening
    LEAK = "leak"  # the rationale repeats the problem
    CONTAMINATED = "contaminated"  # shares a long n-gram with an evaluation set
    INCOMPLETE = "incomplete"  # breaks off or has unbalanced delimiters
    NO_TASK = "no_task"  # neither asks a question nor states a task
    PROOF = "proof"  # asks for a proof, which no answer check can verify
    CONTRADICTION = "contradiction"  # says two things of one sample, or another thing than what its solutions agree on
    OFF_CONCEPT = "off_concept"  # uses none of its concepts
    JUDGED = "judged"  # a judge grades it lower than wanted
    # labels
    NO_ANSWER = "no_answer"  # no draw gave an answer that could be read
    TOO_FEW = "too_few"  # fewer draws agree than asked for
    TOO_CLOSE = "too_close"  # the next answer comes too near
    NO_SOLUTIONS = "no_solutions"  # too few solutions run, finish and repeat themselves to vote on tests
    FEW_TESTS = "few_tests"  # too few inputs on which a clear majority of the solutions agrees
    LOW_AGREEMENT = "low_agreement"  # the majorities behind the tests are too small
    UNSTEADY = "unsteady"  # no solution passes the whole suite when it is run again
    CONTROL_PASSES = "control_passes"  # an empty program, or one that always prints the same, passes the tests
    WEAK_TESTS = "weak_tests"  # too many wrong variants of a right program pass the tests
    # self-play
    NO_LABEL = "no_label"  # nothing is known that a solution could be held against
    UNGRADED = "ungraded"  # no attempt has a verdict that counts
    UNSOLVED = "unsolved"  # fewer attempts are right than the band asks for
    TOO_EASY = "too_easy"  # too large a share of the attempts is right
    NO_FIRM_FAILURE = "no_firm_failure"  # no attempt is firmly wrong: what failed is cut, gives no answer or cannot be decided
    MALFORMED = "malformed"  # an attempt that is not built as training wants it
    NO_PAIR = "no_pair"  # the right or the firmly wrong attempts are all malformed
    # refinement
    NO_DESIGN = "no_design"  # its concepts or its rationale are not known
    CROWDED = "crowded"  # left out, since the chosen problems were too alike
    # traces
    WRONG = "wrong"  # the label says that the solution is not right
    UNVERIFIED = "unverified"  # whether the solution is right could not be decided


def unfinished(finish: str) -> Drop | None:
    """Why a completion that ended like this has nothing to parse; None where it has."""
    return {Finish.LENGTH: Drop.TRUNCATED, Finish.ERROR: Drop.FAILED}.get(Finish(finish))


class LabelKind(StrEnum):
    """Where a label's authority comes from."""

    GOLD = "gold"  # the source's own answer
    VOTE = "vote"  # the answer most attempts agree on
    TESTS = "tests"  # unit tests


class Equality(StrEnum):
    """Whether two answers are the same. `unknown` is no soft `different`: it counts for neither side."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNKNOWN = "unknown"


class Verdict(StrEnum):
    """What became of an attempt. Which verdicts count, fail, or may be a rejected answer is fixed in the table of the design."""

    CORRECT = "correct"
    WRONG = "wrong"
    PROGRAM_ERROR = "program_error"  # crashed, or broke the memory or output limit, or did not compile
    PROGRAM_TIMEOUT = "program_timeout"
    NO_ANSWER = "no_answer"
    TRUNCATED = "truncated"
    UNDECIDED = "undecided"  # whether the answers are equal is not known
    VERIFIER_ERROR = "verifier_error"  # ours, so it counts neither way


class Grading(StrEnum):
    """How attempts at a benchmark's question are graded, and so what its reference holds."""

    ANSWER = "answer"  # an answer, compared by the verifier
    INTEGER = "integer"  # an integer, and nothing else is an answer (AIME)
    TESTS = "tests"  # JSON, `[{"input", "output"}]`
    LIVECODEBENCH = "livecodebench"  # the same, judged by LiveCodeBench's conventions
    CHECK = "check"  # a Python program that runs after the solution and fails where it is wrong (HumanEval)
    FAMILY = "family"  # JSON, the entry of a procedural task that scores answers itself (reasoning-gym)
    NONE = "none"  # nothing: it can be sampled, not graded
