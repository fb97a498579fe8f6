"""One step of training: a batch's loss, its gradients, new weights.

On a GPU the step can be recorded once and played from then on (a CUDA graph): it has some ten thousand kernels, which Python
takes longer to launch than they run. Every size of what a recorded step reads is fixed, also how many rows say something.

Not here: the network (`network.py`), drawing batches (`batches.py`), the loop (`train.py`).
"""
import numpy as np
import torch

from network import HEAD_ROWS
from objective import AMONG, BEGUN
from reference import VOCAB

READ = ("chunk", "own_ids", "own_here", "own_there", "own_piece", "ids", "positions", "near", "seen", "canvas", "own_seen")
FILLED = 0.85  # of a canvas's rows that have room in a recorded step; of real batches of 16 chunks some 0.7 say something
WARM_STEPS = 3  # before a step is recorded, so that kernels are generated and memory is had


def tensors(b, device="cpu"):
    """What a pass reads of a batch, by the names of `READ`."""
    return {name: torch.as_tensor(getattr(b, name), device=device) for name in READ}


def inputs(b, open_weight, context_weight, fixed=False, distil=0.0, teach_open=0.0, own_words=0.0, rng=None):
    """{name: array} of what a step reads: the batch, which of its rows say what, and how much each counts.

    says [N]: rows of the flattened canvases [C · E · Q] that have a target. Their weights sum to 1; open rows count
    `open_weight` of known ones. next [M]: rows of the flattened chunks [C · P], which say the token after them; theirs sum to
    context_weight, and without it there are none. target, weight [N + M]. fixed: N and M depend on the batch's shape alone;
    rows too many are left out, rows too few have weight 0. distil: with it also taught [N + M], how much of a row's target is what the
    base says; known rows that a token follows alone. teach_open: with it taught [N + M] for open rows, and teacher [N + M], the known row
    that says the same token. own_words: with it rewritten [W], known rows, `own_words` of them in the mean and drawn by `rng`, that
    hold what the network says there in place of the gap's token."""
    flat, ahead = b.target.ravel(), b.ahead.ravel()
    says = np.flatnonzero(flat >= 0)
    known = (ahead[says] == 0) | (ahead[says] == BEGUN)
    weight = np.where(known, 1.0, open_weight)
    parts = [padded(int(FILLED * flat.size) if fixed else len(says), says, flat[says], weight / weight.sum())]
    if context_weight:
        following = b.following.ravel()
        next_ = np.flatnonzero(following >= 0)
        parts.append(padded(following.size if fixed else len(next_), next_, following[next_], np.full(len(next_), context_weight / len(next_))))
    more = {}
    if distil:
        more["taught"] = np.where(known & (flat[says] < VOCAB), np.float32(distil), np.float32(0))
    if teach_open:
        more["teacher"] = teachers(b)[says]
        more["taught"] = np.where(more["teacher"] != says, np.float32(teach_open), np.float32(0))
    n, all_rows = len(parts[0][0]), sum(len(rows) for rows, *_ in parts)
    more = {name: padded(all_rows, x[:n])[0] for name, x in more.items()}
    if own_words:
        said = np.zeros(b.target.shape, bool)  # by the known row before it
        said[..., 1:] = (b.ahead[..., :-1] == 0) & (b.gap[..., :-1] == b.gap[..., 1:]) & (b.target[..., :-1] == b.ids[..., 1:])
        rewritten = np.flatnonzero(said & (rng.random(said.shape) < own_words))
        more["rewritten"] = np.resize(rewritten, int(own_words * flat.size)) if fixed else rewritten
    rows, target, weight = zip(*parts)
    return {name: getattr(b, name) for name in READ} | dict(zip(("says", "next"), rows)) | {
        "target": np.concatenate(target), "weight": np.concatenate(weight).astype(np.float32)} | more


def teachers(b):
    """[C · E · Q] of each open row the known row that says the same token; of others the row itself."""
    size = b.target[0, 0].size
    canvas = np.arange(b.target.size) // size
    place = list(zip(canvas, b.gap.ravel(), b.positions.ravel()))
    ahead = b.ahead.ravel()
    by_place = {place[row]: row for row in np.flatnonzero(ahead == 0)}
    return np.array([by_place.get(place[row], row) if 0 < ahead[row] < AMONG else row for row in range(len(place))])


def padded(size, *columns):
    return tuple(np.concatenate((x[:size], np.zeros(max(0, size - len(x)), x.dtype))) for x in columns)


