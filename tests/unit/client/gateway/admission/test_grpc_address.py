"""The address of a gRPC call's caller, with and without a proxy."""

import pytest
from tribunal.gateway.admission.grpc_address import CallerAddresses

PROXY = "ipv4:10.0.0.1:5000"
FORWARDED = (("user-agent", "grpc"), ("x-forwarded-for", "192.0.2.7"))


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1"),
        ("ipv6:%5B::1%5D:5000", "::1"),
        ("ipv6:[2001:db8::1]:5000", "2001:db8::1"),
    ],
)
def test_the_address_is_that_of_the_peer_without_its_port(peer: str, address: str) -> None:
    assert CallerAddresses("10.0.0.1").of(peer, FORWARDED) == address


@pytest.mark.parametrize("trusted", ["10.0.0.1", "10.0.0.0/8", "*", ["192.168.0.1", "10.0.0.1"]])
def test_a_trusted_proxy_names_its_caller(trusted: list[str] | str) -> None:
    addresses = CallerAddresses(trusted)
    assert addresses.of(PROXY, FORWARDED) == "192.0.2.7"
    assert addresses.of(PROXY, (("x-forwarded-for", ""),)) == "10.0.0.1"
    assert addresses.of(PROXY, ()) == "10.0.0.1"


def test_of_several_proxies_the_first_that_is_not_trusted_is_the_caller() -> None:
    addresses = CallerAddresses("10.0.0.0/8")
    several = (("x-forwarded-for", "203.0.113.9, 192.0.2.7"), ("x-forwarded-for", "10.0.0.2"))
    assert addresses.of(PROXY, several) == "192.0.2.7"


@pytest.mark.parametrize("trusted", ["127.0.0.1,::1", "", []])
def test_an_untrusted_proxy_does_not_set_the_address(trusted: list[str] | str) -> None:
    assert CallerAddresses(trusted).of(PROXY, FORWARDED) == "10.0.0.1"
