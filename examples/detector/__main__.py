"""A detector on a feature pyramid: trained by PyTorch, found to see the same by TensorFlow.

`detector.yaml` is all of the network. It learns to find discs, rings, squares, crosses and
triangles, 8 to 40 pixels large, grey on noise, and is asked for those on canvases that are new.

    pip install 'resspec[all,examples]'
    python -m examples.detector --out detector.svg

Takes one or two minutes on a CPU.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import resspec

SPEC = Path(__file__).with_name("detector.yaml")
SIDE = 64  # pixels of a canvas
SHAPES = {  # what of a square from −1 to 1 is inside
    "disc": lambda x, y: x**2 + y**2 <= 1,
    "ring": lambda x, y: np.abs(x**2 + y**2 - 0.7) <= 0.3,
    "square": lambda x, y: x == x,
    "cross": lambda x, y: np.minimum(abs(x), abs(y)) <= 0.3,
    "triangle": lambda x, y: 2 * abs(x) <= y + 1,
}
CLASSES = len(SHAPES)
PRIOR = 4  # taken from all scores, since few positions see anything (arXiv:1708.02002, section 4.1)
STRIDES = (4, 8, 16)  # of the levels, which find what is below 16 pixels, below 28, and above

# where the positions of all levels are, (P, 2) of x and y, and their strides, (P, 1)
GRIDS = [np.mgrid[s // 2 : SIDE : s, s // 2 : SIDE : s][::-1].reshape(2, -1).T for s in STRIDES]
POINTS = np.concatenate(GRIDS)
STRIDE = np.repeat(STRIDES, [len(grid) for grid in GRIDS])[:, None]

Scene = tuple[np.ndarray, np.ndarray, np.ndarray]


# -- what there is to see ----------------------------------------------------------------------


def scene(draw: np.random.Generator) -> Scene:
    """A canvas (1, 64, 64) with one to four shapes, their boxes (N, 4: left, top, right, bottom)
    and classes (N)."""
    canvas = draw.normal(0, 0.1, (SIDE, SIDE))
    boxes, labels = np.zeros((0, 4)), []
    for _ in range(draw.integers(1, 5)):
        size, label = draw.integers(8, 41), draw.integers(CLASSES)
        left, top = draw.integers(0, SIDE - size + 1, 2)
        box = np.array([[left, top, left + size, top + size]])
        if overlap(box, boxes).max(initial=0) > 0:
            continue
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        inside = [*SHAPES.values()][label](x, y)
        canvas[top : top + size, left : left + size] += draw.uniform(0.5, 1) * inside
        boxes, labels = np.concatenate([boxes, box]), [*labels, label]
    return canvas[None].astype(np.float32), boxes, np.array(labels)


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union of each box with each, (A, B)."""
    inner = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    shared = inner.clip(0).prod(-1)
    areas = [(one[:, 2:] - one[:, :2]).prod(-1) for one in (a, b)]
    return shared / (areas[0][:, None] + areas[1] - shared)


# -- what the network is to say of it -----------------------------------------------------------


