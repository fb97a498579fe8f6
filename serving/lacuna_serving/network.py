"""One forward pass as a pure function: the block of Llama, Qwen2 and Qwen3, rows of text without and rows of canvases with the
adapter, keys kept before rotation. What is cached lies in a pool of rows on the device, from which a pass gathers.

S shards of the batch, B jobs a shard, Q rows a job, P rows of context, R asked rows, M ids of a set, N rows of a pool."""
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

MASKED = -1e9
TOP = 8


def mesh_of(data, model):
    """A device mesh of `data` × `model`."""
    return Mesh(np.array(jax.devices()[:data * model]).reshape(data, model), ("data", "model"))


def weight_specs(shape, weights, model):
    """How each weight lies on the axis `model`: matrices by their outputs going in and by their inputs going out, heads only where
    the key heads can be shared out, else attention is on every device."""
    heads = "model" if shape.kv_heads % model == 0 else None
    mlp = "model" if shape.mlp % model == 0 else None
    axis = {"q": heads, "k": heads, "v": heads, "o": heads, "gate": mlp, "up": mlp, "down": mlp}

    def of(name):
        part, _, what = name.partition(".")
        if part not in axis:
            return PartitionSpec()
        out = part not in ("o", "down")
        if what == "bias":
            return PartitionSpec(None, axis[part])
        if what == "A":
            return PartitionSpec(None, None, None if out else axis[part])
        if what == "B":
            return PartitionSpec(None, axis[part] if out else None, None)
        return PartitionSpec(None, axis[part], None) if out else PartitionSpec(None, None, axis[part])

    head = "model" if weights["head"].shape[0] % model == 0 else None
    return {"embedding": PartitionSpec(), "head": PartitionSpec(head), "norm": PartitionSpec(),
            "layers": {name: of(name) for name in weights["layers"]}}


def place(shape, weights, mesh, dtype=jnp.float32):
    """The weights on the mesh. The head is padded to a multiple of the axis `model` (with rows that are masked out)."""
    model = mesh.shape["model"]
    padding = -weights["head"].shape[0] % model
    if padding:
        weights = weights | {"head": np.pad(weights["head"], ((0, padding), (0, 0)))}
    specs = weight_specs(shape, weights, model)
    return jax.tree.map(lambda w, spec: jax.device_put(jnp.asarray(w, dtype), NamedSharding(mesh, spec)), weights, specs)


def norm(x, weight, eps):
    x32 = x.astype(jnp.float32)
    return (x32 * jax.lax.rsqrt(jnp.mean(x32 * x32, -1, keepdims=True) + eps)).astype(x.dtype) * weight


def rotate(x, positions, theta):
    """Half-split RoPE. x [B, T, H, D], positions [B, T]."""
    half = x.shape[-1] // 2
    angle = positions[..., None, None].astype(jnp.float32) * theta ** (-jnp.arange(half, dtype=jnp.float32) / half)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = x[..., :half].astype(jnp.float32), x[..., half:].astype(jnp.float32)
    return jnp.concatenate((a * cos - b * sin, b * cos + a * sin), -1).astype(x.dtype)


