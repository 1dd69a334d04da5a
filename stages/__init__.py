"""The pipeline's stages: one thin script each, named as in dvc.yaml."""

import sys

from w2s.core import arithmetic

# Before the script imports any numerical library.
arithmetic.pin(sys.argv)
