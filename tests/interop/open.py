"""Opens and verifies tokens with libsodium (PyNaCl), PyJWT and the HKDF of `cryptography`.

Usage: open.py FILE, where FILE is what `issue.rs` printed.
"""

import base64
import json
import re
import sys

import jwt
import nacl.exceptions
import nacl.secret
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

REFUSED = (ValueError, nacl.exceptions.CryptoError, jwt.InvalidTokenError)


class Kind:
    def __init__(self, prefix, typ, seal, sign, algorithm, key):
        self.prefix, self.typ, self.seal, self.sign = prefix, typ, seal, sign
        self.algorithm, self.key = algorithm, key
        info = f"token-seal|1|{prefix}|{seal['id']}".encode()
        master = base64.b64decode(seal["secret"], validate=True)
        seal_key = HKDF(algorithm=SHA256(), length=32, salt=b"counterfoil/v1", info=info).derive(master)
        self.box = nacl.secret.SecretBox(seal_key)

    def open(self, token, issuer, audience):
        """The claims of a token of this kind; raises what is in REFUSED."""
        form = rf"{self.prefix}_1_{self.seal['id']}_([A-Za-z0-9_-]+)"
        match = re.fullmatch(form, token)
        if not match:
            raise ValueError("not of the form")
        sealed = base64.urlsafe_b64decode(match[1] + "=" * (-len(match[1]) % 4))
        if base64.urlsafe_b64encode(sealed).decode().rstrip("=") != match[1]:
            raise ValueError("another spelling")
        inner = self.box.decrypt(sealed).decode("ascii")
        header = jwt.get_unverified_header(inner)
        if header != {"typ": self.typ, "alg": self.algorithm, "kid": self.sign["id"]}:
            raise ValueError("not the header")
        return jwt.decode(
            inner,
            self.key,
            algorithms=[self.algorithm],
            issuer=issuer,
            audience=audience,
            leeway=30,
            options={"require": ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"]},
        )


def main(path):
    with open(path) as file:
        given = json.load(file)
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(given["sign_access"]["public"]))
    secret = base64.b64decode(given["sign_refresh"]["secret"])
    kinds = {
        "access": Kind("cfa", "at+jwt", given["seal_access"], given["sign_access"], "EdDSA", public),
        "refresh": Kind("cfr", "rt+jwt", given["seal_refresh"], given["sign_refresh"], "HS256", secret),
    }
    refused = 0
    for entry in given["tokens"]:
        token, expected = entry["token"], entry["claims"]
        of = {"issuer": expected["iss"], "audience": expected["aud"]}
        kind = kinds.pop(expected["typ"])
        (other,) = kinds.values()
        kinds[expected["typ"]] = kind

        claims = kind.open(token, **of)
        assert claims == expected, f"{claims} is not {expected}"
        assert all(type(claims[name]) is type(expected[name]) for name in expected), claims

        last = "A" if token[-1] != "A" else "Q"
        mutants = [token[:-1], token[:-1] + last, token + "=", token.replace("_1_", "_2_", 1)]
        mutants += [token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :] for at in range(0, len(token), 7)]
        tries = [(kind, mutant, of) for mutant in mutants]
        tries += [(other, token, of), (other, other.prefix + token[3:], of)]
        tries += [(kind, token, {**of, name: "https://other.example"}) for name in of]
        for by, text, expecting in tries:
            try:
                by.open(text, **expecting)
            except REFUSED:
                refused += 1
            else:
                raise AssertionError(f"accepted: {text}")
    assert given["tokens"] and refused
    print(f"PyNaCl and PyJWT: {len(given['tokens'])} tokens opened, {refused} mutants refused")


main(sys.argv[1])
