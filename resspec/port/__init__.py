"""Other libraries' checkpoints, there and back: networks are matched by what they compute."""
