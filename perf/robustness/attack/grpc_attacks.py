"""Malformed or hostile gRPC calls in Triton's protocol."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tritonclient.grpc import service_pb2

from perf.robustness.attack.attack_texts import (
    DATATYPES,
    MODELS,
    absurd_shape,
    any_size_text,
    log_uniform,
    mutated,
    short_text,
    text_of_bytes,
)

SERVICE = "/inference.GRPCInferenceService/"
INFER, STREAM_INFER = SERVICE + "ModelInfer", SERVICE + "ModelStreamInfer"
METHODS: tuple[str, ...] = tuple(
    method.name for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods
)
NEVER = b"never"
# Wire types of protobuf: a length-delimited field, and the start of a group.
LENGTH_DELIMITED, GROUP = 2, 3


@dataclass(frozen=True)
class GrpcAttack:
    """One call with raw messages.

    method: its HTTP/2 path.
    is_stream: a bidirectional stream; otherwise a unary call.
    is_half_open: the sender does not close the stream and disconnects soon after.
    """

    kind: str
    method: str
    messages: tuple[bytes, ...]
    metadata: tuple[tuple[str, str | bytes], ...] = ()
    is_stream: bool = False
    is_half_open: bool = False

    @property
    def protocol(self) -> str:
        """The port's name in the report."""
        return "gRPC"

    def __str__(self) -> str:
        sizes = [len(message) for message in self.messages]
        shown = self.messages[0][:400] if self.messages else b""
        return (
            f"{self.kind}: {self.method}, messages of {sizes} bytes, {shown!r}, {len(self.metadata)} headers"
        )


def strings(*values: bytes) -> bytes:
    """Raw contents of a BYTES tensor: each value after its length in 4 bytes."""
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


def moderation_request(*texts: bytes) -> Any:
    """A ModelInferRequest for the verdicts of `texts`, without the judge."""
    request = service_pb2.ModelInferRequest(model_name="moderation")
    for name, values in (("text", texts), ("judge", [NEVER] * len(texts))):
        request.inputs.add(name=name, datatype="BYTES", shape=[len(texts), 1])
        request.raw_input_contents.append(strings(*values))
    request.outputs.add(name="verdict")
    return request


def valid_request(rng: random.Random, texts: int = 1) -> Any:
    """A ModelInferRequest for the verdicts of a number of texts."""
    return moderation_request(*(any_size_text(rng).encode() for _ in range(texts)))


def infer(kind: str, request: Any) -> GrpcAttack:
    """A call of ModelInfer with the request."""
    return GrpcAttack(kind, INFER, (request.SerializeToString(),))


def declared_shape(rng: random.Random) -> GrpcAttack:
    """A tensor whose shape does not fit its data."""
    request = valid_request(rng)
    shape = absurd_shape(rng)
    rng.choice(request.inputs).shape[:] = [max(-(2**63), min(2**63 - 1, size)) for size in shape]
    return infer("declared shape", request)


def classification(rng: random.Random) -> GrpcAttack:
    """A request for an output as a classification; for BYTES, this crashed Triton 24.10."""
    request = valid_request(rng)
    output = request.outputs[0]
    output.name = rng.choice(("verdict", "flagged", "category_scores", "toxicity_score", "rejection_score"))
    output.parameters["classification"].int64_param = rng.choice((1, 2, 14, 0, -1, 2**31, 2**63 - 1))
    return infer("classification", request)


def direct_request(rng: random.Random) -> GrpcAttack:
    """A request to any model, with known input names but absurd shapes and types."""
    request = service_pb2.ModelInferRequest(model_name=rng.choice(MODELS))
    names = ("input_ids", "attention_mask", "text", "judge", "text_input", "explain")
    for name in rng.sample(names, rng.randint(0, 4)):
        shape = rng.choice((absurd_shape(rng), [1, 1], [1, 1, 1], [1, 1, 8]))
        shape = [max(-(2**63), min(2**63 - 1, size)) for size in shape]
        request.inputs.add(name=name, datatype=rng.choice(DATATYPES), shape=shape)
        contents = (strings(short_text(rng).encode()), bytes(8), bytes(64), b"", rng.randbytes(100))
        request.raw_input_contents.append(rng.choice(contents))
    return infer("direct request to a model", request)


def wrong_datatype(rng: random.Random) -> GrpcAttack:
    """An input of a wrong datatype, as raw or as typed contents."""
    request = valid_request(rng)
    tensor = rng.choice(request.inputs)
    tensor.datatype = rng.choice(DATATYPES)
    if rng.random() < 0.5:
        del request.raw_input_contents[:]
        contents = rng.choice(
            ({"int64_contents": [1]}, {"fp32_contents": [1.5] * 9}, {"bytes_contents": [b"x"] * 3}, {})
        )
        tensor.contents.MergeFrom(service_pb2.InferTensorContents(**contents))
    return infer("wrong datatype", request)


def lying_contents(rng: random.Random) -> GrpcAttack:
    """Raw contents whose lengths or number do not fit the inputs."""
    request = valid_request(rng)
    text = short_text(rng).encode()
    length = rng.choice((0, 1, len(text) + 1, 2**31, 2**32 - 1)).to_bytes(4, "little")
    request.raw_input_contents[0] = length + text
    draw = rng.randrange(4)
    if draw == 0:
        request.raw_input_contents.append(text)
    elif draw == 1:
        del request.raw_input_contents[1:]
    elif draw == 2:
        request.inputs[0].contents.bytes_contents.append(text)
    return infer("lying lengths", request)


