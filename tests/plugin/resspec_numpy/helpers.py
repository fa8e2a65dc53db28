"""Source that emitted files begin with: read as text."""

import numpy as np


def windows(x, kernel, stride, padding, fill=0.0, dilation=(1, 1)):
    """(N, C, H', W', kh, kw) views of a padded batch."""
    top, bottom, left, right = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), constant_values=fill)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, (2, 3))
    return view[:, :, :: stride[0], :: stride[1], :: dilation[0], :: dilation[1]]


def conv2d(x, w, path, stride, padding, dilation, groups):
    kernel, bias = w[path + ".weight"], w.get(path + ".bias", np.zeros(1, x.dtype))
    view = windows(x, kernel.shape[2:], stride, padding, 0.0, dilation)
    parts = zip(np.split(view, groups, 1), np.split(kernel, groups, 0), strict=True)
    y = [np.einsum("ncijhw,ochw->noij", v, k, optimize=True) for v, k in parts]
    return np.concatenate(y, 1) + bias[:, None, None]


def batch_norm(x, w, path, eps, momentum, random, moved):
    mean, var = (w[f"{path}.running_{what}"] for what in ("mean", "var"))
    if random is not None:
        old, count = (mean, var), x[:, 0].size
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
        moved[f"{path}.running_mean"] = old[0] + momentum * (mean - old[0])
        moved[f"{path}.running_var"] = old[1] + momentum * (var * count / (count - 1) - old[1])
    y = (x.swapaxes(1, 3) - mean) / np.sqrt(var + eps)
    return (y * w[f"{path}.weight"] + w[f"{path}.bias"]).swapaxes(1, 3)


def dropout(x, rate, random):
    return x if random is None else x * (random.random(x.shape) >= rate) / max(1 - rate, 1e-9)
