"""One file, many models: `extends`, `variants`, `abstract` and `null`; `validate` for all of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from resspec import api, zoo
from resspec.paths import specs_dir
from resspec.validate import Verdict, validate
from tests.refused import codes, refused

HEAD = "input: [3, 32, 32]\nnum_classes: 10\nstem: {stem_3x3: {out_channels: 16}}\n"
BODY = HEAD + "block: basic\nstages: [{depth: 2, width: 16}]\nhead: classifier\n"
VARIANTS = f"""\
model: variants
{BODY}variants:
  deep: {{stages: [{{depth: 3, width: 16}}]}}
  deep5: {{extends: deep, num_classes: 5}}
"""
NO_SHORTCUT = """\
block: dbasic
params: {width: {type: int, min: 1}, stride: 1, dilation: 1}
layers:
  - residual:
      body:
        - conv: {out_channels: width, kernel_size: 3, stride: stride, dilation: dilation}
        - norm
      shortcut: [projection]
  - act
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name: str, text: str) -> str:
    Path(name).write_text(text, "utf-8")
    return name


def lines(verdict: Verdict) -> list[tuple[str, int]]:
    return [(one.code, one.span.line if one.span else 0) for one in verdict.diagnostics]


# -- a variant that extends another --------------------------------------------------------------


def test_a_variant_extends_a_sibling(folder: Path) -> None:
    summary = api.summarize(api.load(write("variants.yaml", VARIANTS) + "#deep5"))
    deep = api.summarize(api.load("variants.yaml#deep"))
    assert summary.output_shape == (5,)
    assert deep.params - summary.params == 5 * (16 + 1)


def test_a_chain_of_variants_and_the_base_by_its_name(folder: Path) -> None:
    text = VARIANTS + (
        "  wide5: {extends: deep5, stem: {stem_3x3: {out_channels: 32}}}\n"
        "  same: {extends: variants}\n"
    )
    write("variants.yaml", text)
    assert api.load("variants.yaml#wide5").data["num_classes"] == 5
    same, base = api.load("variants.yaml#same").data, api.load("variants.yaml#variants").data
    assert same | {"model": "variants"} == base == api.load("variants.yaml").data


@pytest.mark.parametrize(
    ("variants", "message", "line"),
    [
        ("  a: {extends: a}\n", "`a` extends itself: a → a", 9),
        ("  a: {extends: b}\n  b: {extends: c}\n  c: {extends: a}\n", "a → b → c → a", 11),
        ("  x: {extends: a}\n  a: {extends: b}\n  b: {extends: a}\n", "a → b → a", 11),
        ("".join(f"  v{n}: {{extends: v{n + 1}}}\n" for n in range(40)) + "  v40: {}\n",
         "more than 16 variants", 24),
    ],
)  # fmt: skip
def test_variants_that_extend_each_other(
    folder: Path, variants: str, message: str, line: int
) -> None:
    write("ring.yaml", f"model: ring\n{BODY}variants:\n{variants}")
    first = variants.split(":")[0].strip()
    found = refused(api.load, f"ring.yaml#{first}")
    assert found.code == "extends-cycle"
    assert message in found.message
    assert found.span is not None
    assert found.span.line == line
    assert all(note.span is not None for note in found.notes)


def test_what_a_variant_may_not_say(folder: Path) -> None:
    write(
        "bad.yaml",
        f"model: bad\n{BODY}variants:\n  a: {{extends: 3}}\n  b: {{extends: nix}}\n"
        "  c: {unknown: 1, other: 2, variants: {d: {}}}\n  e: 3\n  f: {abstract: 2}\n",
    )
    assert codes(api.load, "bad.yaml#a") == ["wrong-type"]
    assert codes(api.load, "bad.yaml#b") == ["no-variant"]
    assert codes(api.load, "bad.yaml#c") == ["unknown-key"] * 3
    assert codes(api.load, "bad.yaml#e") == ["wrong-type"]
    assert codes(api.load, "bad.yaml#f") == ["wrong-type"]


# -- a base that is no network --------------------------------------------------------------------

ABSTRACT = f"""\
model: fam
abstract: true
params: {{n: {{type: int}}}}
{HEAD}block: basic
stages: [{{depth: n, width: 16}}]
head: classifier
variants: {{one: {{n: 1}}, two: {{n: 2}}, half: {{abstract: true, num_classes: 2}},
  three: {{extends: half, n: 3}}}}
"""