def forward(shape, weights, past, past_positions, past_sees, ids, positions, sees, gate):
    """Hidden rows [B, Q, width] and new keys and values [L, 2, B, Q, Hkv, D].

    past: layer → (keys, values) [B, P, Hkv, D], a function, so that they may be gathered there. past_sees [B, Q, P] or [B, 1, P], sees [B, Q, Q]: True where a row may look. gate [B, Q]: 1 on
    rows of canvases."""
    b, q = ids.shape
    group = shape.heads // shape.kv_heads
    everywhere = jnp.concatenate((past_positions, positions), 1)
    visible = jnp.concatenate((jnp.broadcast_to(past_sees, (b, q, past_positions.shape[1])), sees), -1)
    bias = jnp.where(visible, 0.0, MASKED)[:, None, None]  # [B, 1, 1, Q, P+Q]
    gate = gate[..., None].astype(weights["embedding"].dtype)

    def block(x, of_layer):
        layer, w = of_layer

        def linear(x, part):
            y = x @ w[part].T
            if f"{part}.bias" in w:
                y = y + w[f"{part}.bias"]
            if f"{part}.A" in w:
                y = y + (gate * (x @ w[f"{part}.A"].T)) @ w[f"{part}.B"].T
            return y

        h = norm(x, w["attention_norm"], shape.eps)
        split = lambda y: y.reshape(b, q, -1, shape.head_dim)
        query, key, value = (split(linear(h, part)) for part in "qkv")
        if shape.qk_norm:
            query, key = norm(query, w["q_norm"], shape.eps), norm(key, w["k_norm"], shape.eps)
        past_keys, past_values = past(layer)
        keys = rotate(jnp.concatenate((past_keys, key), 1), everywhere, shape.rope_theta)
        values = jnp.concatenate((past_values, value), 1)
        query = rotate(query, positions, shape.rope_theta).reshape(b, q, shape.kv_heads, group, shape.head_dim)
        scores = jnp.einsum("bqhgd,bkhd->bhgqk", query, keys).astype(jnp.float32) * shape.head_dim ** -0.5 + bias
        attended = jnp.einsum("bhgqk,bkhd->bqhgd", jax.nn.softmax(scores, -1).astype(x.dtype), values)
        x = x + linear(attended.reshape(b, q, -1), "o")
        h = norm(x, w["mlp_norm"], shape.eps)
        x = x + linear(jax.nn.silu(linear(h, "gate")) * linear(h, "up"), "down")
        return x, jnp.stack((key, value))

    x, new = jax.lax.scan(block, weights["embedding"][ids], (jnp.arange(shape.layers), weights["layers"]))
    return x, new


def log_probs(shape, weights, hidden):
    """[..., vocab], in float32."""
    logits = (norm(hidden, weights["norm"], shape.eps) @ weights["head"].T).astype(jnp.float32)
    return jax.nn.log_softmax(logits[..., :shape.vocab], -1)


def step(shape, weights, pool, job):
    """A pass of one shard over a pool [N, L, 2, Hkv, D]; job: arrays by name as `passes.py` makes them. Slots of rows that are not to be
    kept, or not there, are N: reading there gives a row that is masked, writing is dropped.

    Layers gather from the pool as a whole and rows are its first axis: then XLA changes it in place. With slices of layers, or rows
    further in, it copies the pool in every pass."""
    slots = job["past_slots"]
    gathered = lambda layer: [pool.at[slots, layer, i].get(mode="clip") for i in (0, 1)]
    there = (slots < pool.shape[0])[:, None]
    hidden, new = forward(shape, weights, gathered, job["past_positions"], there, job["ids"], job["positions"], job["sees"], job["gate"])
    asked = jnp.take_along_axis(hidden, job["asked"][..., None], 1)
    told = log_probs(shape, weights, asked)
    top_logprobs, top_ids = jax.lax.top_k(told, TOP)
    sets = jnp.take_along_axis(told, jnp.broadcast_to(jnp.maximum(job["set_ids"], 0)[:, None], told.shape[:2] + job["set_ids"].shape[-1:]), -1)
    answer = {
        "top_ids": top_ids, "top_logprobs": top_logprobs, "entropy": -jnp.sum(jnp.exp(told) * told, -1),
        "set_logprobs": jax.nn.logsumexp(jnp.where(job["set_ids"][:, None] >= 0, sets, -jnp.inf), -1),
        "score_logprobs": jnp.take_along_axis(told, job["score_ids"][..., None], -1)[..., 0],
        "logits": told,  # of use to who wants a distribution: logits up to a constant of their row
    }
    flat = new.reshape(new.shape[:2] + (-1,) + new.shape[4:]).astype(pool.dtype)
    return answer, pool.at[job["keep_slots"]].set(jnp.moveaxis(flat[:, :, job["keep_from"]], 2, 0), mode="drop")


def jitted_step(shape, mesh, with_logits):
    """`step` over the shards: everything has a leading axis S, which lies on the axis `data`. The pool is given away."""
    data = NamedSharding(mesh, PartitionSpec("data"))

    @functools.partial(jax.jit, donate_argnums=1)
    def run(weights, pool, job):
        answer, pool = jax.vmap(functools.partial(step, shape), (None, 0, 0))(weights, pool, job)
        if not with_logits:
            del answer["logits"]
        return answer, jax.lax.with_sharding_constraint(pool, data)

    return run
