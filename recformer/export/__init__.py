"""A model as a folder for others: weights, configuration, item ids, a model card and an example."""
