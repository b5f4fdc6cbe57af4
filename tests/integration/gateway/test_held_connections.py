"""Connections and calls that stop sending do not block other callers, and the gateway closes them."""

import contextlib
import resource
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from tribunal import Client
from tribunal.gateway.protocols.kserve_grpc import MAX_CALLS_OF_CALLER, SERVICE
from tritonclient.grpc import service_pb2 as messages

from launcher.process.server import TritonServer
from tests.integration.gateway.conftest import RunningGateway, running_gateway, until

HEADS = (
    b"",
    b"POST /v1/verdicts HTTP/1.1\r\nHost: a\r\nX: ",
    b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\nG",
)

# More than the gateway holds of all addresses.
HALF_OPEN = 4500
# gRPC reports such a caller in one of two ways.
CALLERS_THAT_LEAVE = 8
# By default, channels to the same address share a connection.
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)


@pytest.mark.parametrize("head", HEADS, ids=["nothing", "half a head", "half of a second head"])
def test_a_connection_whose_head_does_not_come_is_closed(gateway: RunningGateway, head: bytes) -> None:
    host, port = gateway.http_url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head)
        while connection.recv(4096):
            pass


def test_a_caller_that_leaves_a_stream_is_no_error_of_the_gateway(
    server: TritonServer, tmp_path: Path
) -> None:
    done = threading.Event()
    judged = messages.ModelInferRequest(model_name="judge")
    judged.inputs.add(name="text", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"Hi")

    def one_and_no_more() -> Iterator[bytes]:
        yield judged.SerializeToString()
        done.wait(60)

    with running_gateway(server.grpc_url, tmp_path) as gateway:
        for _ in range(CALLERS_THAT_LEAVE):
            with grpc.insecure_channel(gateway.grpc_url) as channel:
                call = channel.stream_stream(f"{SERVICE}ModelStreamInfer")(one_and_no_more(), timeout=60)
                is_final = False
                while not is_final:
                    answer = messages.ModelStreamInferResponse.FromString(next(call)).infer_response
                    is_final = answer.parameters["triton_final_response"].bool_param
                call.cancel()
        done.set()
        until(lambda: gateway.log.count("gRPC ModelStreamInfer ") == CALLERS_THAT_LEAVE)
    assert "INTERNAL" not in gateway.log
    assert "Traceback" not in gateway.log


def test_calls_without_a_message_keep_nobody_out_and_are_ended(gateway: RunningGateway) -> None:
    done = threading.Event()

    def nothing() -> Iterator[bytes]:
        done.wait(60)
        yield from ()

    with grpc.insecure_channel(gateway.grpc_url) as channel:
        call = channel.stream_unary(f"{SERVICE}ModelInfer")
        try:
            held = [call.future(nothing()) for _ in range(MAX_CALLS_OF_CALLER + 50)]
            with grpc.insecure_channel(gateway.grpc_url, [OWN_CONNECTION]) as other:
                live = other.unary_unary(
                    f"{SERVICE}ServerLive",
                    request_serializer=messages.ServerLiveRequest.SerializeToString,
                    response_deserializer=messages.ServerLiveResponse.FromString,
                )
                assert live(messages.ServerLiveRequest(), timeout=30).live
            assert httpx.get(f"{gateway.http_url}/v2/health/live").status_code == 200
            codes = {future.exception(60).code() for future in held}
            assert grpc.StatusCode.OK not in codes
        finally:
            done.set()
    with Client(gateway.grpc_url) as client:
        client.moderate("Hi", judge="never")


def test_thousands_of_connections_of_one_address_keep_no_other_out(gateway: RunningGateway) -> None:
    host, port = gateway.http_url.removeprefix("http://").split(":")
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        for _ in range(HALF_OPEN):
            connection = stack.enter_context(socket.socket())
            connection.bind(("127.0.0.2", 0))
            connection.setblocking(False)
            connection.connect_ex((host, int(port)))
        for _ in range(10):
            answer = httpx.get(f"{gateway.http_url}/v2/health/live", timeout=10)
            assert answer.status_code == 200
