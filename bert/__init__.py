"""BERT: the scripts of google-research/bert on TensorFlow 2, and the libraries under them."""