def test_an_abstract_base_is_not_built_and_its_variants_are(folder: Path) -> None:
    write("fam.yaml", ABSTRACT)
    verdict = validate("fam.yaml")
    assert (verdict.diagnostics, verdict.checked) == ((), ("one", "two", "three"))
    for name in ("fam.yaml", "fam.yaml#fam", "fam.yaml#half"):
        found = refused(api.load, name)
        assert found.code == "no-variant"
        assert "is abstract" in found.message
    three = api.load("fam.yaml#three").data
    assert "abstract" not in three
    assert three["num_classes"] == 2


def test_an_abstract_base_is_extended_by_files_beside_it(folder: Path) -> None:
    write("fam.yaml", ABSTRACT)
    write("four.yaml", "model: four\nextends: fam\nparams: {n: 4}\n")
    write("three.yaml", "model: mine\nextends: fam.yaml#half\nparams: {n: 3}\n")
    assert validate("four.yaml").diagnostics == ()
    assert api.load("three.yaml").data["num_classes"] == 2


def test_an_abstract_base_without_variants_is_checked_for_its_form(folder: Path) -> None:
    write("base.yaml", "model: base\nabstract: true\nblock: basic\nnonsense: 3\n")
    assert lines(validate("base.yaml")) == [("unknown-key", 4)]
    write("base.yaml", "model: base\nabstract: true\nblock: basic\n")
    verdict = validate("base.yaml")
    assert (verdict.diagnostics, verdict.checked) == ((), ())
    assert "abstract" in verdict.remark


# -- names of bases -------------------------------------------------------------------------------


def test_a_base_is_found_beside_its_file(folder: Path) -> None:
    (folder / "beside").mkdir()
    write("beside/base.yaml", f"model: base\n{BODY}")
    write("beside/derived.yaml", "model: derived\nextends: base\nnum_classes: 5\n")
    write("beside/third.yaml", "model: third\nextends: derived\nnum_classes: 6\n")
    assert api.summarize(api.load("beside/derived.yaml")).output_shape == (5,)
    assert api.summarize(api.load("beside/third.yaml")).output_shape == (6,)
    write("far.yaml", "model: far\nextends: base\n")
    assert refused(api.load, "far.yaml").code == "not-found"
    assert api.load("far.yaml", search=["beside"]).name == "far"


def test_two_bases_of_one_name_clash_unless_they_are_the_same_text(folder: Path) -> None:
    write("resnet18.yaml", f"model: resnet18\n{BODY}")
    write("mine.yaml", "model: mine\nextends: resnet18\n")
    found = refused(api.load, "mine.yaml")
    assert found.code == "name-clash"
    assert "resnet18.yaml" in found.message
    assert str(specs_dir() / "resnet18.yaml") in found.message
    write("mine.yaml", "model: mine\nextends: resnet18.yaml\n")
    assert api.load("mine.yaml").data["input"] == [3, 32, 32]
    write("resnet18.yaml", (specs_dir() / "resnet18.yaml").read_text("utf-8"))
    write("mine.yaml", "model: mine\nextends: resnet18\n")
    assert api.load("mine.yaml").data["input"] == [3, 224, 224]


def test_a_file_named_like_the_shipped_model_that_it_extends(folder: Path) -> None:
    write("resnet18.yaml", "model: resnet18\nextends: resnet18\nnum_classes: 3\n")
    assert api.summarize(api.load("resnet18.yaml")).output_shape == (3,)


# -- null, and what a new block has no use for ----------------------------------------------------

OTHER = "block: dbasic\nstages: [{depth: 1, width: 16}, {depth: 1, width: 16, dilation: 2}]\n"


@pytest.mark.parametrize("unset", ["", "shortcut: null\n"])
def test_an_inherited_shortcut_that_no_block_takes_is_no_error(folder: Path, unset: str) -> None:
    write("dbasic.yaml", NO_SHORTCUT)
    write("os8.yaml", f"model: os8\n{unset}extends: resnet18\n{OTHER}")
    assert validate("os8.yaml").diagnostics == ()
    assert "shortcut" not in api.load("os8.yaml").data
    write(
        "fam.yaml", f"model: fam\n{BODY}shortcut: projection\nvariants:\n  d: {{block: dbasic}}\n"
    )
    assert validate("fam.yaml").diagnostics == ()
    assert api.load("resnet18", overrides=["block=dbasic"], search=["."]).name == "resnet18"


