"""Networks as moderators name them, and which of them an address is in."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.chat.networks import Networks, address_of, network_of, shown


def found(networks: Networks[str], address: str) -> list[str]:
    """The values for an address."""
    ip = address_of(address)
    assert ip is not None
    return sorted(networks.of(ip))


class NotationTests(SynchronousTestCase):
    """How addresses and networks are written (decisions 7.1)."""

    def test_normalised(self) -> None:
        """Host bits are cleared, a single address has no size, IPv4 mapped into IPv6 is IPv4 (decisions 1.4, 7.1)."""
        for given_as, normal in (
            ("192.0.2.1", "192.0.2.1"),
            (" 192.0.2.1/32 ", "192.0.2.1"),
            ("192.0.2.77/24", "192.0.2.0/24"),
            ("192.0.2.77/0", "0.0.0.0/0"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("2001:db8::1/128", "2001:db8::1"),
            ("2001:db8:1:2::1/64", "2001:db8:1:2::/64"),
            ("::ffff:192.0.2.77", "192.0.2.77"),
            ("::ffff:192.0.2.77/120", "192.0.2.0/24"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ):
            self.assertEqual(shown(network_of(given_as)), normal)

    def test_junk(self) -> None:
        """Anything else is none."""
        for text in (
            "", "/", "/8", "localhost", "192.0.2", "192.0.2.256", "192.0.2.1/", "192.0.2.1/33", "192.0.2.1/-1",
            "192.0.2.1/24/24", "192.0.2.0/255.255.255.0", "192.0.2.0/0.0.0.255", "192.0.2.01", "2001:db8::/129",
            "fe80::1%eth0", "fe80::1%eth0/64", "192.0.2.1 192.0.2.2", "3221225985", "192.0.2.1\n/24", "::1/64x",
            "192.0.2.1/\u0662", "::g", "*", "192.0.2.*", "192.0.2.1\x00", "\udcff",
        ):  # fmt: skip
            with self.assertRaises(ValueError, msg=repr(text)):
                network_of(text)

    @given(st.text(alphabet="0123456789abcdef:./%x \x00\u0662", max_size=45))
    def test_anything(self, text: str) -> None:
        """Whatever is typed is either junk, or a network whose notation means the same again."""
        try:
            network = network_of(text)
        except ValueError:
            return
        self.assertEqual(network_of(shown(network)), network)

    def test_addresses(self) -> None:
        """A peer's address counts without its zone, and as IPv4 when it is one; a socket's path is none."""
        for text, address in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("fe80::1%eth0", "fe80::1"),
        ):
            self.assertEqual(address_of(text), ip_address(address))
        for text in ("", "/run/superchat.sock", "local", "unix"):
            self.assertIsNone(address_of(text))


class NetworksTests(SynchronousTestCase):
    """Values by network."""

    def setUp(self) -> None:
        self.networks: Networks[str] = Networks()

    def add(self, *networks: str) -> None:
        for network in networks:
            self.networks.add(network_of(network), network)

    def test_of(self) -> None:
        """An address has the values of every network it is in, of its own version only."""
        self.add("0.0.0.0/0", "192.0.2.0/24", "192.0.2.1", "192.0.2.2", "198.51.100.0/24", "::/0", "2001:db8::/32")
        self.assertEqual(found(self.networks, "192.0.2.1"), ["0.0.0.0/0", "192.0.2.0/24", "192.0.2.1"])
        self.assertEqual(found(self.networks, "::ffff:192.0.2.9"), ["0.0.0.0/0", "192.0.2.0/24"])
        self.assertEqual(found(self.networks, "2001:db8::9"), ["2001:db8::/32", "::/0"])
        self.assertEqual(found(self.networks, "::1"), ["::/0"])

    def test_edges(self) -> None:
        """The first and the last address are in, their neighbours are not."""
        self.add("192.0.2.64/26", "2001:db8:0:1::/64")
        for address, inside in (
            ("192.0.2.63", False),
            ("192.0.2.64", True),
            ("192.0.2.127", True),
            ("192.0.2.128", False),
            ("2001:db8::ffff:ffff:ffff:ffff", False),
            ("2001:db8:0:1::", True),
            ("2001:db8:0:1:ffff:ffff:ffff:ffff", True),
            ("2001:db8:0:2::", False),
        ):
            self.assertEqual(bool(found(self.networks, address)), inside, address)

    def test_discard(self) -> None:
        """A value that is taken out leaves the others; nothing happens when it is not there."""
        network = network_of("192.0.2.0/24")
        for value in ("a", "b"):
            self.networks.add(network, value)
        self.networks.discard(network, "a")
        self.networks.discard(network, "c")
        self.networks.discard(network_of("10.0.0.0/8"), "b")
        self.assertEqual(found(self.networks, "192.0.2.1"), ["b"])
        self.networks.discard(network, "b")
        self.assertEqual(found(self.networks, "192.0.2.1"), [])

    @given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)), max_size=20), st.integers(0, 2**32 - 1))
    def test_as_if_each_were_tried(self, networks: list[tuple[int, int]], number: int) -> None:
        """The answer is that of looking at every network (decisions 7.1)."""
        address = ip_address(number)
        index: Networks[str] = Networks()
        all_of_them = {network_of(f"{ip_address(base)}/{bits}") for base, bits in networks}
        for network in all_of_them:
            index.add(network, str(network))
        self.assertEqual(sorted(index.of(address)), sorted(str(each) for each in all_of_them if address in each))
