r"""Answers in canonical form: equal values share a key, different ones do not, and no text is an error."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.outcomes import Equality
from promptcot.verify.answers import Policy, Verifier
from promptcot.verify.forms import Kind, Reading
from promptcot.verify.reading import read

EQUAL, DIFFERENT, UNKNOWN = Equality.EQUAL, Equality.DIFFERENT, Equality.UNKNOWN
VERIFIER = Verifier()

rationals = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=10**4)


def same(a: str, b: str) -> Equality:
    found = VERIFIER.equal(a, b)
    assert found is VERIFIER.equal(b, a)
    return found


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("12", Kind.NUMBER), (r"\frac12", Kind.NUMBER), (r"5\text{ cm}^2", Kind.NUMBER), (r"n(n+1)/2", Kind.EXPRESSION),
        ("(2,1)", Kind.TUPLE), (r"\{1,2\}", Kind.SET), ("1, 2", Kind.SET), (r"\pm 2", Kind.SET), ("x<3", Kind.INTERVAL),
        (r"[1,2)\cup(5,\infty)", Kind.INTERVAL), (r"\begin{pmatrix}1&2\\3&4\end{pmatrix}", Kind.MATRIX), ("x^2+y^2=4", Kind.EQUATION),
        (r"\text{Friday}", Kind.TEXT), (r"\textbf{(C)}", Kind.CHOICE), (r"\int_0^1 x\,dx", Kind.OPAQUE), ("", Kind.OPAQUE),
    ],
)  # fmt: skip
def test_an_answer_has_a_type(text, kind):
    assert read(text).kind is kind


@given(rationals)
def test_a_rational_is_one_answer_in_every_spelling(value):
    top, bottom = abs(value.numerator), value.denominator
    sign = "-" if value < 0 else ""
    spellings = [
        f"{sign}{top}/{bottom}",
        rf"{sign}\frac{{{top}}}{{{bottom}}}",
        rf"${sign}\dfrac{{{3 * top}}}{{{3 * bottom}}}$",
        rf"x={sign}{top}/{bottom}",
    ]
    if top > bottom and bottom > 1:
        spellings.append(rf"{sign}{top // bottom}\frac{{{top % bottom}}}{{{bottom}}}")
    assert {read(text).key for text in spellings} == {read(str(value)).key}


@given(rationals, rationals)
def test_rationals_are_equal_if_and_only_if_they_are(a, b):
    assert same(f"{a}", rf"\frac{{{b.numerator}}}{{{b.denominator}}}") is (EQUAL if a == b else DIFFERENT)


@given(st.integers(2, 400), st.integers(2, 400))
def test_radicals_are_compared_by_value(a, b):
    assert same(rf"\sqrt{{{a * a * b}}}", rf"{a}\sqrt{{{b}}}") is EQUAL
    assert same(rf"\frac{{{a}}}{{\sqrt{{{b}}}}}", rf"\frac{{{a}\sqrt{{{b}}}}}{{{b}}}") is EQUAL
    assert same(rf"\sqrt{{{a}}}", rf"\sqrt{{{b}}}") is (EQUAL if a == b else DIFFERENT)


@given(st.lists(st.integers(-9, 9), min_size=2, max_size=5), st.integers(-9, 9))
def test_polynomials_are_compared_as_functions(coefficients, root):
    expanded = "+".join(f"({c})x^{k}" for k, c in enumerate(coefficients))
    shifted = "+".join(f"({c})x^{k + 1}-({c * root})x^{k}" for k, c in enumerate(coefficients))
    assert same(f"(x-({root}))({expanded})", shifted) is EQUAL
    assert same(f"({expanded})+x^7", expanded) is DIFFERENT


@given(st.permutations(["1", r"\frac{1}{2}", r"\sqrt{2}", "x"]))
def test_sets_have_no_order_and_tuples_have_one(items):
    assert same(r"\{" + ",".join(items) + r"\}", r"\{1,0.5,\sqrt2,x\}") is EQUAL
    straight = items == ["1", r"\frac{1}{2}", r"\sqrt{2}", "x"]
    assert same("(" + ",".join(items) + ")", r"(1,0.5,\sqrt2,x)") is (EQUAL if straight else DIFFERENT)


@given(st.integers(-20, 20), st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_intervals_that_touch_are_one(low, a, b, closed):
    first = f"[{low},{low + a}" + ("]" if closed else ")")
    assert same(rf"{first}\cup[{low + a},{low + a + b}]", f"[{low},{low + a + b}]") is EQUAL
    assert same(rf"[{low},{low + a})\cup({low + a},{low + a + b}]", f"[{low},{low + a + b}]") is DIFFERENT


@given(st.text(max_size=200))
def test_any_text_is_read_alone_and_equal_to_itself_unless_empty(text):
    answer = read(text)
    assert read(text) == answer
    assert VERIFIER.compare(answer, answer) in (EQUAL, DIFFERENT if "nan" in text.lower() else EQUAL)


@given(
    st.lists(
        st.sampled_from(
            [
                *list(r"\{}()[]^_,=<>|+-*/!.0123456789xyabie "),
                r"\frac",
                r"\sqrt",
                r"\sin",
                r"\log",
                r"\sum",
                r"\pm",
                r"\cup",
                r"\text{a}",
                r"\begin{pmatrix}",
                r"\end{pmatrix}",
                "&",
                r"\\",
            ]
        ),
        max_size=40,
    )
)
def test_anything_like_latex_is_read(parts):
    assert read.__wrapped__("".join(parts)).kind in set(Kind)


def test_a_sum_up_to_its_own_index_is_a_function_of_the_bound():
    assert read(r"\sum_{k=1}^{k} k").key == read(r"\frac{k(k+1)}{2}").key


def test_algebra_reads_what_was_written():
    """Not a respelled text: `\\sin x` without its space is another command."""
    asked = []

    class Listening:
        def equal(self, a: str, b: str) -> Equality:
            asked.append((a, b))
            return UNKNOWN

    Verifier(algebra=Listening()).equal(r"\sin x", r"\int \cos x\,dx")
    assert asked == [(r"\sin x", r"\int \cos x\,dx")]


TINY = r"10^{-100}"


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (rf"\sqrt{{1+{TINY}}}", "1", UNKNOWN),
        (rf"e^{{{TINY}}}", "1", UNKNOWN),
        (rf"\cos({TINY})", "1", UNKNOWN),
        (rf"\pi+{TINY}", r"\pi", UNKNOWN),
        (r"e^{\pi\sqrt{163}}", "262537412640768744", DIFFERENT),
        (r"\frac{1}{2^{99}}", r"\frac{1}{2^{98}}", DIFFERENT),
        (r"\frac{1}{2004!}", r"\frac{1}{2006!}", DIFFERENT),
        ("2^{100000}", "2^{100000}+1", UNKNOWN),
        (r"\sqrt{10^{16}+1}-10^{8}", "0", DIFFERENT),
        (r"\sqrt{10^{40}+1}-10^{20}", "0", UNKNOWN),
        (r"\sin(\pi)", "0", EQUAL),
        (r"\cos 36^\circ", r"\frac{1+\sqrt5}{4}", EQUAL),
        (r"\sqrt{3+2\sqrt2}", r"1+\sqrt2", EQUAL),
        (r"\sqrt{x^2}", "x", DIFFERENT),
        (r"(1+i)^2", "2i", EQUAL),
    ],
)
def test_nothing_is_rounded_into_equality(a, b, verdict):
    assert same(a, b) in {verdict, DIFFERENT if verdict is UNKNOWN else verdict}


@pytest.mark.timeout(20)  # a hang or an explosion, not a slow machine
@pytest.mark.parametrize(
    "text",
    ["2^{0.000000001}", r"2^{10^{-300}}", r"\sum_{k=1}^{2999}(" + "+".join([r"\sin(k)\cos(k)"] * 12) + ")",
     "10^{10^{10^{10}}}", "(10^{8})!", "((9!)!)!", "9^9^9^9^9", r"\binom{10^9}{5\cdot10^8}", r"\sum_{k=1}^{10^{12}}\sin(k!)",
     r"\sin(10^{10^{10}})", "1e999999", r"\sqrt{" * 300 + "2" + "}" * 300, "(" * 900, "9" * 5000, "x" * 900, "x^" * 400 + "2", "-" * 900,
     r"\frac" * 150, "!" * 900 + "3", "3" + "!" * 200],
)  # fmt: skip
def test_an_explosion_is_read_or_refused(text):
    assert read.__wrapped__(text).kind in set(Kind)


def test_percent_number_words_and_contest_mode_are_policies():
    fraction = Verifier(Policy(reading=Reading(percent="fraction")))
    assert (VERIFIER.equal(r"50\%", "50"), fraction.equal(r"50\%", "0.5"), fraction.equal(r"50\%", "50")) == (EQUAL, EQUAL, DIFFERENT)
    assert Verifier(Policy(reading=Reading(number_words=False))).equal("42", "forty-two") is DIFFERENT
    contest = Verifier(Policy(reading=Reading(integers=True)))
    assert contest.equal("73", r"\boxed{073}") is EQUAL
    assert contest.equal("1234", r"\boxed{1{,}234}") is DIFFERENT
    assert contest.equal("2", r"\boxed{\frac{4}{2}}") is DIFFERENT


def test_units_are_kept_apart_but_contradict():
    assert same(r"5\text{ cm}", "5") is EQUAL
    assert same(r"5\text{ cm}", r"5\text{ m}") is DIFFERENT
    assert same(r"5\text{ m}^2", r"50000\ \mathrm{cm}^2") is EQUAL
    assert same(r"5\text{ cm}", r"5\text{ cm}^2") is DIFFERENT
    assert same(r"5\text{ apples}", r"5\text{ pears}") is UNKNOWN
    assert read(r"5\text{ cm}").unit == "cm"


def test_the_value_is_exact_where_it_is_rational():
    assert read(r"0.1\overline{6}").value == Fraction(1, 6)
    assert read(r"\log_2 8").value == 3
    assert math.isclose(float(read(r"\sqrt2").value), 2**0.5)