def test_a_shortcut_that_its_own_author_has_no_use_for_is_one(folder: Path) -> None:
    write("dbasic.yaml", NO_SHORTCUT)
    write("own.yaml", f"model: own\n{HEAD}shortcut: projection\n{OTHER}head: classifier\n")
    assert refused(api.load, "own.yaml").code == "unknown-argument"
    write("own.yaml", f"model: own\nextends: resnet18\nshortcut: zero_pad\n{OTHER}")
    assert refused(api.load, "own.yaml").code == "unknown-argument"


def test_an_argument_of_inherited_stages_that_the_new_block_lacks_says_whose_it_is(
    folder: Path,
) -> None:
    write("dbasic.yaml", NO_SHORTCUT)
    base = HEAD + "block: bottleneck\nstages: [{depth: 1, width: 16, groups: 2}]\n"
    write("base.yaml", f"model: base\n{base}")
    write("mine.yaml", "model: mine\nextends: base\nblock: dbasic\n")
    found = refused(api.load, "mine.yaml")
    assert found.code == "unknown-argument"
    assert found.help is not None
    assert found.help.startswith("write `stages:` anew")
    assert "the stages are inherited" in found.notes[-1].message
    write("own.yaml", f"model: own\n{base.replace('bottleneck', 'dbasic')}")
    assert "the stages are inherited" not in str(refused(api.load, "own.yaml").notes)


def test_null_unsets_what_is_inherited(folder: Path) -> None:
    base = f"model: base\nlet: {{k: 3}}\nparams: {{n: 1, m: 2}}\ndefaults: {{act: silu}}\n{BODY}"
    base += "outputs: {a: head, b: stem}\nvariants: {v: {head: null, n: 5, outputs: {a: null}},\n"
    base += "  w: {extends: v, n: null, outputs: null, doc: null}}\n"
    write("base.yaml", base)
    v, w = api.load("base.yaml#v").data, api.load("base.yaml#w").data
    assert "head" not in v
    assert v["outputs"] == {"b": "stem"}
    assert (v["params"]["n"], w["params"]["n"]) == (5, 1)
    assert "outputs" not in w
    write("d.yaml", "model: d\nextends: base\nhead: null\noutputs: null\ndefaults: {act: null}\n"
                    "params: {m: null}\nstem: {stem_3x3: {out_channels: 4}}\nshortcut: null\n")  # fmt: skip
    found = api.load("d.yaml").data
    assert not {"head", "outputs", "shortcut"} & found.keys()
    assert (found["defaults"], found["params"]) == ({}, {"n": 1})


def test_null_on_the_command_line(folder: Path) -> None:
    write("variants.yaml", VARIANTS + "  n3: {num_classes: 3}\n")
    assert "head" not in api.load("variants.yaml", overrides=["head=null"]).data
    write("fam.yaml", ABSTRACT.replace("n: {type: int}", "n: 2").replace("abstract: true\n", ""))
    found = api.load("fam.yaml#one", overrides=["n=null", "stages.0.stride=null"]).data
    assert found["params"]["n"] == 2


def test_anchors_share_parts_and_merge_keys_are_refused(folder: Path) -> None:
    text = f"model: shared\n{HEAD}block: basic\nhead: classifier\n"
    write("shared.yaml", text + "stages: [&one {depth: 1, width: 16}, *one]\n"
                                "variants: {twice: {stages: [*one, *one, *one]}}\n")  # fmt: skip
    assert len(api.load("shared.yaml#twice").data["stages"]) == 3
    write("merged.yaml", text + "stages: [&one {depth: 1, width: 16}, {<<: *one, stride: 2}]\n")
    assert codes(api.load, "merged.yaml") == ["yaml-feature"]


# -- validate speaks for every variant ------------------------------------------------------------


def test_every_variant_is_checked(folder: Path) -> None:
    write(
        "variants.yaml",
        VARIANTS + "  wrong1: {extends: nonsense}\n  wrong2: {stages: [{depth: -1}]}\n"
        "  wrong3: {unknown_key_here: 3}\n  wrong4: {block: no_such_block}\n",
    )
    verdict = validate("variants.yaml")
    assert lines(verdict) == [
        ("no-variant", 11),
        ("bad-value", 12),
        ("unknown-key", 13),
        ("unknown-name", 14),
    ]
    named = [one.notes[-1].message for one in verdict.diagnostics]
    assert named == [f"in variant `wrong{number}`" for number in (1, 2, 3, 4)]
    assert len(verdict.checked) == 7
    assert validate("variants.yaml#deep5").diagnostics == ()
    assert validate("variants.yaml#variants").checked == ("variants",)


