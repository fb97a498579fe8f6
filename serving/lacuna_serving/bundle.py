"""Weights in float32 and sizes: from a model bundle (`lacuna.json` and `onnx/`) or a Hugging Face folder (`config.json` and
`*.safetensors`). The layout of a bundle's data files is that of `server/model/layout.ts`. Knows nothing of JAX."""
import dataclasses
import hashlib
import json
import pathlib

import numpy as np
from safetensors import safe_open

GROUPS = {"qkv": ("q", "k", "v"), "o": ("o",), "gate_up": ("gate", "up"), "down": ("down",)}
HF_NAMES = {part: f"self_attn.{part}_proj" for part in "qkvo"} | {part: f"mlp.{part}_proj" for part in ("gate", "up", "down")}


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int  # ids the head scores
    input_ids: int  # ids the embedding knows
    rope_theta: float
    eps: float
    qk_norm: bool
    qkv_bias: bool
    tied: bool
    rank: int  # of the adapter, 0 without
    max_positions: int
    mask_id: int
    end_ids: tuple
    forbidden_ids: tuple
    logits_shift: int
    attention: str  # causal-context, bidirectional
    distance: int  # of drafted middles, 0: the suffix follows the canvas
    tokenizer: str  # sha256
    weights: str  # sha256

    def part_rows(self, part):
        kv = self.kv_heads * self.head_dim
        return {"q": self.heads * self.head_dim, "k": kv, "v": kv, "o": self.width, "gate": self.mlp, "up": self.mlp, "down": self.width}[part]

    def columns(self, group):
        return {"o": self.heads * self.head_dim, "down": self.mlp}.get(group, self.width)


def load(folder):
    """(Shape, weights): arrays by name, those of layers stacked over the layers. Raises ValueError for what is not served."""
    folder = pathlib.Path(folder)
    config = json.loads((folder / "config.json").read_text())
    manifest_path = folder / "lacuna.json"
    manifest = json.loads(manifest_path.read_text()) if manifest_path.exists() else None
    shape = _shape(config, manifest, folder)
    weights = _from_bundle(folder, manifest, shape, config) if manifest else _from_safetensors(folder, shape)
    return shape, weights


def _shape(config, manifest, folder):
    if config.get("rope_scaling"):
        raise ValueError(f"{folder}: scaled RoPE is not served; wanted rope_scaling null")
    family = config["model_type"]
    if family not in ("llama", "qwen2", "qwen3"):
        raise ValueError(f"{folder}: model_type {family} is not served; wanted llama, qwen2 or qwen3")
    facts = config.get("infill", {})
    heads, vocab = config["num_attention_heads"], config["vocab_size"]
    adapter = facts.get("adapter") or (manifest or {}).get("adapter")
    say = lambda ours, theirs, default=None: (manifest or {}).get(ours, facts.get(theirs, default))
    mask_id, ends = say("maskId", "mask_token_id"), tuple(say("endIds", "end_token_ids", []))
    if mask_id is None:
        raise ValueError(f"{folder}: nothing says which token is the mask; wanted lacuna.json or infill in config.json")
    columns = (manifest or {}).get("vocab") or max(vocab, max(ends, default=-1) + 1)
    drafting = say("drafting", "drafting") or {}
    digest = hashlib.sha256()
    for file in sorted((manifest or {}).get("files", []), key=lambda file: file["path"]):
        if "onnx_data" in file["path"]:
            digest.update(file["sha256"].encode())
    return Shape(
        name=(manifest or {}).get("name", folder.name), layers=config["num_hidden_layers"], width=config["hidden_size"], heads=heads,
        kv_heads=config.get("num_key_value_heads", heads), head_dim=config.get("head_dim") or config["hidden_size"] // heads,
        mlp=config["intermediate_size"], vocab=columns, input_ids=max(vocab, columns, mask_id + 1),
        rope_theta=float(config.get("rope_theta", 10_000)), eps=config["rms_norm_eps"], qk_norm=family == "qwen3",
        qkv_bias=family == "qwen2" or bool(config.get("attention_bias")), tied=config.get("tie_word_embeddings", False),
        rank=adapter["rank"] if adapter else 0, max_positions=config["max_position_embeddings"], mask_id=mask_id, end_ids=ends,
        forbidden_ids=tuple(say("forbiddenIds", "forbidden_token_ids", [])), logits_shift=say("logitsShift", "logits_shift", 1),
        attention=say("attention", "attention", "causal-context"), distance=drafting.get("distance", 0),
        tokenizer=hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(), weights=digest.hexdigest())


