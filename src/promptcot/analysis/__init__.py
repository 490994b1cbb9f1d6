"""What corpora are like, beside one another: how hard, how diverse, where on the map; and what EM's rounds came to.

corpora --uniform draw--> analyze/corpora/NAME --embed--> analyze/embeddings/NAME --> analyze/map, analyze/distances
                                |--solvers--> analyze/difficulty/NAME/SOLVER/{attempts,grades} --> analyze/difficulty/problems
                                `--> analyze/figures: every number with its n and interval
"""
