"""Whether two texts report the same thing, in whatever words and on whichever channel.

`traits`: what a text is compared by; `score`: how likely two are the same; `index`: a window of
texts in which the likely duplicates of a new one are found (it alone loads NumPy at once).
"""
