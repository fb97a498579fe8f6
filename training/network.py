"""The network of `reference.py`, arranged for training on few cores.

The context is encoded once, without gradient, and shared by all gaps of a step; only canvas rows carry gradient, and
their attention is taken in three parts (shared prefix, own context, canvas), so that nothing is copied per gap.

Not here: which gaps to open (`objective.py`), the loop (`train.py`).
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from reference import D, EPS, HEAD_DIM, HEADS, KV_HEADS, LAYERS, LINEARS, MASK, PAD, ROPE_THETA

GROUP = HEADS // KV_HEADS
# Matrices that read the same rows.
PARTS = {"qkv": ("attn_q", "attn_k", "attn_v"), "o": ("attn_output",), "up": ("ffn_gate", "ffn_up"), "down": ("ffn_down",)}


def rope(positions, dtype):
    """cos and sin, each [..., 1, T, HEAD_DIM], of positions [..., T]."""
    inverse = ROPE_THETA ** -(torch.arange(0, HEAD_DIM, 2, device=positions.device).float() / HEAD_DIM)
    angle = positions[..., None].float() * inverse
    angle = torch.cat((angle, angle), -1)[..., None, :, :]
    return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def joined(weights):
    """The matrices by layer, those that read the same rows side by side: one product instead of three or two."""
    return [{key: torch.cat([weights[f"blk.{l}.{n}.weight"] for n in names]) for key, names in PARTS.items()} for l in range(LAYERS)]


class Network(nn.Module):
    """A frozen base with a trainable low-rank adapter (rank > 0), or whole matrices of its own for canvas rows (rank 0).

    Either way context rows run through the base as it was published."""

    def __init__(self, weights, rank, dtype=torch.bfloat16):
        super().__init__()
        self.dtype, self.rank = dtype, rank
        self.frozen = [{k: v.to(dtype) for k, v in layer.items()} for layer in joined(weights)]
        self.norms = {k: v.to(dtype) for k, v in weights.items() if "norm" in k}
        self.embedding = weights["token_embd.weight"].to(dtype)
        self.A, self.B, self.own = nn.ParameterDict(), nn.ParameterDict(), nn.ParameterDict()
        for l in range(LAYERS):
            for n in LINEARS:
                w = weights[f"blk.{l}.{n}.weight"]
                if rank:
                    self.A[f"{l}_{n}"] = nn.Parameter(torch.randn(rank, w.shape[1]) / math.sqrt(w.shape[1]))
                    self.B[f"{l}_{n}"] = nn.Parameter(torch.zeros(w.shape[0], rank))
                else:
                    self.own[f"{l}_{n}"] = nn.Parameter(w.clone())
        e = weights["token_embd.weight"]
        self.special = nn.Parameter(torch.stack([e[16], e[0]]).clone())
        self.pad_out = nn.Parameter(e[0].clone())

    def embed(self, ids):
        x = self.embedding[ids.clamp(min=0)]
        x = torch.where((ids == MASK)[..., None], self.special[0].to(self.dtype), x)
        return torch.where((ids == PAD)[..., None], self.special[1].to(self.dtype), x)

    def norm(self, x, name):
        return F.rms_norm(x, (D,), self.norms[name], EPS)

    def heads(self, x, l, product):
        b, t, _ = x.shape
        qkv = product(self.norm(x, f"blk.{l}.attn_norm.weight"), l, "qkv")
        q, k, v = qkv.split((D, KV_HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM), -1)
        return [y.view(b, t, -1, HEAD_DIM).transpose(1, 2) for y in (q, k, v)]

    def rest(self, x, attended, l, product):
        """The block after attention. attended [B, HEADS, T, HEAD_DIM]."""
        b, t, _ = x.shape
        x = x + product(attended.transpose(1, 2).reshape(b, t, -1), l, "o")
        gate, up = product(self.norm(x, f"blk.{l}.ffn_norm.weight"), l, "up").chunk(2, -1)
        return x + product(F.silu(gate) * up, l, "down")

    def base_product(self, x, l, key):
        return F.linear(x, self.frozen[l][key])

    def canvas_product(self, x, l, key):
        if not self.rank:
            return F.linear(x, torch.cat([self.own[f"{l}_{n}"] for n in PARTS[key]]).to(self.dtype))
        low = F.linear(x, torch.cat([self.A[f"{l}_{n}"] for n in PARTS[key]]).to(self.dtype)).split(self.rank, -1)
        added = [F.linear(a, self.B[f"{l}_{n}"].to(self.dtype)) for a, n in zip(low, PARTS[key])]
        return self.base_product(x, l, key) + torch.cat(added, -1)

    @torch.no_grad()
    def encode(self, ids, here, there, visible=None):
        """Unadapted encodings of ids [B, T] read at positions `here` [B, T], keys rotated to `there`; per layer (key,
        value), each [B, KV_HEADS, T, HEAD_DIM]. visible [B, T, T], where given, instead of plain causality."""
        x, kept = self.embedding[ids], []
        read, stand = rope(here, self.dtype), rope(there, self.dtype)
        for l in range(LAYERS):
            q, k, v = self.heads(x, l, self.base_product)
            kept.append((rotate(k, *stand), v))
            q, k, v = rotate(q, *read), rotate(k, *read).repeat_interleave(GROUP, 1), v.repeat_interleave(GROUP, 1)
            mask = None if visible is None else visible[:, None]
            x = self.rest(x, F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None), l, self.base_product)
        return kept

    def denoise(self, ids, positions, near, prefix, prefix_bias, own, own_bias, canvas_bias):
        """Final hidden rows [E, Q, D] of canvases ids [E, Q] at positions [E, Q].

        prefix: per layer (key, value) [1, KV, P, 64], shared; prefix_bias [E, Q, P] · own: the same [E, KV, S, 64], its
        keys turned by offsets that `near` [E, Q] counts from the same place: gaps that share a following context stand at
        different distances from the chunk's start, so queries are turned a second time rather than keys for each gap ·
        own_bias [E, Q, S] · canvas_bias [E, Q, Q]. Biases are 0 or the lowest number."""
        (b, rows), p, s = ids.shape, prefix[0][0].shape[2], own[0][0].shape[2]
        x, (cos, sin), (near_cos, near_sin) = self.embed(ids), rope(positions, self.dtype), rope(near, self.dtype)
        bias = torch.cat((prefix_bias, own_bias, canvas_bias), -1).to(self.dtype)[:, None, None]
        for l in range(LAYERS):
            q, k, v = self.heads(x, l, self.canvas_product)
            q = q * HEAD_DIM ** -0.5
            near = rotate(q, near_cos, near_sin).reshape(b, KV_HEADS, GROUP * rows, HEAD_DIM)
            q = rotate(q, cos, sin).reshape(b, KV_HEADS, GROUP * rows, HEAD_DIM)
            k = rotate(k, cos, sin)
            (pk, pv), (sk, sv) = prefix[l], own[l]
            flat = q.transpose(0, 1).reshape(KV_HEADS, -1, HEAD_DIM)
            over_prefix = torch.bmm(flat, pk[0].transpose(1, 2)).view(KV_HEADS, b, -1, p).transpose(0, 1)
            score = torch.cat((over_prefix, near @ sk.transpose(-1, -2), q @ k.transpose(-1, -2)), -1)
            score = score.view(b, KV_HEADS, GROUP, rows, -1) + bias
            weight = score.softmax(-1).view(b, KV_HEADS, GROUP * rows, -1)
            out = torch.bmm(weight[..., :p].transpose(0, 1).reshape(KV_HEADS, -1, p), pv[0])
            out = out.view(KV_HEADS, b, -1, HEAD_DIM).transpose(0, 1) + weight[..., p:p + s] @ sv + weight[..., p + s:] @ v
            x = self.rest(x, out.reshape(b, HEADS, rows, HEAD_DIM), l, self.canvas_product)
        return self.norm(x, "output_norm.weight")

    def logits(self, hidden):
        """[..., VOCAB + 1]; the last column is PAD."""
        return torch.cat((hidden @ self.embedding.T, (hidden @ self.pad_out.to(self.dtype))[..., None]), -1).float()
