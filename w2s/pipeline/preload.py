"""What the server of `workers` does last: it reads what forks share, and their garbage collection passes over that."""

import gc

from w2s.core import checks

checks.load()
gc.collect()
gc.freeze()  # a collection of what torch and transformers leave takes a quarter of a second, and each stage has some