class _DataFiles:
    """Tensors of a bundle in the order they were laid out, each at a multiple of 64 bytes."""

    def __init__(self, folder, names):
        self.files = iter([np.memmap(folder / name, dtype=np.uint8, mode="r") for name in names])
        self.next_file()

    def next_file(self):
        self.data, self.offset = next(self.files), 0

    def take(self, dtype, *dims):
        size = int(np.prod(dims)) * np.dtype(dtype).itemsize
        self.offset = -(-self.offset // 64) * 64
        values = self.data[self.offset:self.offset + size].view(dtype).reshape(dims)
        self.offset += size
        return values

    def matrix(self, storage, rows, columns):
        """[rows, columns] in float32; storage as in lacuna.json, `q8` too for what has eight bits in all of them but f32."""
        if storage == "f32":
            return self.take(np.float32, rows, columns).astype(np.float32)
        blocks = columns // 32
        quants = self.take(np.uint8, rows, blocks, 32 if storage == "q8" else 16)
        scales = self.take(np.float16, rows, blocks).astype(np.float32)[..., None]
        if storage == "q8":
            return ((quants.astype(np.float32) - 128) * scales).reshape(rows, columns)
        levels = np.stack((quants & 15, quants >> 4), -1).reshape(rows, blocks, 32).astype(np.float32)
        if storage == "q4_1":
            minimums = self.take(np.float16, rows, blocks).astype(np.float32)[..., None]
            return (levels * scales + minimums).reshape(rows, columns)
        packed = self.take(np.uint8, rows, -(-blocks // 2))
        zeros = np.stack((packed & 15, packed >> 4), -1).reshape(rows, -1)[:, :blocks, None].astype(np.float32)
        return ((levels - zeros) * scales).reshape(rows, columns)


def _from_bundle(folder, manifest, shape, config):
    graph = next(g for quant in ("f32", "q8", "q4_1", "q4") for g in manifest["graphs"] if g["quant"] == quant)
    storage, files = graph["quant"], _DataFiles(folder, graph["externalData"])
    layers = {}
    put = lambda name, value: layers.setdefault(name, []).append(value)
    floats = lambda *dims: files.take(np.float32, *dims).copy()
    for _ in range(shape.layers):
        put("attention_norm", floats(shape.width))
        put("mlp_norm", floats(shape.width))
        if shape.qk_norm:
            put("q_norm", floats(shape.head_dim))
            put("k_norm", floats(shape.head_dim))
        for group, parts in GROUPS.items():
            rows = [shape.part_rows(part) for part in parts]
            cuts = np.cumsum(rows)[:-1]
            if group == "qkv" and shape.qkv_bias:
                for part, bias in zip(parts, np.split(floats(sum(rows)), cuts)):
                    put(f"{part}.bias", bias)
            for part, matrix in zip(parts, np.split(files.matrix(storage, sum(rows), shape.columns(group)), cuts)):
                put(part, matrix)
    norm = floats(shape.width)
    files.next_file()
    wide, base = "f32" if storage == "f32" else "q8", config["vocab_size"]
    embedding = files.matrix(wide, base, shape.width)
    head = embedding if shape.tied else files.matrix(wide, base, shape.width)
    extra, extra_head = shape.input_ids - base, shape.vocab - base
    half = np.float32 if storage == "f32" else np.float16
    if extra or shape.rank:
        files.next_file()
    if extra:
        embedding = np.concatenate((embedding, files.take(half, extra, shape.width).astype(np.float32)))
    if extra_head:
        head = np.concatenate((head, files.take(half, extra_head, shape.width).astype(np.float32)))
    for _ in range(shape.layers if shape.rank else 0):
        for group, parts in GROUPS.items():
            for part in parts:
                put(f"{part}.A", files.take(half, shape.rank, shape.columns(group)).astype(np.float32))
                put(f"{part}.B", files.take(half, shape.part_rows(part), shape.rank).astype(np.float32))
    return {"embedding": embedding, "head": head, "norm": norm, "layers": {name: np.stack(all) for name, all in layers.items()}}


def _from_safetensors(folder, shape):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="np") as file:
            tensors.update({name: file.get_tensor(name).astype(np.float32) for name in file.keys()})
    layers = {}
    for layer in range(shape.layers):
        at = f"model.layers.{layer}."
        names = {"attention_norm": "input_layernorm.weight", "mlp_norm": "post_attention_layernorm.weight"}
        if shape.qk_norm:
            names |= {"q_norm": "self_attn.q_norm.weight", "k_norm": "self_attn.k_norm.weight"}
        for part, name in HF_NAMES.items():
            names[part] = f"{name}.weight"
            if shape.qkv_bias and part in "qkv":
                names[f"{part}.bias"] = f"{name}.bias"
            if shape.rank:
                names |= {f"{part}.A": f"{name}.lora_A.weight", f"{part}.B": f"{name}.lora_B.weight"}
        for ours, theirs in names.items():
            layers.setdefault(ours, []).append(tensors[at + theirs])
    embedding = tensors["model.embed_tokens.weight"]
    head = embedding if shape.tied else tensors["lm_head.weight"]
    if "model.embed_tokens.extra.weight" in tensors:
        embedding = np.concatenate((embedding, tensors["model.embed_tokens.extra.weight"]))
    if "lm_head.extra.weight" in tensors:
        head = np.concatenate((head, tensors["lm_head.extra.weight"]))
    return {"embedding": embedding, "head": head, "norm": tensors["model.norm.weight"], "layers": {n: np.stack(a) for n, a in layers.items()}}
