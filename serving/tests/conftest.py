"""Eight virtual devices on the processor, and small models with random weights as Hugging Face folders."""
import json
import os
import sys
from pathlib import Path

os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
os.environ["JAX_PLATFORMS"] = "cpu"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import pytest
from safetensors.numpy import save_file

FAMILIES = {
    "llama with adapter": dict(model_type="llama", rank=4, tied=True, attention="causal-context", kv_heads=4),
    "llama, heads that cannot be shared out": dict(model_type="llama", rank=4, tied=True, attention="causal-context", kv_heads=1),
    "llama, extra rows without adapter": dict(model_type="llama", rank=0, tied=True, attention="causal-context", kv_heads=2, extra=True),
    "qwen2": dict(model_type="qwen2", rank=0, tied=False, attention="bidirectional", kv_heads=2),
    "qwen3": dict(model_type="qwen3", rank=0, tied=False, attention="bidirectional", kv_heads=4),
}


def random_folder(folder, model_type, rank, tied, attention, kv_heads, extra=False, seed=1):
    """Vocabulary 96 (ids 0 … 95), end 96, mask 97; the last two are `extra` rows, always where there is an adapter."""
    extra = extra or rank > 0
    draw, base = np.random.default_rng(seed), 96 if extra else 98
    width, heads, head_dim, mlp, layers = 32, 4, 8, 64, 2
    new = lambda *dims: (draw.standard_normal(dims) * dims[-1] ** -0.5).astype(np.float32)
    model, adapter = {"model.embed_tokens.weight": new(base, width) * 6, "model.norm.weight": 1 + 0.1 * new(width)}, {}
    if not tied:
        model["lm_head.weight"] = new(base, width) * 3
    if extra:
        adapter |= {"lm_head.extra.weight": new(1, width) * 6, "model.embed_tokens.extra.weight": new(2, width) * 6}
    sizes = {"self_attn.q_proj": (heads * head_dim, width), "self_attn.k_proj": (kv_heads * head_dim, width), "self_attn.v_proj": (kv_heads * head_dim, width),
             "self_attn.o_proj": (width, heads * head_dim), "mlp.gate_proj": (mlp, width), "mlp.up_proj": (mlp, width), "mlp.down_proj": (width, mlp)}
    for layer in range(layers):
        at = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            model[f"{at}{name}.weight"] = 1 + 0.1 * new(width)
        for name, (rows, columns) in sizes.items():
            model[f"{at}{name}.weight"] = new(rows, columns)
            if model_type == "qwen2" and name[-6] in "qkv":
                model[f"{at}{name}.bias"] = new(rows)
            if rank:
                adapter[f"{at}{name}.lora_A.weight"], adapter[f"{at}{name}.lora_B.weight"] = new(rank, columns), new(rows, rank)
        if model_type == "qwen3":
            model[f"{at}self_attn.q_norm.weight"], model[f"{at}self_attn.k_norm.weight"] = 1 + new(head_dim), 1 + new(head_dim)
    config = dict(model_type=model_type, hidden_size=width, intermediate_size=mlp, num_attention_heads=heads, num_key_value_heads=kv_heads,
                  num_hidden_layers=layers, head_dim=head_dim, max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000,
                  tie_word_embeddings=tied, vocab_size=base,
                  infill=dict(attention=attention, logits_shift=1, mask_token_id=97, end_token_ids=[96], forbidden_token_ids=[0],
                              drafting=dict(distance=24, slots=23, open=5) if extra else None) | (dict(adapter=dict(rank=rank)) if rank else {}))
    folder.mkdir(parents=True)
    save_file(model, folder / "model.safetensors")
    if adapter:
        save_file(adapter, folder / "adapter_model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    return folder


@pytest.fixture(scope="session", params=FAMILIES)
def model(request, tmp_path_factory):
    from lacuna_serving.bundle import load
    return load(random_folder(tmp_path_factory.mktemp("model") / "m", **FAMILIES[request.param]))


@pytest.fixture(scope="session")
def default(tmp_path_factory):
    from lacuna_serving.bundle import load
    return load(random_folder(tmp_path_factory.mktemp("model") / "m", **FAMILIES["llama with adapter"]))
