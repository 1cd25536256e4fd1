"""Tests for `superchat.auth.keys`: SSH public keys as people paste them."""

from __future__ import annotations

import base64
import contextlib
import struct

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from superchat.auth.keys import BadKey, fingerprint, parse

# Made with ssh-keygen, whose -l printed the fingerprints.
KNOWN = {
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBKwXfqUlFC1plTLbNi4E0SaSWqlypyn/OIsspru3Hmq anna@home": (
        "SHA256:mGuI2LFRPDw0i9hMhLj4fDV4EPDUaBJjYBwLGaxbUjE"
    ),
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCtk7LIe48NsuwsscEcAcXSiM/ubQOE95ZmtdTxQWA39GSsUD5W3E0eISIKjU5l9tMq2jCkdp"
    "W84ZBz/NbMvQvMwE98l8wM+W1BGNkqcOtH5X915n9P9ms07mlcvg88l7aNXhPkRxXJrvkpq2+C+2rD10RRA4dpPoYm7CSlw9CLEicFUbx9s4ZF"
    "Y2gHSz04ZqhjwKtLNFLIlSW7v+hZjBdwWdoQTOud52B/5ewwdSdGD+WQbCwPjT4Fr+Q+ELr+TlcG4RMRO0EQGNbcjzbiHaKh2cRIg6RDCTObuY"
    "a+8X2CfQOX4oaA7PsUJ39UX3E5XrocCFx/NFW6idVnRPCe3EHT anna@home": (
        "SHA256:P84XMmS9+yS+dM06YzhDx97SG8I+vAt8tZPjlgtWBYo"
    ),
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBD1st2Weba4NK9lcZyeGIlvOWV9Nsip6v4pUuyxy"
    "roQ87Tvn8eZyjMP68N/egvd6ZxTTLrLpn2VxG9yASKxBMus= anna@home": (
        "SHA256:ondtDAkPnYiA20gmWKem/OzAG4yUs7KsZxqRJifXiLM"
    ),
}


def rsa_line(bits: int) -> str:
    """A public key with a modulus of this length, which nobody has the private part of."""
    modulus = (1 << (bits - 1)) + 1
    fields = (b"ssh-rsa", b"\x01\x00\x01", b"\0" + modulus.to_bytes(bits // 8))
    blob = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return f"ssh-rsa {base64.b64encode(blob).decode()}"


class ParsingTests(SynchronousTestCase):
    """What is a key, and what is not."""

    def assert_bad(self, text: str, reason: str) -> None:
        refusal = self.assertRaises(BadKey, parse, text)
        self.assertIn(reason, str(refusal))

    def test_fingerprints(self) -> None:
        """Type and fingerprint are those that ssh-keygen -l prints."""
        for line, printed in KNOWN.items():
            key = parse(line, "laptop")
            self.assertEqual((key.fingerprint, key.key_type), (printed, line.split()[0]))
            self.assertEqual((key.public_key, key.label), (line, "laptop"))

    def test_surroundings(self) -> None:
        """Space around the line and between its words is fine, as is any comment or none; it is kept as sent."""
        line = next(iter(KNOWN))
        key_type, blob, _ = line.split()
        for text in (f"{key_type} {blob}", f"  {line}\r\n", f"{key_type}\t{blob}  anna's laptop, 2nd \u00e4"):
            self.assertEqual(parse(text).fingerprint, KNOWN[line])
            self.assertEqual(parse(text).public_key, text.strip())

    def test_private_keys(self) -> None:
        """A private key is recognised whatever its format, and told so."""
        key = ed25519.Ed25519PrivateKey.generate()
        old = rsa.generate_private_key(65537, 1024)
        for made in (
            key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
            old.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()),
            b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
        ):
            self.assert_bad(made.decode(), "private key")
            self.assert_bad(made.decode().replace("\n", " "), "private key")

    def test_nothing_is_quoted(self) -> None:
        """The refusal does not repeat what was pasted, which may be a secret."""
        for text in ("hunter2", "ssh-ed25519 hunter2", "ssh-ed25519 aHVudGVyMg==", "hunter2 AAAA", "ssh-rsa\nhunter2"):
            self.assertNotRegex(str(self.assertRaises(BadKey, parse, text)), "hunter2|aHVudGVyMg")

    def test_other_types(self) -> None:
        """What nobody can log in with here is refused: options, certificates, DSA, keys on tokens."""
        blob = next(iter(KNOWN)).split()[1]
        for text in (
            f'from="192.0.2.1" ssh-ed25519 {blob}',
            f"ssh-ed25519-cert-v01@openssh.com {blob}",
            f"ssh-dss {blob}",
            f"sk-ssh-ed25519@openssh.com {blob}",
            blob,
            "",
        ):
            self.assert_bad(text, "must begin with")

    def test_wrong_blob(self) -> None:
        """The second word is a key of the type that the first one says, whole and nothing more."""
        key_type, blob, _ = next(iter(KNOWN)).split()
        for wrong in ("", "AAAA", blob[:-4], f"{blob}AAAA", blob[:-2] + "!!", "\u00e4" * 8):
            self.assert_bad(f"{key_type} {wrong}", "second word")
        self.assert_bad(f"ssh-rsa {blob}", "not a key of the type ssh-rsa")

    def test_compressed_point(self) -> None:
        """A key of a curve in the notation that nobody writes is refused like any other that cannot be read."""
        point = ec.derive_private_key(7, ec.SECP256R1()).public_key()
        compressed = point.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        fields = (b"ecdsa-sha2-nistp256", b"nistp256", compressed)
        blob = b"".join(struct.pack(">I", len(field)) + field for field in fields)
        line = f"ecdsa-sha2-nistp256 {base64.b64encode(blob).decode()}"
        self.assert_bad(line, "not a key of the type ecdsa-sha2-nistp256")

    def test_one_line(self) -> None:
        """Nothing but a line of bounded length is looked at."""
        line = next(iter(KNOWN))
        for text in (f"{line}\n{line}", f"{line}\0", f"{line}\x1b[31m", f"{line}\udcff", f"{line} {'x' * 9000}"):
            self.assert_bad(text, "single line")

    def test_weak(self) -> None:
        """RSA keys that OpenSSH finds too short are refused here, too."""
        self.assertEqual(parse(rsa_line(1024)).key_type, "ssh-rsa")
        self.assert_bad(rsa_line(768), "at least 1024 bits")

    def test_curves(self) -> None:
        """All of the protocol's curves are known."""
        for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()):
            public = ec.generate_private_key(curve).public_key()
            line = public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
            self.assertEqual(parse(line).key_type, line.split()[0])

    @settings(max_examples=200, derandomize=True, database=None)
    @given(
        key_type=st.sampled_from(["", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-nistp256 "]),
        text=st.text(max_size=200) | st.binary(max_size=200).map(lambda blob: base64.b64encode(blob).decode()),
    )
    def test_anything(self, key_type: str, text: str) -> None:
        """Any text is a key or a refusal, never another error."""
        with contextlib.suppress(BadKey):
            parse(key_type + text)

    def test_fingerprint(self) -> None:
        """SHA-256 in base64 without padding, as OpenSSH prints it."""
        self.assertEqual(fingerprint(b""), "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
