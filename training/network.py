"""The network of `reference.py`, arranged for training.

A step takes C chunks of text, each encoded once and shared by the E canvases of the gaps opened in it; attention of canvas
rows is taken in three parts (chunk, own context, canvas), so that nothing is copied per gap.

Two ways to train: an adapter for canvas rows on a frozen base (rank > 0), whose context carries no gradient; or the whole
base (rank 0), its matrices shared by context and canvas rows and rounded to 4 bits in every pass.

Not here: which gaps to open (`objective.py`), the loop (`train.py`).
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

import blocks4
from reference import D, EPS, HEAD_DIM, HEADS, KV_HEADS, LAYERS, LINEARS, MASK, PAD, ROPE_THETA, VOCAB

GROUP = HEADS // KV_HEADS
# Matrices that read the same rows.
PARTS = {"qkv": ("attn_q", "attn_k", "attn_v"), "o": ("attn_output",), "up": ("ffn_gate", "ffn_up"), "down": ("ffn_down",)}
ROWS = {key: [LINEARS[n][0] for n in names] for key, names in PARTS.items()}  # of each of them
NORMS = ("attn_norm", "ffn_norm")
HEAD_ROWS = 4096  # of which the vocabulary's scores are held at once


def rope(positions, dtype):
    """cos and sin [..., HEAD_DIM] of positions [...]."""
    inverse = ROPE_THETA ** -(torch.arange(0, HEAD_DIM, 2, device=positions.device).float() / HEAD_DIM)
    angle = positions[..., None].float() * inverse
    angle = torch.cat((angle, angle), -1)
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x, at):
    a, b = x.chunk(2, -1)
    return x * at[0] + torch.cat((-b, a), -1) * at[1]


def norm(x, gain):
    return F.rms_norm(x, (D,), gain, EPS)


def product(x, w, key):
    """x times the matrices of a group, with the adapter where there is one."""
    y = F.linear(x, w[key])
    if f"{key}.A" not in w:
        return y
    low = F.linear(x, w[f"{key}.A"]).split(w[f"{key}.A"].shape[0] // len(PARTS[key]), -1)
    return y + torch.cat([F.linear(a, b) for a, b in zip(low, w[f"{key}.B"])], -1)


def mlp(x, w):
    gate, up = product(norm(x, w["ffn_norm"]), w, "up").chunk(2, -1)
    return x + product(F.silu(gate) * up, w, "down")


def context_block(x, w, here, there, visible):
    """x [B, T, D] → (x, keys turned to where they stand, values [B, KV_HEADS, T, HEAD_DIM]). visible [B, 1, T, T], or None for
    plain causality."""
    b, t, _ = x.shape
    q, k, v = (y.view(b, t, -1, HEAD_DIM).transpose(1, 2)
               for y in product(norm(x, w["attn_norm"]), w, "qkv").split(ROWS["qkv"], -1))
    stands = rotate(k, there)
    q, k, many = rotate(q, here), rotate(k, here).repeat_interleave(GROUP, 1), v.repeat_interleave(GROUP, 1)
    attended = F.scaled_dot_product_attention(q, k, many, attn_mask=visible, is_causal=visible is None)
    x = x + product(attended.transpose(1, 2).reshape(b, t, -1), w, "o")
    return mlp(x, w), stands, v


def canvas_block(x, w, prefix_key, prefix_value, own_key, own_value, bias, at, near):
    """x [C, E, Q, D]; prefix [C, KV, P, 64], own [C, KV, E, S, 64], bias [C, 1, E, 1, Q, P + S + Q]."""
    c, e, rows, _ = x.shape
    p, s = prefix_key.shape[2], own_key.shape[3]
    q, k, v = product(norm(x, w["attn_norm"]), w, "qkv").split(ROWS["qkv"], -1)
    q = (q * HEAD_DIM ** -0.5).view(c, e, rows, KV_HEADS, GROUP, HEAD_DIM).permute(0, 3, 1, 4, 2, 5)  # [C, KV, E, G, Q, 64]
    k, v = (y.view(c, e, rows, KV_HEADS, HEAD_DIM).permute(0, 3, 1, 2, 4) for y in (k, v))  # [C, KV, E, Q, 64]
    turned = lambda at: rotate(q, [y[:, None, :, None] for y in at]).reshape(c, KV_HEADS, e, GROUP * rows, HEAD_DIM)
    q, near = turned(at), turned(near)
    k = rotate(k, [y[:, None] for y in at])
    flat = (c, KV_HEADS, e * GROUP * rows)
    score = torch.cat(((q.view(*flat, HEAD_DIM) @ prefix_key.transpose(-1, -2)).view(c, KV_HEADS, e, GROUP * rows, p),
                       near @ own_key.transpose(-1, -2), q @ k.transpose(-1, -2)), -1)
    weight = (score.view(c, KV_HEADS, e, GROUP, rows, -1) + bias).softmax(-1).view(c, KV_HEADS, e, GROUP * rows, -1)
    over_prefix = weight[..., :p].reshape(*flat, p) @ prefix_value
    out = over_prefix.view(c, KV_HEADS, e, GROUP * rows, HEAD_DIM) + weight[..., p:p + s] @ own_value + weight[..., p + s:] @ v
    out = out.view(c, KV_HEADS, e, GROUP, rows, HEAD_DIM).permute(0, 2, 4, 1, 3, 5).reshape(c, e, rows, D)
    return mlp(x + product(out, w, "o"), w)


class HeadLoss(torch.autograd.Function):
    """Cross entropy of hidden [N, D] at target [N], each row's times weight [N], summed, and each by itself.

    taught [N], with teacher [N, D]: how much of a row's target is what the head says of the teacher's row instead, of PAD only with `ends`.
    The vocabulary's scores are never held for all rows: gradients are taken as the rows go by. The embedding is frozen."""

    @staticmethod
    def forward(ctx, hidden, pad_out, embedding, target, weight, teacher=None, taught=None, ends=False):
        head = torch.cat((embedding, pad_out.to(embedding.dtype)[None]))
        each, by_hidden, by_pad = torch.empty(len(target), device=hidden.device), torch.empty_like(hidden), torch.zeros_like(pad_out)
        more = torch.zeros((), device=hidden.device)
        for a in range(0, len(target), HEAD_ROWS):
            rows = slice(a, a + HEAD_ROWS)
            at = target[rows, None]
            scores = (hidden[rows] @ head.T).float()
            log_sum = scores.logsumexp(-1, keepdim=True)
            each[rows] = (log_sum - scores.gather(1, at))[:, 0]
            share = scores.sub_(log_sum)
            if teacher is None:
                share = share.exp_().scatter_add_(1, at, -torch.ones_like(at, dtype=scores.dtype)).mul_(weight[rows, None])
            else:
                said = (teacher[rows] @ head.T).float()
                if not ends:
                    said[:, VOCAB] = -torch.inf
                said = said.softmax(-1)
                more -= (weight[rows] * taught[rows] * ((said * share).sum(-1) + each[rows])).sum()
                share = share.exp_().scatter_add_(1, at, taught[rows, None] - 1)
                share = share.sub_(said.mul_(taught[rows, None])).mul_(weight[rows, None])
            by_pad += share[:, VOCAB] @ hidden[rows].float()
            by_hidden[rows] = share.to(head.dtype) @ head
        ctx.save_for_backward(by_hidden, by_pad)
        ctx.mark_non_differentiable(each)
        return (each * weight).sum() + more, each

    @staticmethod
    def backward(ctx, gradient, _):
        by_hidden, by_pad = ctx.saved_tensors
        return by_hidden * gradient, by_pad * gradient, None, None, None, None, None, None


