"""Writes families.json: what the public modelling code says of small random models in the layout of each public family.

    python test/oracle/makeFamilies.py --coda DIR --dllm DIR

DIR are check-outs of the public repositories SalesforceAIResearch/CoDA (CoDALanguageModel/modeling_coda.py is run) and
ZHZisZZ/dllm (dllm/pipelines/{a2d,dream,llada}/models/**/modeling_*.py are run); Llama, Qwen2 and Qwen3 are those of the
installed transformers. Nothing of that code is copied here: what is not found is said, and nothing is written.

Weights come from counterWeights.py and are not stored. A model stored in F16 or BF16 is rounded to that before the pass.

families.json: one line of facts that hold for all, then one line per model with
- `config`, its config.json, and `facts`, what no config.json says; `tensors`, names and dims as the code itself has them;
- `checksum` of all weights as float32, before rounding; `storage` and `shards`, how the test must store them;
then one line per case with its `sequences`, each `prefix` · `canvas` · `suffix` rows, after `pad` rows of padding:
- `ids` are counterIds(seed, 'ids', rows, 500) with the mask at each canvas row whose number is no multiple of 3;
- row 0 after the padding stands at `firstPosition`;
- `window`, rows that are to be computed alone too, with keys and values of all others from a whole pass: all the same;
- who sees whom is the model's `facts.attention`: everyone everyone, or (causal-context) prefix and suffix rows
  causally among themselves and canvas rows everyone. Nobody sees padding;
- `rows`, of some rows (counted without the padding): `top`, the 8 best ids, best first, their `logits`, `lse`, the log of
  the sum of all exponentials, and `sampled`, the logits of the header's `sampledIds`.
"""
import argparse
import hashlib
import importlib
import importlib.metadata
import json
import math
import sys
import types
from pathlib import Path

import torch
import transformers

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import counterWeights as counter  # noqa: E402

VOCAB, PLAIN_IDS, END_ID, MASK_ID, TOP, SAMPLES, DIGITS = 512, 500, 510, 511, 8, 256, 7

CASES = [  # window: rows of the second pass, the others being past; `rows` are asked
    {"name": "past 0", "sequences": [{"prefix": 6, "canvas": 12, "suffix": 6, "rows": [5, 6, 11, 17]}]},
    {"name": "past 300, window from mid-canvas",
     "sequences": [{"prefix": 300, "canvas": 16, "suffix": 24, "rows": [305, 309, 315]}], "window": [305, 317]},
    {"name": "batch of two, one padded",
     "sequences": [{"prefix": 5, "canvas": 9, "suffix": 6, "rows": [5, 13]},
                   {"prefix": 3, "canvas": 6, "suffix": 4, "pad": 7, "rows": [2, 8]}]},
    {"name": "far from the start", "sequences": [{"prefix": 12, "canvas": 8, "suffix": 6, "rows": [12, 19],
                                                  "firstPosition": 30000}]},  # or as far as the model's positions go
]

LLAMA = {"model_type": "llama", "vocab_size": VOCAB, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False}
QWEN2 = {"model_type": "qwen2", "vocab_size": VOCAB, "hidden_act": "silu", "rope_theta": 1000000.0, "rms_norm_eps": 1e-6,
         "max_position_embeddings": 32768, "use_sliding_window": False, "sliding_window": 32768, "max_window_layers": 21}
QWEN3 = {"model_type": "qwen3", "vocab_size": VOCAB, "hidden_act": "silu", "rope_theta": 1000000, "rms_norm_eps": 1e-6,
         "max_position_embeddings": 40960, "use_sliding_window": False, "sliding_window": None, "max_window_layers": 28,
         "attention_bias": False, "rope_scaling": None}


def sizes(width, heads, kv_heads, mlp, layers=2, **more):
    return {"hidden_size": width, "num_attention_heads": heads, "num_key_value_heads": kv_heads, "intermediate_size": mlp,
            "num_hidden_layers": layers, **more}


