"""Options of `python -m launcher`."""

import argparse
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import urlsplit

from launcher.exposure.addresses import LOOPBACK, Exposure
from launcher.exposure.ports import Ports, free_ports
from launcher.exposure.tls import Tls
from launcher.host.devices import available_cores
from launcher.options import ServerOptions
from launcher.repository.contract import CHECKOUT, MODEL_REPOSITORY


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m launcher",
        description="Serve a model repository with tritonserver, by default only on loopback.",
        epilog="example: python -m launcher --free-ports -- tribunal moderate 'How to make a bomb?'",
    )
    parser.add_argument("--repository", type=Path, default=MODEL_REPOSITORY, metavar="DIR")
    parser.add_argument("--http-port", type=int, default=Ports.http, metavar="N")
    parser.add_argument("--grpc-port", type=int, default=Ports.grpc, metavar="N")
    parser.add_argument("--metrics-port", type=int, default=Ports.metrics, metavar="N")
    parser.add_argument("--free-ports", action="store_true", help="use three free ports")
    parser.add_argument("--without-judge", action="store_true", help="serve the encoders without the judge")
    parser.add_argument(
        "--instances",
        type=positive,
        default=available_cores(),
        metavar="N",
        help="single-threaded instances of each encoder on a CPU (default: one per core, %(default)s here); "
        "on GPUs each encoder has one instance per GPU",
    )
    parser.add_argument(
        "--config",
        default="auto",
        metavar="NAME",
        help="auto: adapt the configs to this host's GPUs or CPU; tracked: use the tracked ones; tensorrt: "
        "use configs/tensorrt.pbtxt if a model has it (default: %(default)s)",
    )
    parser.add_argument(
        "--triton",
        type=Path,
        metavar="DIR",
        help="folder of a tritonserver, laid out as in NVIDIA's images (default: /opt/tritonserver if it "
        "exists, otherwise the nvidia-pytriton wheel)",
    )
    parser.add_argument(
        "--cache-mib",
        type=int,
        default=0,
        metavar="N",
        help="cache the encoders' answers to repeated texts in so many MiB (default: no cache)",
    )
    parser.add_argument(
        "--trace-url",
        type=trace_url,
        metavar="URL",
        help="send OpenTelemetry spans to this OTLP/HTTP endpoint, such as http://localhost:4318/v1/traces",
    )
    parser.add_argument(
        "--trace-rate", type=positive, default=1, metavar="N", help="trace every Nth request (default: all)"
    )
    parser.add_argument(
        "--log-file",
        type=Path,
        default=CHECKOUT / "build" / "tritonserver.log",
        metavar="FILE",
        help="file of Triton's own log, - for standard error (default: %(default)s)",
    )
    parser.add_argument(
        "--events",
        type=Path,
        metavar="FILE",
        help="append a line of JSON to this file for each restart of tritonserver, and for each model that "
        "is lost or restored (default: none)",
    )
    parser.add_argument(
        "--work-folder",
        type=Path,
        metavar="DIR",
        help="folder for the packed weights and configs of this host; required if the repository is "
        "read-only (default: the repository)",
    )
    parser.add_argument(
        "--manifest-sha256",
        metavar="HEX",
        help="refuse a repository if its manifest has another checksum; files are always checked "
        "against the manifest",
    )
    parser.add_argument(
        "--verify",
        choices=["quick", "full"],
        default="quick",
        help="full: hash every exported file at each start; quick: at later starts hash only files with a "
        "changed size or modification time (default: %(default)s)",
    )
    parser.add_argument(
        "--start-timeout",
        type=float,
        default=120.0,
        metavar="S",
        help="maximum seconds for loading the models",
    )
    network = parser.add_argument_group("network")
    network.add_argument(
        "--address",
        type=IPv4Address,
        default=LOOPBACK,
        metavar="IP",
        help="address for gRPC; beyond loopback it needs TLS, and HTTP and the metrics stay on loopback "
        "(default: %(default)s)",
    )
    network.add_argument(
        "--expose",
        action="store_true",
        help="also open HTTP and the metrics at --address, and allow gRPC without TLS; use it only if a "
        "proxy or a container's network protects that address",
    )
    network.add_argument("--tls-certificate", type=Path, metavar="PEM", help="TLS for gRPC")
    network.add_argument("--tls-key", type=Path, metavar="PEM", help="key of that certificate")
    network.add_argument(
        "--tls-client-ca",
        type=Path,
        metavar="PEM",
        help="require client certificates signed by this CA",
    )
    parser.add_argument(
        "command",
        nargs="*",
        metavar="COMMAND",
        help="after `--`: a command to run with TRIBUNAL_URL set; the launcher exits with its status",
    )
    options = parser.parse_args(arguments)
    if bool(options.tls_certificate) != bool(options.tls_key):
        parser.error("give --tls-certificate and --tls-key together")
    if options.tls_client_ca and not options.tls_certificate:
        parser.error("--tls-client-ca needs --tls-certificate and --tls-key")
    return options


def server_options(arguments: argparse.Namespace) -> ServerOptions:
    """Server options of the command line; raises StartError for an unprotected address."""
    ports = Ports(http=arguments.http_port, grpc=arguments.grpc_port, metrics=arguments.metrics_port)
    return ServerOptions(
        arguments.repository,
        None if arguments.log_file == Path("-") else arguments.log_file,
        ports=free_ports() if arguments.free_ports else ports,
        exposure=exposure_of(arguments),
        work_folder=arguments.work_folder,
        manifest_sha256=arguments.manifest_sha256,
        verify=arguments.verify,
        start_timeout_s=arguments.start_timeout,
        judge=not arguments.without_judge,
        instances=arguments.instances,
        config=arguments.config,
        triton=arguments.triton,
        cache_mib=arguments.cache_mib,
        trace_url=arguments.trace_url,
        trace_rate=arguments.trace_rate,
    )


def exposure_of(arguments: argparse.Namespace) -> Exposure:
    """The addresses and TLS of the command line; raises StartError for an unprotected address."""
    certificate, key, client_ca = arguments.tls_certificate, arguments.tls_key, arguments.tls_client_ca
    tls = Tls(certificate, key, client_ca) if certificate else None
    return Exposure(arguments.address, arguments.expose, tls)


def positive(number: str) -> int:
    """Parse a whole number of at least 1; raises ValueError."""
    if int(number) < 1:
        raise ValueError(number)
    return int(number)


def trace_url(text: str) -> str:
    """Parse the address of an OTLP/HTTP endpoint, which must have a path, or spans are lost."""
    address = urlsplit(text)
    if address.scheme not in ("http", "https") or not address.netloc or address.path in ("", "/"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a URL such as http://localhost:4318/v1/traces")
    return text
