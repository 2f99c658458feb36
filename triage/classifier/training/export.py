"""From a trained network to the shipped files: ONNX with int8 weights, tokenizer, card of labels.

Matrices are quantised in blocks of 32 to int8 (`MatMulNBits`) and widened inside ONNX Runtime's
kernel; activations stay float32, or are quantised block by block where the processor multiplies
int8 (the reader chooses). The usual dynamic quantisation takes one scale for a whole batch, so that
a reading would depend on what else was in the batch; and it is less exact.
Word embeddings are int8 rows with a scale each.
"""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

from triage.classifier.labels import HEADS
from triage.classifier.training.network import Network

BLOCK = 32
FLOAT32 = 1  # what a MatMulNBits computes in
OPSET = 17
OUTPUTS = [*HEADS, "also", "embedding", "tokens"]


class _Plain(torch.nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        outputs = self.network(ids, mask)
        return tuple(outputs[name] for name in OUTPUTS)


def export(network: Network, tokenizer: Path, folder: Path, card: dict[str, Any]) -> None:
    """Write `model.onnx`, `tokenizer.json` and `model.json` into `folder`; and, as a model of its
    own in `folder`/exact, the same in float32.
    """
    exact = folder / "exact"
    exact.mkdir(parents=True, exist_ok=True)
    _write_exact(network, exact / "model.onnx")
    onnx.save(_quantised(onnx.load(exact / "model.onnx")), folder / "model.onnx")
    for place in (folder, exact):
        shutil.copyfile(tokenizer, place / "tokenizer.json")
        write_card(place, card | {"heads": {name: list(names) for name, names in HEADS.items()}})


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Write `model.json` with the digests of the files beside it."""
    digests = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in ("model.onnx", "tokenizer.json")
    }
    text = json.dumps(card | {"sha256": digests}, indent=1) + "\n"
    (folder / "model.json").write_text(text, encoding="utf-8")


def _write_exact(network: Network, path: Path) -> None:
    """The network as ONNX in float32."""
    ids = torch.ones((2, 8), dtype=torch.int64)
    shape = {0: "batch", 1: "length"}
    axes = {name: {0: "batch"} for name in OUTPUTS} | {"tokens": shape}
    torch.onnx.export(
        _Plain(network.eval()),
        (ids, torch.ones_like(ids)),
        str(path),
        input_names=["ids", "mask"],
        output_names=OUTPUTS,
        dynamic_axes={"ids": shape, "mask": shape, **axes},
        opset_version=OPSET,
        dynamo=False,
    )


def _quantised(model: onnx.ModelProto) -> onnx.ModelProto:
    quantiser = MatMulNBitsQuantizer(
        _matmuls_only(model), bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=FLOAT32
    )
    quantiser.process()
    quantised: onnx.ModelProto = quantiser.model.model
    _shrink_embeddings(quantised)
    return quantised


def _matmuls_only(model: onnx.ModelProto) -> onnx.ModelProto:
    """Gemm with a transposed weight as MatMul and Add, which the quantiser knows."""
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "Gemm" or node.input[1] not in weights:
            nodes.append(node)
            continue
        array = numpy_helper.to_array(weights[node.input[1]])
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        name = f"{node.input[1]}_turned"
        array = np.ascontiguousarray(array.T if turned else array)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
        product = f"{node.output[0]}_product"
        nodes.append(helper.make_node("MatMul", [node.input[0], name], [product]))
        nodes.append(helper.make_node("Add", [product, node.input[2]], list(node.output)))
        model.graph.initializer.remove(weights[node.input[1]])
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model


def _shrink_embeddings(model: onnx.ModelProto) -> None:
    """The word table as int8 rows with a scale each, widened after the look-up."""
    table = max(
        (t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT),
        key=lambda tensor: int(np.prod(tensor.dims)),
    )
    array = numpy_helper.to_array(table)
    scales = (np.abs(array).max(axis=1, keepdims=True) / 127).astype(np.float32)
    rows = np.round(array / scales).astype(np.int8)
    look_up = next(
        n for n in model.graph.node if n.op_type == "Gather" and n.input[0] == table.name
    )
    position = list(model.graph.node).index(look_up)
    ids, output = look_up.input[1], look_up.output[0]
    model.graph.node.remove(look_up)
    new = [
        helper.make_node("Gather", ["words_int8", ids], ["words_found"]),
        helper.make_node("Gather", ["words_scale", ids], ["scale_found"]),
        helper.make_node("Cast", ["words_found"], ["words_wide"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Mul", ["words_wide", "scale_found"], [output]),
    ]
    for offset, node in enumerate(new):
        model.graph.node.insert(position + offset, node)
    model.graph.initializer.remove(table)
    model.graph.initializer.append(numpy_helper.from_array(rows, "words_int8"))
    model.graph.initializer.append(numpy_helper.from_array(scales, "words_scale"))