MODELS = [
    {"name": "llama-smollm2", "of": "SmolLM2-135M", "code": "llama", "attention": "causal-context", "shift": 1,
     "config": {**LLAMA, **sizes(192, 9, 3, 352, head_dim=64, layers=4), "rms_norm_eps": 1e-5, "rope_theta": 100000,
                "rope_scaling": None, "max_position_embeddings": 8192, "tie_word_embeddings": True}},
    {"name": "llama-3.2", "of": "Llama-3.2-1B", "code": "llama", "attention": "causal-context", "shift": 1, "storage": "F16",
     "config": {**LLAMA, **sizes(256, 8, 2, 320, head_dim=64), "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
                "max_position_embeddings": 131072, "tie_word_embeddings": True,
                "rope_scaling": {"factor": 32.0, "high_freq_factor": 4.0, "low_freq_factor": 1.0,
                                 "original_max_position_embeddings": 8192, "rope_type": "llama3"}}},
    {"name": "llama-linear", "of": "deepseek-coder-1.3b", "code": "llama", "attention": "causal-context", "shift": 1,
     "config": {**LLAMA, **sizes(256, 2, 2, 320), "rms_norm_eps": 1e-6, "rope_theta": 100000,
                "max_position_embeddings": 16384, "tie_word_embeddings": False,
                "rope_scaling": {"factor": 4.0, "type": "linear"}}},
    {"name": "llama-biases", "of": "no public model, but what Llama's configuration allows", "code": "llama",
     "attention": "bidirectional", "shift": 0,
     "config": {**LLAMA, **sizes(256, 4, 2, 320), "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "attention_bias": True,
                "mlp_bias": True, "max_position_embeddings": 4096, "tie_word_embeddings": False}},
    {"name": "qwen2-0.5b", "of": "Qwen2.5-Coder-0.5B", "code": "qwen2", "attention": "causal-context", "shift": 1,
     "config": {**QWEN2, **sizes(896, 14, 2, 256), "tie_word_embeddings": True}},
    {"name": "qwen2-full-mask", "of": "Open-dCoder-0.5B, for which transformers' Qwen2 with a full mask stands in",
     "code": "qwen2", "attention": "bidirectional", "shift": 1,
     "config": {**QWEN2, **sizes(448, 7, 1, 256), "tie_word_embeddings": True}},
    {"name": "qwen2-yarn", "of": "Qwen2.5-Coder-7B with its long-context setting", "code": "qwen2",
     "attention": "bidirectional", "shift": 1,
     "config": {**QWEN2, **sizes(896, 7, 1, 256), "tie_word_embeddings": False,
                "rope_scaling": {"factor": 4.0, "original_max_position_embeddings": 32768, "type": "yarn"}}},
    {"name": "a2d-qwen2", "of": "dllm-hub Qwen2.5-Coder-0.5B mdlm", "code": "a2d-qwen2", "attention": "bidirectional",
     "shift": 0, "config": {**QWEN2, **sizes(448, 7, 1, 256), "model_type": "a2d-qwen2", "tie_word_embeddings": True}},
    {"name": "dream", "of": "Dream-Coder-7B; DreamOn-7B and DiffuCoder-7B run the same code", "code": "dream",
     "attention": "bidirectional", "shift": 1, "storage": "BF16", "shards": 3,
     "config": {**QWEN2, **sizes(896, 7, 1, 256), "model_type": "Dream", "max_position_embeddings": 131072,
                "rope_scaling": None, "sliding_window": None, "max_window_layers": 28, "tie_word_embeddings": False,
                "mask_token_id": MASK_ID, "pad_token_id": END_ID}},
    {"name": "qwen3-untied", "of": "Qwen3-8B", "code": "qwen3", "attention": "causal-context", "shift": 1,
     "config": {**QWEN3, **sizes(256, 4, 1, 320, head_dim=128), "tie_word_embeddings": False}},
    {"name": "a2d-qwen3", "of": "dllm-hub Qwen3-0.6B mdlm", "code": "a2d-qwen3", "attention": "bidirectional", "shift": 0,
     "config": {**QWEN3, **sizes(256, 4, 2, 320, head_dim=128), "model_type": "a2d-qwen3", "tie_word_embeddings": True}},
    {"name": "coda", "of": "CoDA-1.7B", "code": "coda", "attention": "bidirectional", "shift": 1,
     "config": {**QWEN3, **sizes(512, 4, 2, 320, head_dim=128), "model_type": "CoDA", "rms_norm_eps": 1e-6,
                "attention_kernel": "flash_attention", "mask_token_id": MASK_ID, "pad_token_id": END_ID}},
    {"name": "llada", "of": "LLaDA-8B", "code": "llada", "attention": "bidirectional", "shift": 0,
     "config": {"model_type": "llada", "activation_type": "silu", "alibi": False, "attention_dropout": 0.0,
                "attention_layer_norm": False, "attention_layer_norm_with_affine": True, "bias_for_layer_norm": False,
                "block_group_size": 1, "block_type": "llama", "d_model": 512, "embedding_dropout": 0.0,
                "embedding_size": VOCAB, "eos_token_id": END_ID, "flash_attention": False, "include_bias": False,
                "include_qkv_bias": False, "input_emb_norm": False, "layer_norm_type": "rms",
                "layer_norm_with_affine": True, "mask_token_id": MASK_ID, "max_sequence_length": 4096,
                "mlp_hidden_size": 384, "mlp_ratio": 4, "multi_query_attention": None, "n_heads": 4, "n_kv_heads": 4,
                "n_layers": 2, "pad_token_id": END_ID, "residual_dropout": 0.0, "rms_norm_eps": 1e-5, "rope": True,
                "rope_full_precision": True, "rope_theta": 500000.0, "scale_logits": False, "vocab_size": VOCAB,
                "weight_tying": False}},
]


