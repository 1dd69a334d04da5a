"""What the server of `workers` imports first, before what takes seconds: from then on it ends with its worker."""

from w2s.pipeline import ending

ending.be_killed_with_parent()