def invalid_utf8(rng: random.Random) -> GrpcAttack:
    """A text or a model name that is not UTF-8."""
    broken = rng.choice((b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"\xf5\x80\x80\x80"))
    message = moderation_request(broken * rng.randint(1, 50)).SerializeToString()
    if rng.random() < 0.5:
        message = message.replace(b"moderation", b"moderati" + b"\xff\xfe")
    return GrpcAttack("invalid UTF-8", INFER, (message,))


def too_much(rng: random.Random) -> GrpcAttack:
    """More texts than a batch holds, a text beyond the limit, no text, or thousands of inputs."""
    draw = rng.randrange(4)
    if draw == 0:
        request = moderation_request(*[b"a"] * log_uniform(rng, 65, 50_000))
    elif draw == 1:
        size_bytes = log_uniform(rng, 65_537, 40_000_000)
        request = moderation_request(text_of_bytes(rng, size_bytes).encode())
    elif draw == 2:
        request = moderation_request()
    else:
        request = valid_request(rng)
        for _ in range(log_uniform(rng, 2, 10_000)):
            request.inputs.add(name="text", datatype="BYTES", shape=[1, 1])
    return infer("more than the limits", request)


def parameters(rng: random.Random) -> GrpcAttack:
    """Parameters that Triton reads: sequences, priorities, timeouts, shared memory."""
    request = valid_request(rng)
    name = rng.choice(
        (
            *("sequence_id", "sequence_start", "priority", "timeout", "binary_data_output", "triton_x"),
            *(
                "shared_memory_region",
                "shared_memory_byte_size",
                "headers",
                "triton_enable_empty_final_response",
            ),
        )
    )
    target = rng.choice((request, request.inputs[0], request.outputs[0]))
    value = rng.choice(
        (
            {"int64_param": rng.choice((0, 1, -1, 2**62))},
            {"string_param": rng.choice(("", "x", "../../dev/shm/x"))},
            {"bool_param": True},
            {"double_param": float("nan")},
        )
    )
    target.parameters[name].MergeFrom(service_pb2.InferParameter(**value))
    return infer("parameters", request)


def nested_groups(rng: random.Random) -> GrpcAttack:
    """A message of unknown groups or length-delimited fields, nested up to 100,000 deep."""
    depth = log_uniform(rng, 10, 100_000)
    field = rng.choice((3, 5, 9, 15))
    return GrpcAttack("nested protobuf", INFER, (bytes([field << 3 | GROUP]) * depth,))


def broken_message(rng: random.Random) -> GrpcAttack:
    """A truncated message, a valid message with random changes, or random bytes."""
    valid = valid_request(rng).SerializeToString()
    message = rng.choice(
        (
            valid[: rng.randrange(len(valid))],
            mutated(rng, valid),
            mutated(rng, valid),
            rng.randbytes(log_uniform(rng, 1, 10_000)),
            bytes([1 << 3 | LENGTH_DELIMITED]) + b"\xff\xff\xff\xff\x0f",
        )
    )
    return GrpcAttack("broken protobuf", INFER, (message,))


def other_method(rng: random.Random) -> GrpcAttack:
    """A method for operators, or a method that does not exist."""
    path = rng.choice(
        (
            SERVICE + rng.choice(METHODS),
            SERVICE + rng.choice(METHODS),
            *(
                SERVICE + "Nothing",
                SERVICE,
                "/",
                "/grpc.health.v1.Health/Check",
                "/inference.Other/ModelInfer",
            ),
            *("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "/" + "a" * 5000),
        )
    )
    messages = (
        b"",
        service_pb2.RepositoryModelUnloadRequest(model_name=rng.choice(MODELS)).SerializeToString(),
        service_pb2.SystemSharedMemoryRegisterRequest(name="x", key="/x", byte_size=64).SerializeToString(),
        service_pb2.ModelConfigRequest(name=rng.choice(MODELS)).SerializeToString(),
        rng.randbytes(50),
    )
    return GrpcAttack("other methods", path, (rng.choice(messages),))


def huge_metadata(rng: random.Random) -> GrpcAttack:
    """A header of up to 100 kB, or thousands of them."""
    if rng.random() < 0.5:
        metadata: tuple[tuple[str, str | bytes], ...] = (("x-long", "a" * log_uniform(rng, 1000, 100_000)),)
    else:
        metadata = tuple((f"x-{number}-bin", b"\xff") for number in range(log_uniform(rng, 10, 3000)))
    return GrpcAttack("huge metadata", INFER, (valid_request(rng).SerializeToString(),), metadata)


def stream(rng: random.Random) -> GrpcAttack:
    """A stream with valid and broken messages, an empty stream, or a half-open one."""
    valid = valid_request(rng).SerializeToString()
    judge = service_pb2.ModelInferRequest(model_name="judge")
    judge.inputs.add(name="text", datatype="BYTES", shape=[1])
    judge.inputs.add(name="stream", datatype="BOOL", shape=[1])
    judge.raw_input_contents.extend([strings(short_text(rng).encode()), b"\x01"])
    messages = rng.choices(
        (valid, mutated(rng, valid), rng.randbytes(30), b"", judge.SerializeToString()), k=rng.randint(0, 6)
    )
    return GrpcAttack(
        "stream", STREAM_INFER, tuple(messages), is_stream=True, is_half_open=rng.random() < 0.5
    )


def valid(rng: random.Random) -> GrpcAttack:
    """A valid request, as a control."""
    return infer("valid request", valid_request(rng, texts=rng.randint(1, 4)))


GRPC_ATTACKS: tuple[Callable[[random.Random], GrpcAttack], ...] = (
    *(declared_shape, classification, direct_request, wrong_datatype, lying_contents, invalid_utf8, too_much),
    *(parameters, nested_groups, broken_message, other_method, huge_metadata, stream, valid),
)
