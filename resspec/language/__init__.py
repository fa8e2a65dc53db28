"""What a spec may say: its form, its expressions and its variants."""
