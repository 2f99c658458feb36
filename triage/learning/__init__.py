"""Learning from what staff corrected: `learn` fits, decides and stores; `active` is in force."""
