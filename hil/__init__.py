"""The twin and the HIL rig: a plant, the same plant behind real servers, and what judges a run on it."""