def main():
    parser = argparse.ArgumentParser(description="Write test/oracle/families.json.")
    parser.add_argument("--coda", type=Path, required=True, metavar="DIR", help="check-out of SalesforceAIResearch/CoDA")
    parser.add_argument("--dllm", type=Path, required=True, metavar="DIR", help="check-out of ZHZisZZ/dllm")
    arguments = parser.parse_args()
    counter.check_pinned()
    torch.set_num_threads(1)  # the order of sums, and so the last digits, may depend on it
    codes = load_codes(arguments.coda / "CoDALanguageModel", arguments.dllm / "dllm" / "pipelines")
    ran = {"/".join(Path(module.__file__).parts[-3:]): hashlib.sha256(Path(module.__file__).read_bytes()).hexdigest()[:16]
           for name, module in sorted(sys.modules.items()) if name.startswith(PUBLIC) and hasattr(module, "__file__")}

    sampled = counter.chosen_ids(1, "sampled", SAMPLES, VOCAB)
    header = {
        "generator": "test/oracle/makeFamilies.py",
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "numpy")},
        "ran": ran,  # files of the check-outs, with the first digits of their sha256
        "precision": f"float32, one thread; {DIGITS} significant digits are kept",
        "plainIds": PLAIN_IDS, "maskId": MASK_ID, "sampledIds": sampled.tolist(),
        "someIds": counter.token_ids(1, "ids", 24, PLAIN_IDS).tolist(),
    }
    models, cases = [], []
    for seed, spec in enumerate(MODELS, 1):
        run = codes[spec["code"]]
        network, line = make_model(spec, seed, run)
        models.append(compact(line))
        for number, case in enumerate(CASES):
            if case["sequences"][0].get("firstPosition") and not run.takes_positions:
                continue
            answer = answer_case(spec, run, network, case, 100 * seed + 10 * number, sampled)
            cases.append(compact(answer))
        print(f"{spec['name']}: {len(line['tensors'])} tensors, largest logit "
              f"{max(max(map(abs, row['sampled'])) for s in answer['sequences'] for row in s['rows'])}", flush=True)
    text = ('{"header":' + compact(header) + ',\n"models":[\n' + ",\n".join(models) + '\n],\n"cases":[\n'
            + ",\n".join(cases) + "\n]}\n")
    (HERE / "families.json").write_text(text, encoding="utf-8")
    print(f"families.json: {len(text.encode())} bytes")


def make_model(spec, seed, run):
    """The network with its weights, and its line of families.json."""
    network = run.build(spec["config"]).float().eval()
    tensors = network.state_dict()
    tied = spec["config"].get("tie_word_embeddings") and network.get_output_embeddings() is not None
    stored = [name for name in tensors if not (tied and name == "lm_head.weight")]
    storage = spec.get("storage", "F32")
    total, rounded = 0, {}
    for name in stored:
        values = counter.weight(seed, name, tuple(tensors[name].shape))
        total = (total + counter.checksum(values)) % 2**32
        values = torch.from_numpy(values)
        rounded[name] = {"F32": values, "F16": values.half().float(), "BF16": values.bfloat16().float()}[storage]
    if tied:
        rounded["lm_head.weight"] = rounded["model.embed_tokens.weight"]
    network.load_state_dict(rounded, strict=True)
    facts = {"attention": spec["attention"], "logits_shift": spec["shift"], "mask_token_id": MASK_ID,
             "end_token_ids": [END_ID], "length_mode": "end-token"}
    return network, {
        "name": spec["name"], "of": spec["of"], "code": run.name, "seed": seed, "storage": storage,
        "shards": spec.get("shards", 1), "facts": facts, "config": spec["config"], "checksum": total,
        "tensors": [[name, list(tensors[name].shape)] for name in stored],
    }