def wanted(boxes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each position its class, −1 for none, and in strides how far the sides of its box are."""
    sides = np.concatenate([POINTS[:, None] - boxes[:, :2], boxes[:, 2:] - POINTS[:, None]], -1)
    aside = np.abs(sides[..., :2] - sides[..., 2:]).max(-1) / 2  # from the middle of the box
    level = np.array(STRIDES)[np.digitize(boxes[:, 2] - boxes[:, 0], (16, 28))]
    fits = (sides.min(-1) > 0) & (aside < STRIDE) & (level == STRIDE)
    box = fits.argmax(1)
    classes = np.where(fits.any(1), labels[box], -1)
    return classes, (sides[np.arange(len(box)), box] / STRIDE).astype(np.float32)


def loss(told: torch.Tensor, classes: torch.Tensor, sides: torch.Tensor) -> torch.Tensor:
    """Focal loss of the classes (arXiv:1708.02002), overlap of the boxes (arXiv:1608.01471)."""
    scores, found = told[..., :CLASSES] - PRIOR, classes >= 0
    target = functional.one_hot(classes.clamp(min=0), CLASSES) * found[..., None].float()
    cross = functional.binary_cross_entropy_with_logits(scores, target, reduction="none")
    focal = cross * (target - scores.sigmoid()).square()
    ours, theirs = told[found][:, CLASSES:].exp(), sides[found]
    nearer = torch.minimum(ours, theirs)
    areas = [(one[:, :2] + one[:, 2:]).prod(1) for one in (ours, theirs, nearer)]
    overlapping = areas[2] / (areas[0] + areas[1] - areas[2])
    return (focal.sum() + (1 - overlapping).sum()) / found.sum()


def train(model: torch.nn.Module, steps: int) -> None:
    draw = np.random.default_rng(0)
    optimizer = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for step in range(steps):
        scenes = [scene(draw) for _ in range(16)]
        targets = [wanted(boxes, labels) for _, boxes, labels in scenes]
        told = flat(model(torch.from_numpy(np.stack([image for image, *_ in scenes]))))
        now = loss(told, *(torch.from_numpy(np.stack(one)) for one in zip(*targets, strict=True)))
        optimizer.zero_grad()
        now.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {now.item():.2f}")


def flat(levels: dict[str, torch.Tensor]) -> torch.Tensor:
    """All positions of all levels, (B, P, 9)."""
    return torch.cat([one.flatten(2).transpose(1, 2) for one in levels.values()], 1)


# -- what it says ---------------------------------------------------------------------------------


def detections(told: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and classes of what is seen on one canvas, (P, 9): of those that overlap, the one
    that is surest."""
    scores = 1 / (1 + np.exp(PRIOR - told[:, :CLASSES]))
    sides = np.exp(told[:, CLASSES:]) * STRIDE
    boxes = np.concatenate([POINTS - sides[:, :2], POINTS + sides[:, 2:]], 1)
    kept: list[int] = []
    for one in np.argsort(-scores.max(1)):
        if scores[one].max() > 0.5 and overlap(boxes[[one]], boxes[kept]).max(initial=0) < 0.5:
            kept.append(one)
    return boxes[kept], scores[kept].argmax(1)


def judged(found: list[tuple[np.ndarray, np.ndarray]], scenes: list[Scene]) -> tuple[float, float]:
    """Precision and recall: right is a box of the right class that overlaps by half or more."""
    right, told, there = 0, 0, 0
    for (boxes, classes), (_, real, labels) in zip(found, scenes, strict=True):
        matches = (overlap(boxes, real) > 0.5) & (classes[:, None] == labels)
        right, told, there = right + matches.any(0).sum(), told + len(boxes), there + len(real)
    return right / max(told, 1), right / there


def plot(found: list[tuple[np.ndarray, np.ndarray]], scenes: list[Scene], out: Path) -> None:
    """The four fullest canvases, and what is seen there."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 4, figsize=(10, 2.6), layout="constrained")
    fullest = sorted(zip(found, scenes, strict=True), key=lambda pair: -len(pair[1][1]))
    for axis, ((boxes, classes), (image, *_)) in zip(axes, fullest, strict=False):
        axis.imshow(image[0], cmap="gray")
        axis.axis("off")
        for (left, top, right, bottom), label in zip(boxes, classes, strict=True):
            place, size = (left - 0.5, top - 0.5), (right - left, bottom - top)
            axis.add_patch(pyplot.Rectangle(place, *size, fill=False, color="tab:orange"))
            axis.text(left + 1, top, [*SHAPES][label], va="top", color="tab:orange", weight="bold")
    figure.savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)


def main(given: list[str] | None = None) -> tuple[float, float, float]:
    """Precision and recall, and how far the outputs of the two frameworks are apart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("detector.svg"))
    asked = parser.parse_args(given)

    model = resspec.build(SPEC)  # a plain torch.nn.Module, NCHW
    train(model.train(), asked.steps)

    draw = np.random.default_rng(1)
    scenes = [scene(draw) for _ in range(200)]
    canvases = np.stack([image for image, *_ in scenes])
    with torch.inference_mode():
        told = flat(model.eval()(torch.from_numpy(canvases))).numpy()
    found = [detections(one) for one in told]
    precision, recall = judged(found, scenes)
    print(f"of what it tells {precision:.1%} is right, of what there is it finds {recall:.1%}")

    twin = resspec.build(SPEC, "tensorflow", weights=model)  # a plain keras.Model, NHWC
    levels = twin.predict(canvases.transpose(0, 2, 3, 1), verbose=0).values()
    theirs = np.concatenate([one.reshape(len(one), -1, one.shape[-1]) for one in levels], 1)
    apart = float(np.abs(theirs - told).max())
    print(f"TensorFlow tells the same; outputs differ by at most {apart:.1e}")

    plot(found, scenes, asked.out)
    return precision, recall, apart


if __name__ == "__main__":
    main()
