"""Names of every odd kind: words of Python, of frameworks, of the language; private; much alike."""

from __future__ import annotations

from tests.properties.generate.choose import Seeded

KINDS: dict[str, tuple[str, ...]] = {
    "soft keywords": ("match", "case", "type", "_"),
    "built-ins": tuple("print list int len super object property isinstance id range map".split()),
    "locals": ("self", "cls", "args", "kwargs", "x", "h", "y", "item", "model", "annotations"),
    "torch": tuple(
        "nn F torch Tensor Module training forward apply eval train weight state_dict to half "
        "register_buffer parameters modules children add_module T_destination dump_patches "
        "requires_grad_ Parameter named_children extra_repr".split()
    ),
    "keras": tuple(
        "keras tf layers_ Model Input call build dtype name get_config summary compile fit losses "
        "metrics variables inputs outputs tensor numpy Layer".split()
    ),
    "modules": ("math", "functools", "typing", "sys", "np", "collections", "os", "random"),
    "underscored": ("_x", "x_", "_1", "a__b", "_Z", "_cell", "cell_"),
    "turns": ("u_turn", "_turn", "a_turn"),
    "private": ("_modules", "_buffers", "_parameters", "_apply", "_call_impl", "_get_name"),
    "case": ("Cell", "cell", "CELL", "cEll"),
    "camel": ("my_block", "myBlock", "my_block_", "MyBlock", "my_Block"),
    "digits": ("b12", "b_12", "b1_2x", "B1"),
    "long": ("n" * 64, "n" * 63 + "o", "Long_" * 12),
    "language": ("width", "body", "default", "choices", "stages_", "spec", "null_"),
    "numbers": ("e1", "E5", "inf", "nan", "i_", "O0", "l1"),
    "suffixes": ("cell1", "cell2", "cell_1", "norm1x", "weight1", "running_mean", "bias_"),
}


class Names:
    """Names of one spec, each given once. `odd`: how many in a hundred are of an odd kind."""

    def __init__(self, g: Seeded) -> None:
        self.g = g
        self.used: set[str] = set()
        self.count = 0
        self.odd = g.choice((0, 10, 30, 90))

    def new(self, word: str) -> str:
        """A name that is not yet used; mostly the word with a number."""
        if self.g.chance(self.odd):
            name = str(self.g.choice(KINDS[self.g.choice([*KINDS])]))
            if name not in self.used:
                self.used.add(name)
                return name
        while True:
            self.count += 1
            if (name := f"{word}{self.count}") not in self.used:  # an odd one may be called so
                self.used.add(name)
                return name
