"""The Qwen3 block with full attention, as plainly as possible, with everything that a cache could keep in reach.

Parameter names are those of `Qwen3ForCausalLM`, so a state dict is a `model.safetensors` of Hugging Face. Attention is
full: who is seen is decided by which keys are handed in, never by a mask. Keys are kept before rotation, as the
server's caches keep them. Knows nothing of masking, files or edits.
"""
import torch
import torch.nn.functional as F
from torch import nn

CONFIG = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "attention_bias": False,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 256,
    "intermediate_size": 768,
    "max_position_embeddings": 256,
    "num_attention_heads": 4,
    "num_hidden_layers": 8,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "float32",
    "use_sliding_window": False,
    "vocab_size": 4096,
}
LAYERS, WIDTH, MLP = CONFIG["num_hidden_layers"], CONFIG["hidden_size"], CONFIG["intermediate_size"]
HEADS, KV_HEADS, HEAD_DIM = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"], CONFIG["head_dim"]
CANVAS, VOCAB, EPS = CONFIG["max_position_embeddings"], CONFIG["vocab_size"], CONFIG["rms_norm_eps"]


class Norm(nn.RMSNorm):
    def __init__(self, size):
        super().__init__(size, eps=EPS)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, HEADS * HEAD_DIM, bias=False)
        self.k_proj = nn.Linear(WIDTH, KV_HEADS * HEAD_DIM, bias=False)
        self.v_proj = nn.Linear(WIDTH, KV_HEADS * HEAD_DIM, bias=False)
        self.o_proj = nn.Linear(HEADS * HEAD_DIM, WIDTH, bias=False)
        self.q_norm, self.k_norm = Norm(HEAD_DIM), Norm(HEAD_DIM)

    def forward(self, x, angles, past):
        """x [B,Q,W]; past: None or (keys, values [B,KV_HEADS,P,D], angles of those rows). → (out, keys, values of x)"""
        heads = lambda t: t.unflatten(-1, (-1, HEAD_DIM)).transpose(1, 2)  # [B,H,Q,D]
        query = rotate(self.q_norm(heads(self.q_proj(x))), angles)
        key, value = self.k_norm(heads(self.k_proj(x))), heads(self.v_proj(x))
        seen = [(key, value, angles)] if past is None else [(key, value, angles), past]
        keys = torch.cat([rotate(k, a) for k, _, a in seen], 2)
        values = torch.cat([v for _, v, _ in seen], 2)
        groups = HEADS // KV_HEADS
        keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
        out = torch.softmax(HEAD_DIM**-0.5 * query @ keys.transpose(2, 3), -1) @ values
        return self.o_proj(out.transpose(1, 2).flatten(2)), key, value


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate_proj = nn.Linear(WIDTH, MLP, bias=False)
        self.up_proj = nn.Linear(WIDTH, MLP, bias=False)
        self.down_proj = nn.Linear(MLP, WIDTH, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.self_attn, self.mlp = Attention(), Mlp()
        self.input_layernorm, self.post_attention_layernorm = Norm(WIDTH), Norm(WIDTH)

    def forward(self, x, angles, past=None):
        out, key, value = self.self_attn(self.input_layernorm(x), angles, past)
        x = x + out
        return x + self.mlp(self.post_attention_layernorm(x)), key, value


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCAB, WIDTH)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = Norm(WIDTH)


class Network(nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        self.model = Body()
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.dim() == 2:
                scale = 0.02 / (2 * LAYERS) ** 0.5 if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                nn.init.normal_(weight, std=scale, generator=generator)

    def forward(self, ids):
        """ids [B,Q] at positions 0…Q−1 → normed hidden rows [B,Q,W]"""
        x, angles = self.model.embed_tokens(ids), rope(torch.arange(ids.shape[1]))
        for layer in self.model.layers:
            x, _, _ = layer(x, angles)
        return self.model.norm(x)

    def head(self, rows):
        return F.linear(rows, self.model.embed_tokens.weight)


def rope(positions):
    """positions [Q] or [B,Q] → (cos, sin), [Q,D] or [B,1,Q,D]; half-split order, float32."""
    frequencies = CONFIG["rope_theta"] ** -(torch.arange(0, HEAD_DIM, 2, dtype=torch.float32) / HEAD_DIM)
    angle = positions[..., None].float() * frequencies
    angle = torch.cat((angle, angle), -1)
    if positions.dim() == 2:
        angle = angle[:, None]
    return angle.cos(), angle.sin()


def rotate(x, angles):
    cos, sin = angles
    first, second = x.chunk(2, -1)
    return (x * cos + torch.cat((-second, first), -1) * sin).to(x.dtype)
