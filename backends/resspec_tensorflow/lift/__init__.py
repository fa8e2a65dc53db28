"""Keras models → what `resspec import` reads: their graph of layers, every layer made ops."""
