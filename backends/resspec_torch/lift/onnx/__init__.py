"""ONNX files → what `resspec import` reads: read as data, every operator said in ATen's."""
