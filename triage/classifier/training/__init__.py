"""From base weights and labelled data to the shipped model; needs the `train` extra."""
