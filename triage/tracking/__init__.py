"""Tied to GitHub: every bug and wish once, and the fix back to everyone who reported it.

`intents` says in the pipeline's transaction that an item is to be tracked; `deciding` joins it to
a tracked issue (`matching`) or files a new one; `door` is how that leaves, `sync` how GitHub's side
comes back, `consequences` and `telling` what the reporters hear of it, `moves` what people decide.
"""
