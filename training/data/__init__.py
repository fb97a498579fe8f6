"""Room training/data: from a pinned list of packages to the corpus that training reads. Knows nothing of models or tokens."""