def hidden_rows(net, b, adapted_suffix=False, by_base=False):
    """Final rows of a batch's canvases [C, E, Q, D], and those of its chunks [C, P, D] before the last norm. b: tensors by the
    names of `READ`. adapted_suffix: as `orders.py` says. by_base: canvas rows of the base without any adapter, which see no suffix."""
    context, canvas = net.layers()
    if by_base:
        canvas, b = context, b | {"own_seen": torch.zeros_like(b["own_seen"])}
    at = torch.arange(b["chunk"].shape[1], device=b["chunk"].device)
    everywhere = at.expand(b["chunk"].shape)
    rows, prefix = net.encode(context, b["chunk"], everywhere, everywhere)
    piece = b["own_piece"].flatten(0, 1)
    order = torch.arange(piece.shape[1], device=piece.device)
    visible = piece[:, :, None] == piece[:, None]
    if not adapted_suffix:
        visible &= order[:, None] >= order
    _, own = net.encode(canvas if adapted_suffix else context, *(b[name].flatten(0, 1) for name in ("own_ids", "own_here", "own_there")), visible)
    seen = torch.cat((at < b["seen"][..., None], b["own_seen"], b["canvas"]), -1)
    bias = torch.zeros(seen.shape, dtype=net.dtype, device=seen.device).masked_fill(~seen, torch.finfo(net.dtype).min)
    return net.denoise(canvas, b["ids"], b["positions"], b["near"], prefix, own, bias), rows


def losses(net, b, read=hidden_rows):
    """(what is minimised, nats a token of the canvases' rows, weighted). b: tensors by the names that `inputs` gives."""
    if "rewritten" in b:
        b = b | {"ids": rewritten(net, b, read)}
    hidden, rows = read(net, b)
    everywhere, n = hidden.flatten(0, 2), len(b["says"])
    hidden = everywhere.index_select(0, b["says"])
    if "next" in b:
        hidden = torch.cat((hidden, net.output_norm(rows.flatten(0, 1).index_select(0, b["next"]))))
    teacher, ends = None, "teacher" in b
    if "taught" in b:
        with torch.no_grad():
            teacher = everywhere if ends else hidden_rows(net, b, by_base=True)[0].flatten(0, 2)
            teacher = teacher.index_select(0, b["teacher" if ends else "says"])
    loss, each = net.loss(hidden, b["target"], b["weight"], teacher, b.get("taught"), ends)
    return loss, (each[:n] * b["weight"][:n]).sum()


@torch.no_grad()
def rewritten(net, b, read):
    """The canvases' ids [C, E, Q] with what the row before says best in the place of some."""
    before = read(net, b)[0].flatten(0, 2).index_select(0, b["rewritten"] - 1)
    best = torch.cat([(rows @ net.embedding.T).argmax(-1) for rows in before.split(HEAD_ROWS)])
    return b["ids"].flatten().index_copy(0, b["rewritten"], best).view_as(b["ids"])


class Step:
    """Callable: inputs → nats a token before the step, a tensor. record: plays a recording after `WARM_STEPS`; the optimizer must
    be capturable and hold its learning rate in a tensor on the device, and inputs must be `fixed`. read: one of `orders.ORDERS`."""

    def __init__(self, net, optimizer, device, record=False, read=hidden_rows):
        self.net, self.optimizer, self.device, self.read = net, optimizer, device, read
        self.parameters = list(net.parameters())
        self.warm = WARM_STEPS if record else -1
        self.graph = None

    def ready(self, arrays):
        """Arrays where the device can fetch them while it computes."""
        given = {name: torch.from_numpy(np.ascontiguousarray(x)) for name, x in arrays.items()}
        return {name: x.pin_memory() for name, x in given.items()} if self.device.type == "cuda" else given

    def __call__(self, given):
        if self.warm == 0 and not self.graph:
            self.record(given)
        if self.graph:
            for name, x in given.items():
                self.held[name].copy_(x, non_blocking=True)
            self.graph.replay()
            return self.nats.clone()
        given = {name: x.to(self.device, non_blocking=True) for name, x in given.items()}
        if self.warm < 0:
            return self.run(given)
        self.warm -= 1
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            nats = self.run(given)
        torch.cuda.current_stream().wait_stream(side)
        return nats

    def run(self, given):
        loss, nats = losses(self.net, given, self.read)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "xla":
            import torch_xla
            torch_xla.sync()  # what was gathered so far is a step's graph
        return nats.detach()

    def record(self, given):
        self.held = {name: x.to(self.device) for name, x in given.items()}
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.nats = self.run(self.held)


def adamw(parameters, rate, device, fixed):
    """What both the loop and its measurement use. fixed: the step's kernels serve all steps, so the rate is read from a tensor."""
    fused = device.type in ("cpu", "cuda") or None
    rate = torch.tensor(rate, device=device) if fixed else rate
    return torch.optim.AdamW(parameters, lr=rate, betas=(0.9, 0.98), weight_decay=0.0, fused=fused, capturable=fixed)


def set_rate(optimizer, rate):
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
