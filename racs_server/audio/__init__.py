"""Audio as arrays: packed PCM, and what is done to samples; knows nothing of streams or files."""
