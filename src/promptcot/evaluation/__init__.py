"""How good is a model? Benchmarks, attempts at them, verdicts, and scores that say how sure they are.

benchmarks -> questions --model--> attempts --verify--> grades -> marks -> metrics, comparison, elo
"""
