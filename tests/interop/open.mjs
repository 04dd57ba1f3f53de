// Opens and verifies tokens with TweetNaCl, jose and the HKDF of Node.js.
//
// Usage: node open.mjs FILE, where FILE is what `issue.rs` printed.

import assert from "node:assert/strict";
import { createPublicKey, hkdfSync } from "node:crypto";
import { readFileSync } from "node:fs";

import { jwtVerify } from "jose";
import nacl from "tweetnacl";

const bytes = (base64) => new Uint8Array(Buffer.from(base64, "base64"));

/** A function that gives the claims of a token of one kind, and throws for anything else. */
const REQUIRED = ["iss", "aud", "sub", "sid", "jti", "gen", "typ", "iat", "nbf", "exp"];

function opener({ prefix, typ, seal, sign, alg, key, requiredClaims }) {
  const info = `token-seal|1|${prefix}|${seal.id}`;
  const sealKey = new Uint8Array(hkdfSync("sha256", bytes(seal.secret), "counterfoil/v1", info, 32));
  const form = new RegExp(`^${prefix}_1_${seal.id}_([A-Za-z0-9_-]+)$`);
  return async (token, of) => {
    const [, text] = form.exec(token) ?? assert.fail("not of the form");
    const sealed = new Uint8Array(Buffer.from(text, "base64url"));
    assert.equal(Buffer.from(sealed).toString("base64url"), text, "another spelling");
    const inner = nacl.secretbox.open(sealed.subarray(24), sealed.subarray(0, 24), sealKey);
    assert(inner, "the box does not open");
    const { protectedHeader, payload } = await jwtVerify(inner, key, {
      ...of,
      algorithms: [alg],
      typ,
      clockTolerance: 30,
      requiredClaims,
    });
    assert.deepEqual(protectedHeader, { typ, alg, kid: sign.id });
    return payload;
  };
}

const given = JSON.parse(readFileSync(process.argv[2]));
const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(bytes(given.sign_access.public)).toString("base64url") };
const open = {
  access: opener({
    prefix: "cfa",
    typ: "at+jwt",
    seal: given.seal_access,
    sign: given.sign_access,
    alg: "EdDSA",
    key: createPublicKey({ key: jwk, format: "jwk" }),
    requiredClaims: [...REQUIRED, "auth_time", "amr"],
  }),
  refresh: opener({
    prefix: "cfr",
    typ: "rt+jwt",
    seal: given.seal_refresh,
    sign: given.sign_refresh,
    alg: "HS256",
    key: bytes(given.sign_refresh.secret),
    requiredClaims: REQUIRED,
  }),
};

let refused = 0;
for (const { token, claims } of given.tokens) {
  const of = { issuer: claims.iss, audience: claims.aud };
  const own = open[claims.typ];
  const [other, prefix] = claims.typ === "access" ? [open.refresh, "cfr"] : [open.access, "cfa"];
  assert.deepEqual(await own(token, of), claims);

  const changed = (at) => token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
  const mutants = [token.slice(0, -1), `${token}=`, token.replace("_1_", "_2_"), changed(token.length - 1)];
  for (let at = 0; at < token.length; at += 7) mutants.push(changed(at));
  for (const mutant of mutants) await assert.rejects(own(mutant, of), mutant);
  await assert.rejects(other(token, of));
  await assert.rejects(other(prefix + token.slice(3), of));
  for (const name of Object.keys(of)) await assert.rejects(own(token, { ...of, [name]: "https://other.example" }));
  refused += mutants.length + 4;
}
assert(given.tokens.length > 0);
console.log(`TweetNaCl and jose: ${given.tokens.length} tokens opened, ${refused} mutants refused`);