@torch.no_grad()
def answer_case(spec, run, network, case, seed, sampled):
    sequences, batch = [], []
    for i, given in enumerate(case["sequences"]):
        one = {"seed": seed + i, "pad": 0, "firstPosition": 0, **given}
        if one["firstPosition"]:
            one["firstPosition"] = min(one["firstPosition"], spec["config"]["max_position_embeddings"] - 32)
        if run.counts_padding:
            one["firstPosition"] += one["pad"]
        count = one["prefix"] + one["canvas"] + one["suffix"]
        ids = counter.token_ids(one["seed"], "ids", count, PLAIN_IDS)
        for slot in range(one["canvas"]):
            if slot % 3:
                ids[one["prefix"] + slot] = MASK_ID
        sequences.append(one)
        batch.append({**one, "ids": ids.tolist()})
    logits = run.forward(network, batch, spec["attention"])  # [B, padding + rows, VOCAB]
    for b, one in enumerate(sequences):
        one["rows"] = [describe(row, logits[b, one["pad"] + row], sampled) for row in one["rows"]]
    return {"model": spec["name"], "name": case["name"], "window": case.get("window"), "sequences": sequences}


def describe(row, logits, sampled):
    best = logits.topk(TOP)
    return {"row": row, "top": best.indices.tolist(), "logits": shortened(best.values),
            "lse": shortened(logits.double().logsumexp(-1)), "sampled": shortened(logits[torch.from_numpy(sampled)])}


def inputs(batch):
    """ids, positions [B, N] and seen [B, N], false where there is padding."""
    ids = torch.tensor([[0] * s["pad"] + s["ids"] for s in batch])
    positions = torch.tensor([[0] * s["pad"] + [s["firstPosition"] + i for i in range(len(s["ids"]))] for s in batch])
    seen = torch.tensor([[False] * s["pad"] + [True] * len(s["ids"]) for s in batch])
    return ids, positions, seen


def who_sees_whom(batch, attention):
    """[B, N, N], true where the row sees the column."""
    _, _, seen = inputs(batch)
    mask = seen[:, None, :].repeat(1, seen.shape[1], 1)
    if attention == "bidirectional":
        return mask
    for b, s in enumerate(batch):
        start, end, last = s["pad"], s["pad"] + s["prefix"], s["pad"] + s["prefix"] + s["canvas"]
        for piece in (range(start, end), range(last, mask.shape[1])):
            for row in piece:
                mask[b, row, :] = False
                mask[b, row, piece.start : row + 1] = True
    return mask


class FromTransformers:
    """A class of the installed transformers, told by a four-dimensional mask who sees whom."""

    takes_positions = True
    counts_padding = False

    def __init__(self, family):
        self.config_class = getattr(transformers, f"{family}Config")
        self.model_class = getattr(transformers, f"{family}ForCausalLM")
        self.name = f"transformers {family}ForCausalLM"

    def build(self, config):
        return self.model_class._from_config(self.config_class(**config), attn_implementation="eager")

    def forward(self, network, batch, attention):
        ids, positions, _ = inputs(batch)
        mask = who_sees_whom(batch, attention)[:, None]
        bias = torch.zeros(mask.shape).masked_fill(~mask, torch.finfo(torch.float32).min)
        return network(input_ids=ids, position_ids=positions, attention_mask=bias, use_cache=False).logits