class Network(nn.Module):
    def __init__(self, weights, rank, dtype=torch.bfloat16, gains=False, kept=range(LAYERS)):
        """weights: of `reference.load_base`. gains: canvas rows have norm gains of their own beside the adapter.
        kept: layers that are there; the others are left out."""
        super().__init__()
        self.dtype, self.rank, self.kept = dtype, rank, list(kept)
        joined = {f"{l}_{key}": torch.cat([weights[f"blk.{l}.{n}.weight"] for n in names]) for l in self.kept for key, names in PARTS.items()}
        published = {f"{l}_{n}": weights[f"blk.{l}.{n}.weight"] for l in self.kept for n in NORMS} | {"output": weights["output_norm.weight"]}
        self.A, self.B, self.own, self.gain = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        self.frozen = {}
        if rank:
            self.frozen = {k: v.to(dtype) for k, v in {**joined, **published}.items()}
            for l in self.kept:
                for n in LINEARS:
                    out, read = weights[f"blk.{l}.{n}.weight"].shape
                    self.A[f"{l}_{n}"] = nn.Parameter(torch.randn(rank, read) / math.sqrt(read))
                    self.B[f"{l}_{n}"] = nn.Parameter(torch.zeros(out, rank))
        else:
            for name, w in joined.items():
                self.own[name] = nn.Parameter(w.clone())
        if gains or not rank:
            for name, w in published.items():
                self.gain[name] = nn.Parameter(w.clone())
        e = weights["token_embd.weight"]
        self.embedding = e.to(dtype)
        # The base has no row for a mask and none for an end.
        self.special = nn.Parameter(weights.get("special", torch.stack([e[16], e[0]])).clone())
        self.pad_out = nn.Parameter(weights.get("pad_out", e[0]).clone())
        self.blocks = (context_block, canvas_block)

    def to(self, device):
        self.frozen = {k: v.to(device) for k, v in self.frozen.items()}
        self.embedding = self.embedding.to(device)
        return super().to(device)

    def compile(self):
        """Blocks as generated kernels where gradients are wanted: one layer is compiled and serves for all."""
        self.blocks = tuple(torch.compile(block, dynamic=False) for block in self.blocks)
        blocks4.compile()

    def layers(self):
        """(weights of context rows, of canvas rows), by layer, in the dtype of the products; once a pass."""
        context, canvas = [], []
        for l in self.kept:
            if self.rank:
                w = {key: self.frozen[f"{l}_{key}"] for key in (*PARTS, *NORMS)}
                context.append(w)
                low = {f"{key}.A": torch.cat([self.A[f"{l}_{n}"] for n in names]).to(self.dtype) for key, names in PARTS.items()}
                canvas.append(w | low | {f"{key}.B": [self.B[f"{l}_{n}"].to(self.dtype) for n in names] for key, names in PARTS.items()})
                canvas[-1] |= {n: self.gain[f"{l}_{n}"].to(self.dtype) for n in NORMS if self.gain}
            else:
                w = {key: blocks4.Rounded.apply(self.own[f"{l}_{key}"], self.dtype) for key in PARTS}
                context.append(w | {n: self.gain[f"{l}_{n}"].to(self.dtype) for n in NORMS})
                canvas.append(context[-1])
        return context, canvas

    @property
    def context_block(self):
        return self.blocks[0] if torch.is_grad_enabled() else context_block

    def output_norm(self, x):
        return norm(x, self.gain["output"].to(self.dtype) if "output" in self.gain else self.frozen["output"])

    def embed(self, ids):
        x = self.embedding[ids.clamp(min=0)]
        x = torch.where((ids == MASK)[..., None], self.special[0].to(self.dtype), x)
        return torch.where((ids == PAD)[..., None], self.special[1].to(self.dtype), x)

    def encode(self, layers, ids, here, there, visible=None):
        """ids [B, T] read at positions `here` [B, T], their keys turned to `there`: (rows after the last block [B, T, D], by layer
        (key, value), each [B, KV_HEADS, T, HEAD_DIM]). visible [B, T, T], where given, instead of plain causality."""
        learns = torch.is_grad_enabled() and (not self.rank or "qkv.A" in layers[0])
        block = self.blocks[0] if learns else context_block
        x, kept = self.embedding[ids], []
        here, there = ([y[:, None] for y in rope(at, self.dtype)] for at in (here, there))
        visible = None if visible is None else visible[:, None]
        with torch.set_grad_enabled(learns):
            if torch.is_grad_enabled():
                x.requires_grad_()  # as it does from the second layer on: one compiled block serves for all
            for w in layers:
                x, key, value = block(x, w, here, there, visible)
                kept.append((key, value))
        return x, kept

    def denoise(self, layers, ids, positions, near, prefix, own, bias):
        """Final hidden rows [C, E, Q, D] of canvases ids [C, E, Q] at `positions`.

        prefix: by layer (key, value) [C, KV, P, 64] · own: the same [C · E, KV, S, 64], its keys turned by offsets that `near`
        counts from the same place: gaps that share a following context stand at different distances from the chunk's start,
        so queries are turned a second time rather than keys for each gap · bias [C, E, Q, P + S + Q], 0 or the lowest number."""
        block = self.blocks[1] if torch.is_grad_enabled() else canvas_block
        (c, e, _), bias = ids.shape, bias[:, None, :, None].to(self.dtype)
        x, at, near = self.embed(ids), rope(positions, self.dtype), rope(near, self.dtype)
        for w, kept, own_kept in zip(layers, prefix, own):
            x = block(x, w, *kept, *(y.unflatten(0, (c, e)).transpose(1, 2) for y in own_kept), bias, at, near)
        return self.output_norm(x)

    def logits(self, hidden):
        """[..., VOCAB + 1]; the last column is PAD."""
        return torch.cat((hidden @ self.embedding.T, (hidden @ self.pad_out.to(self.dtype))[..., None]), -1).float()

    def loss(self, hidden, target, weight, teacher=None, taught=None, ends=False):
        """(sum over rows hidden [N, D] of weight · cross entropy, each row's cross entropy at its target). teacher, taught, ends: `HeadLoss`."""
        return HeadLoss.apply(hidden, self.pad_out, self.embedding, target, weight, teacher, taught, ends)
