"""How fast a network is, beside the original's own model"""