def test_one_line_is_told_once_with_the_variants_that_have_it(folder: Path) -> None:
    text = f"model: fam\nparams: {{w: 16, unused: 1}}\n{HEAD}block: basic\n"
    text += "stages: [{depth: 1, width: w}, {depth: 1, width: w, groops: 2}]\nhead: classifier\n"
    write("fam.yaml", text + "variants: {a: {w: 8}, b: {w: 24}}\n")
    (found,) = validate("fam.yaml").diagnostics
    assert (found.code, found.notes) == ("unknown-argument", ())  # all have it
    write("fam.yaml", text.replace(", groops: 2", "") + "variants: {a: {w: 8}, b: {w: 24}}\n")
    (warning,) = validate("fam.yaml").diagnostics
    assert (warning.severity, warning.code) == ("warning", "unused-param")
    write("fam.yaml", text.replace("w, groops: 2", "w - 8") + "variants: {a: {w: 8}}\n")
    errors = [one for one in validate("fam.yaml").diagnostics if one.severity == "error"]
    assert {one.notes[-1].message for one in errors} == {"in variant `a`"}


@pytest.mark.parametrize("family", ["regnet/regnetx", "efficientnet/efficientnet"])
def test_a_family_of_variants_is_checked_in_seconds(family: str) -> None:
    start = time.thread_time()
    verdict = validate(str(specs_dir() / f"{family}.yaml"))
    assert verdict.diagnostics == ()
    assert len(verdict.checked) > 5
    assert time.thread_time() - start < 5


# -- a block's file alone -------------------------------------------------------------------------


UNTRIED = {  # what they want that is in none of the small models
    "hr_fuse": "maps of several sizes",
    "selecsls_block": "beside the map another one, of the size that it gives",
    "self_attention": "positions in one row",
    "shifted_mask": "the scores of windows",
    "swin_block": "a map that windows of 7 cover",
    "transformer": "positions in one row",
}


def test_shipped_blocks_can_be_tried_alone() -> None:
    untried = set()
    for entry in zoo.blocks():
        verdict = validate(str(entry.path))
        assert verdict.diagnostics == ()
        untried |= set() if "tried with" in verdict.remark else {entry.name}
    assert untried == set(UNTRIED)


def test_a_block_is_checked_alone_where_nothing_takes_its_branches(folder: Path) -> None:
    write(
        "odd.yaml",
        "block: odd\nparams: {width: {type: int}, wide: false}\nlet: {k: width +}\nlayers:\n"
        "  - when: wide and nix > 2\n    then:\n      - no_such_block\n"
        "      - conv: {out_chanels: width, kernel_size: 3}\n"
        "  - conv: {out_channels: width, kernel_size: 3, groups: wdth}\n",
    )
    assert sorted(lines(validate("odd.yaml"))) == [
        ("expression-syntax", 3),
        ("unknown-argument", 8),
        ("unknown-name", 7),
        ("unknown-variable", 5),
        ("unknown-variable", 9),
    ]


def test_a_block_that_cannot_be_tried_says_so(folder: Path) -> None:
    write(
        "seven.yaml",
        "block: seven\nlayers:\n  - conv: {out_channels: 7, kernel_size: 3, groups: 7}\n",
    )
    verdict = validate("seven.yaml")
    assert verdict.diagnostics == ()
    assert "could not be tried" in verdict.remark
    write("broken.yaml", "block: broken\nlayers: 3\n")
    assert [one.code for one in validate("broken.yaml").diagnostics] == ["wrong-type"]
    write("seven.yaml", "block: other\nlayers: [relu]\n")
    assert validate("seven.yaml").diagnostics != ()


def test_a_block_that_never_ends_is_left_soon(folder: Path) -> None:
    write(
        "long.yaml",
        "block: long\nparams: {n: {type: int}, rate: {type: float, min: 0.1, max: 0.5}}\nlayers:\n"
        "  - {repeat: 4000, layers: [{dropout: {rate: rate}}, sigmoid]}\n"
        "  - conv: {out_channels: 7, kernel_size: 3, groups: 7}\n",
    )
    start = time.thread_time()
    verdict = validate("long.yaml")
    assert time.thread_time() - start < 3
    assert verdict.diagnostics == ()
    assert "could not be tried: the model has too many nodes" in verdict.remark