class FromA2D(FromTransformers):
    """dllm's bidirectional Qwen: the plain mask of a tokenizer, or none."""

    def __init__(self, module, family):
        self.config_class, self.model_class = getattr(module, f"A2D{family}Config"), getattr(module, f"A2D{family}LMHeadModel")
        self.name = f"dllm a2d A2D{family}LMHeadModel"

    def forward(self, network, batch, attention):
        ids, positions, seen = inputs(batch)
        mask = None if seen.all() else seen.long()
        return network(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits


class FromDream:
    takes_positions = True
    counts_padding = False
    name = "dllm's copy of Dream's DreamModel"

    def __init__(self, module, config_module):
        self.module, self.config_module = module, config_module

    def build(self, config):
        return self.module.DreamModel(self.config_module.DreamConfig(**config))

    def forward(self, network, batch, attention):
        ids, positions, seen = inputs(batch)
        # One row for all: with Dream's own [B, N] mask a row of padding sees nothing, and its NaN spreads.
        mask = "full" if seen.all() else seen[:, None, None, :]
        return network(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits


class FromCoDA:
    """CoDA's code takes no mask and no positions outside training, so each sequence runs alone, from position 0 on."""

    takes_positions = False
    counts_padding = False
    name = "CoDA CoDALanguageModel, each sequence alone, attention kernel: PyTorch's math"

    def __init__(self, module, config_module):
        self.module, self.config_module = module, config_module

    def build(self, config):
        own = {"attention_kernel": "math", "attn_implementation": "eager"}  # the second only satisfies transformers
        return self.module.CoDALanguageModel(self.config_module.CoDAConfig(**{**config, **own}))

    def forward(self, network, batch, attention):
        alone = [network(input_ids=torch.tensor([s["ids"]]))[0][0] for s in batch]
        return torch.stack([torch.cat((torch.zeros(s["pad"], VOCAB), rows)) for s, rows in zip(batch, alone)])


class FromLLaDA:
    takes_positions = False
    counts_padding = True
    name = "dllm's copy of LLaDA's LLaDAModelLM"

    def __init__(self, module, config_module):
        self.module, self.config_module = module, config_module

    def build(self, config):
        config = self.config_module.LLaDAConfig(**config)
        sizes = self.module.create_model_config_from_pretrained_config(config)
        sizes.init_device = "cpu"
        # The model inside is given: LLaDAModelLM would make it on a GPU.
        return self.module.LLaDAModelLM(config, model=self.module.LLaDAModel(sizes, init_params=False))

    def forward(self, network, batch, attention):
        ids, _, seen = inputs(batch)
        return network(input_ids=ids, attention_mask=None if seen.all() else seen.long(), use_cache=False).logits


PUBLIC = "public_"  # first letters of the packages that check-outs become


def load_codes(coda, pipelines):
    dream, llada = pipelines / "dream" / "models", pipelines / "llada" / "models"
    return {
        "llama": FromTransformers("Llama"),
        "qwen2": FromTransformers("Qwen2"),
        "qwen3": FromTransformers("Qwen3"),
        "a2d-qwen2": FromA2D(import_file(pipelines / "a2d" / "models" / "qwen2", "modeling_qwen2"), "Qwen2"),
        "a2d-qwen3": FromA2D(import_file(pipelines / "a2d" / "models" / "qwen3", "modeling_qwen3"), "Qwen3"),
        "dream": FromDream(import_file(dream, "modeling_dream"), import_file(dream, "configuration_dream")),
        "coda": FromCoDA(import_file(coda, "modeling_coda"), import_file(coda, "model_config")),
        "llada": FromLLaDA(import_file(llada, "modeling_llada"), import_file(llada, "configuration_llada")),
    }


def import_file(folder, name):
    """A file of a check-out, whose folder is made a package so that its relative imports work; nothing else of it runs."""
    if not (folder / f"{name}.py").is_file():
        sys.exit(f"makeFamilies.py: {folder / name}.py: no such file; give the check-out that holds it (--help)")
    package = PUBLIC + "_".join(folder.parts[-3:]).replace("-", "_")
    if package not in sys.modules:
        sys.modules[package] = types.ModuleType(package)
        sys.modules[package].__path__ = [str(folder)]
    return importlib.import_module(f"{package}.{name}")


def shortened(t):
    """Floats with DIGITS significant digits: one number for a scalar, a list for a row."""
    short = lambda v: float(f"{v:.{DIGITS}g}") + 0.0
    values = t.tolist()
    values = [short(v) for v in values] if isinstance(values, list) else short(values)
    assert all(map(math.isfinite, values if isinstance(values, list) else [values])), "a logit is not finite"
    return values


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


if __name__ == "__main__":
    main()
