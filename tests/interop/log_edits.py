"""Edits an exported log in thousands of ways, and compares what two verifiers find: the one of the service and the one in Python, which
share no code.

    log_edits.py BINARY FOLDER [--edits N] [--seed S]

It runs a service of its own with a witness in FOLDER, signs people in, and exports the log. Some edits are those of an attacker without
keys: bits, members, lines, tiles, signatures. Others are those of the owner of all tables who has the keyring, but not the key of the
witness: they make every leaf, every tile and the signature of the log anew. Those verify, and no witness confirms them.
"""

import argparse
import base64
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from verify_log import LOG_KEY, WITNESS_KEY, Tree, VerifierKey, Verification, encode_columns, leaf_hash, sha256

PEOPLE = 90


class Installation:
    """A service with a witness, and the log that it exports."""

    def __init__(self, binary: Path, folder: Path) -> None:
        self.binary, self.folder = binary, folder
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.processes: list[subprocess.Popen[str]] = []
        self.witness_key = self.run("witness", "new", "witness.example", "witness.key").strip()

    def run(self, *arguments: str) -> str:
        done = subprocess.run([self.binary, *arguments], cwd=self.folder, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def start(self, message: str, *arguments: str) -> str:
        """Starts a program that listens. Returns the address that it tells in its log."""
        process = subprocess.Popen([self.binary, *arguments], cwd=self.folder, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stderr is not None
        for line in process.stderr:
            if message in line:
                subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
                return "127.0.0.1:" + "".join(c for c in line.split("127.0.0.1:")[1][:5] if c.isdigit())
        sys.exit(f"{arguments} did not start")

    def settings(self, witness: str) -> str:
        wide = "\n".join(f"{name}_{extent} = 100000" for name in ("codes", "tries") for extent in ("burst", "per_minute"))
        return f"""
            profile = "development"
            [server]
            listen = "127.0.0.1:0"
            [limits]
            conversion_percent = 0
            codes_per_prefix = 100000
            {wide}
            [transparency]
            origin = "log.example"
            [[transparency.witnesses]]
            url = "{witness}"
            key = "{self.witness_key}"
            """

    def export(self) -> Path:
        """Lives, has the log cosigned, lives on, and exports the log."""
        self.write_settings("http://127.0.0.1:9")
        url = "http://" + self.start('"listening"', "serve")
        self.live(url, 0, PEOPLE)
        self.stop()
        key = self.run("audit", "keys").splitlines()[0]
        serve = ("witness", "serve", "--key", "witness.key", "--state", "state", "--listen", "127.0.0.1:0", "--log", key)
        self.write_settings("http://" + self.start("witnessing", *serve))
        url = "http://" + self.start('"listening"', "serve")
        self.live(url, PEOPLE, 1)
        self.wait_for_cosignature()
        self.live(url, PEOPLE + 1, 2)
        time.sleep(3)
        self.run("audit", "export", "--proofs", "log")
        self.stop()
        return self.folder / "log"

    def write_settings(self, witness: str) -> None:
        (self.folder / "counterfoil.toml").write_text(self.settings(witness))

    @staticmethod
    def live(url: str, first: int, count: int) -> None:
        session = requests.Session()
        session.trust_env = False
        for number in range(first, first + count):
            person = {"phone_number": f"+98912{number:07}"}
            code = session.post(url + "/accounts/login/", json=person, timeout=10).json()["code"]
            session.post(url + "/accounts/verify/", json=person | {"code": code}, timeout=10).raise_for_status()

    def wait_for_cosignature(self) -> None:
        for _ in range(60):
            listed = json.loads(self.run("audit", "checkpoints", "--json"))
            if any(checkpoint["witnesses"] for checkpoint in listed["items"]):
                return
            time.sleep(1)
        sys.exit("The witness cosigned nothing within a minute.")

    def stop(self) -> None:
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        self.processes.clear()

    def log_key(self) -> Ed25519PrivateKey:
        """The key by which the log is signed, as who has the keyring can read it."""
        keyring = json.loads((self.folder / ".counterfoil/keyring.json").read_text())
        secret = next(key["secret"] for key in keyring["keys"] if key["purpose"] == "checkpoint")
        key = load_der_private_key(base64.b64decode(secret), None)
        assert isinstance(key, Ed25519PrivateKey)
        return key


class Editor:
    """Edits a copy of the log, each time another way."""

    def __init__(self, log: Path, work: Path, key: Ed25519PrivateKey, vkey: VerifierKey, rng: random.Random) -> None:
        self.log, self.work, self.key, self.vkey, self.rng = log, work, key, vkey, rng
        self.files = sorted(path.relative_to(log) for path in log.rglob("*") if path.is_file())
        self.events = (log / "events.ndjson").read_text().splitlines()
        self.checkpoints = (log / "checkpoints.ndjson").read_text().splitlines()

    def edit(self) -> str:
        """Makes an edit. Returns its class."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(self.log, self.work)
        edits = (self.flip_bit, self.change_member, self.change_lines, self.change_tile, self.change_note, self.rewrite)
        return self.rng.choice(edits)()

    def flip_bit(self) -> str:
        path = self.work / self.rng.choice(self.files)
        content = bytearray(path.read_bytes())
        content[self.rng.randrange(len(content))] ^= 1 << self.rng.randrange(8)
        path.write_bytes(content)
        return "a bit"

    def write_events(self, lines: list[str]) -> None:
        (self.work / "events.ndjson").write_text("".join(line + "\n" for line in lines))

    def change_member(self) -> str:
        at, event = self.any_event()
        name = self.rng.choice(sorted(event))
        other = json.loads(self.rng.choice(self.events))[name]
        event[name] = other if other != event[name] else (event[name] + 1 if isinstance(event[name], int) else "x")
        lines = self.events.copy()
        lines[at] = json.dumps(event)
        self.write_events(lines)
        return "a member of an event"

    def any_event(self) -> tuple[int, dict[str, Any]]:
        at = self.rng.randrange(len(self.events))
        return at, json.loads(self.events[at])

    def change_lines(self) -> str:
        lines = self.events.copy()
        one, other = self.rng.sample(range(len(lines)), 2)
        kind = self.rng.choice(("removed", "doubled", "swapped", "cut", "moved"))
        if kind == "removed":
            del lines[one]
        elif kind == "doubled":
            lines.insert(other, lines[one])
        elif kind == "swapped":
            lines[one], lines[other] = lines[other], lines[one]
        elif kind == "cut":
            del lines[max(one, 1) :]
        else:
            lines.insert(other, lines.pop(one))
        if lines == self.events:
            lines.pop()
        self.write_events(lines)
        return f"events {kind}"

    def change_tile(self) -> str:
        tiles = [path for path in self.files if path.parts[0] == "tile"]
        path = self.work / self.rng.choice(tiles)
        if self.rng.random() < 0.3:
            path.unlink()
            return "a tile removed"
        content = path.read_bytes()
        at = 32 * self.rng.randrange(len(content) // 32)
        path.write_bytes(content[:at] + sha256(content) + content[at + 32 :])
        return "a hash of a tile"

    def change_note(self) -> str:
        rows = [json.loads(line) for line in self.checkpoints]
        row = self.rng.choice(rows)
        kind = self.rng.choice(("size", "root", "signature", "no signature", "no checkpoint", "another's note"))
        text, _, signatures = row["note"].rpartition("\n\n")
        if kind == "size":
            row["size"] += self.rng.choice((-1, 1))
        elif kind == "root":
            origin, size, _ = text.split("\n")
            row["note"] = f"{origin}\n{size}\n{base64.b64encode(self.rng.randbytes(32)).decode()}\n\n{signatures}"
        elif kind == "signature":
            lines = signatures[:-1].split("\n")
            at = self.rng.randrange(len(lines))
            dash, name, blob = lines[at].split(" ")
            raw = bytearray(base64.b64decode(blob))
            raw[self.rng.randrange(4, len(raw))] ^= 1 << self.rng.randrange(8)
            lines[at] = f"{dash} {name} {base64.b64encode(raw).decode()}"
            row["note"] = f"{text}\n\n" + "".join(line + "\n" for line in lines)
        elif kind == "no signature":
            row["note"] = text + "\n"
        elif kind == "another's note":
            row["note"] = next(other["note"] for other in rows if other is not row)
        else:
            rows.remove(row)
        (self.work / "checkpoints.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"a checkpoint: {kind}"

    def rewrite(self) -> str:
        """What the owner of the tables and the keyring can make: another log that fits in itself, signed by the key of the log."""
        rows = [json.loads(line) for line in self.events]
        kind = self.rng.choice(("a payload", "cut", "an event left out", "an event made up"))
        at = self.rng.randrange(len(rows))
        if kind == "a payload":
            rows[at]["payload"] = rows[at]["payload"].replace("2026", "2025")
        elif kind == "cut":
            del rows[max(at, 1) :]
        elif kind == "an event left out":
            del rows[at]
        else:
            rows.append(rows[at] | {"payload": '{"made": "up"}'})
        # They may leave what the witness has cosigned where it is.
        cosigned = json.loads(self.checkpoints[0])
        keeps = self.rng.random() < 0.5 and len(rows) != cosigned["size"]
        self.make_anew(rows, self.checkpoints[:1] if keeps else [])
        if not keeps:
            return f"rewritten and signed anew: {kind}"
        is_before = at < cosigned["size"] and kind != "an event made up"
        return f"rewritten {'before' if is_before else 'after'} what was cosigned: {kind}"

    def make_anew(self, rows: list[dict[str, Any]], kept: list[str]) -> None:
        shutil.rmtree(self.work / "tile")
        accounts: dict[str, tuple[int, bytes]] = {}
        tree, tiles = Tree(), list[tuple[str, bytes]]()
        for seq, row in enumerate(rows, 1):
            sequence, before = accounts.get(row["aggregate_id"], (0, bytes(32)))
            row |= {"seq": seq, "sequence": sequence + 1}
            leaf = leaf_hash(encode_columns(row), before)
            row["leaf"] = leaf.hex()
            accounts[row["aggregate_id"]] = (sequence + 1, leaf)
            tiles += tree.append(leaf)
        for path, content in [*tiles, *tree.partial_tiles()]:
            (self.work / path).parent.mkdir(parents=True, exist_ok=True)
            (self.work / path).write_bytes(content)
        self.write_events([json.dumps(row) for row in rows])
        text = f"{self.vkey.name}\n{tree.size}\n{base64.b64encode(tree.root()).decode()}\n"
        blob = base64.b64encode(self.vkey.key_id + self.key.sign(text.encode())).decode()
        note = f"{text}\n\u2014 {self.vkey.name} {blob}\n"
        kept = [line for line in kept if json.loads(line)["size"] != tree.size]
        lines = [*kept, json.dumps({"size": tree.size, "note": note})]
        (self.work / "checkpoints.ndjson").write_text("".join(line + "\n" for line in lines))


Verdicts = tuple[bool, bool, int]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--edits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    installation = Installation(arguments.binary.resolve(), arguments.folder.resolve())
    try:
        log = installation.export()
        keys = installation.run("audit", "keys").splitlines()
    finally:
        installation.stop()
    log_key, witness_key = VerifierKey.parse(keys[0], LOG_KEY), VerifierKey.parse(keys[1], WITNESS_KEY)
    work = installation.folder / "edited"

    def by_service(folder: Path) -> Verdicts:
        command = [installation.binary, "audit", "verify", folder, "--json", "--key", keys[0], "--witness", keys[1]]
        done = subprocess.run(command, capture_output=True, text=True, cwd=installation.folder)
        if done.returncode == 1 and not done.stdout:
            return False, False, 0  # A file that cannot be read at all.
        found = json.loads(done.stdout)
        return found["unaltered"], found["complete"], found["witnessed"]

    def by_python(folder: Path) -> Verdicts:
        found = Verification(folder, [log_key], [witness_key]).run()
        return found["unaltered"], found["complete"], found["witnessed"]

    untouched = by_service(log), by_python(log)
    assert untouched == ((True, True, 1), (True, True, 1)), untouched
    rng = random.Random(arguments.seed)
    editor = Editor(log, work, installation.log_key(), log_key, rng)
    counted: Counter[tuple[str, str]] = Counter()
    for number in range(arguments.edits):
        kind = editor.edit()
        service, python = by_service(work), by_python(work)
        told = f"seed {arguments.seed}, edit {number}, {kind}: {service} by the service, {python} in Python"
        assert service == python, told
        is_found = not (service[0] and service[1])
        if kind.startswith("rewritten and"):
            assert service[2] == 0, told
        elif kind.startswith("rewritten before"):
            assert is_found, told
        elif kind.startswith("rewritten after"):
            # Nothing of what the witness has cosigned was touched, and the witness confirms no more than that.
            assert not is_found and service[2] == 1, told
        elif kind not in ("a checkpoint: no checkpoint", "a checkpoint: signature", "a bit"):
            assert is_found, told
        counted[kind, "found" if is_found else f"verifies, witnessed by {service[2]}"] += 1
    for (kind, outcome), count in sorted(counted.items()):
        print(f"{kind}: {outcome}: {count}")
    print(f"{arguments.edits} edits of {len(editor.events)} events, seed {arguments.seed}: both verifiers agree on each")


if __name__ == "__main__":
    main()
