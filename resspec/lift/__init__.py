"""Networks that are there already, in code or in files → specs (`resspec import`)."""
