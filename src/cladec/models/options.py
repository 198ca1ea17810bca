"""The options that every function of a classifier takes; without Keras, for the commands' help."""

FORM = ("output", "image_input", "inputs", "image_size")
"""The options of `forms.image_classifier`, which say which form a classifier has."""
