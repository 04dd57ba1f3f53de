"""Verifies an exported log folder without any code of the service.

Written from docs/transparency.md ("The formats"), RFC 6962, and the C2SP documents signed-note, tlog-checkpoint,
tlog-cosignature and tlog-tiles alone. It needs Python 3.11 and the package `cryptography`.

    verify_log.py FOLDER --key VKEY [--key VKEY ...] [--witness VKEY ...]
    verify_log.py --self-test

It prints the verdict as one JSON document. The exit status is 0 where the log is unaltered and complete, 1 where it
is not, and 2 for wrong usage.
"""

import argparse
import base64
import hashlib
import itertools
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

LOG_KEY, WITNESS_KEY = 1, 4  # The signature types of signed-note: Ed25519, and timestamped Ed25519 cosignatures.
LAST_TIME = 253402300799  # The last second of the year 9999, beyond which RFC 3339 has no notation.
NUMBERS = ("seq", "sequence")
TEXTS = ("aggregate_type", "aggregate_id", "event_type", "event_version", "payload", "metadata", "leaf")


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def with_length(value: bytes) -> bytes:
    return len(value).to_bytes(8, "big") + value


def decode_base64(text: str) -> bytes:
    """Decodes standard base64 with padding (RFC 4648, section 4). Accepts only the canonical form."""
    raw = base64.b64decode(text, validate=True)
    if base64.b64encode(raw).decode() != text:
        raise ValueError("The base64 is not canonical.")
    return raw


def parse_object(line: bytes, *members: str) -> dict[str, Any]:
    """Parses a line that must be a JSON object with exactly these members, each of them once."""
    try:
        pairs = json.loads(line.decode(), object_pairs_hook=tuple)
    except RecursionError as error:
        raise ValueError("The JSON is nested too deeply.") from error
    if type(pairs) is not tuple or sorted(name for name, _ in pairs) != sorted(members):
        raise ValueError("The line is not an object with these members.")
    return dict(pairs)


@dataclass(frozen=True)
class Event:
    """A line of events.ndjson. `leaf` is None where it is not 64 lower-case hexadecimal digits."""

    seq: int
    sequence: int
    account: tuple[str, str]
    columns: bytes
    leaf: bytes | None

    @staticmethod
    def parse(line: bytes) -> "Event":
        row = parse_object(line, *NUMBERS, *TEXTS, "personal")
        if any(type(row[name]) is not int or not -(2**63) <= row[name] < 2**63 for name in NUMBERS):
            raise ValueError("A number is not an integer of 64 bits.")
        if any(type(row[name]) is not str for name in TEXTS) or type(row["personal"]) not in (str, type(None)):
            raise ValueError("A text is not a string.")
        leaf = bytes.fromhex(row["leaf"]) if re.fullmatch("[0-9a-f]{64}", row["leaf"]) else None
        account = (row["aggregate_type"], row["aggregate_id"])
        return Event(row["seq"], row["sequence"], account, encode_columns(row), leaf)


def encode_columns(row: dict[str, Any]) -> bytes:
    """Encodes what a leaf covers of its event: the seven columns, and what is personal as it is sealed."""
    columns = [row["aggregate_type"].encode(), row["aggregate_id"].encode()]
    columns += [row["sequence"].to_bytes(8, "big", signed=True)]
    columns += [row[name].encode() for name in ("event_type", "event_version", "payload", "metadata")]
    personal = b"\0" if row["personal"] is None else b"\1" + with_length(decode_base64(row["personal"]))
    return b"".join(map(with_length, columns)) + personal


def leaf_hash(columns: bytes, leaf_before: bytes) -> bytes:
    return sha256(b"\0", columns, leaf_before)


def tile_path(level: int, index: int, width: int) -> str:
    """Returns the path of a tile below the folder, as tlog-tiles names it."""
    path = f"{index % 1000:03}"
    while index := index // 1000:
        path = f"x{index % 1000:03}/{path}"
    return f"tile/{level}/{path}" + (f".p/{width}" if width < 256 else "")


class Tree:
    """The tree of RFC 6962, section 2.1, of which only the unfinished tile of each level is kept."""

    def __init__(self) -> None:
        self.size = 0
        self.levels: list[list[bytes]] = []

    def append(self, leaf: bytes) -> list[tuple[str, bytes]]:
        """Adds a leaf. Returns path and content of each tile that became whole by it."""
        self.size += 1
        whole_tiles: list[tuple[str, bytes]] = []
        node = leaf
        for level in itertools.count():
            if level == len(self.levels):
                self.levels.append([])
            self.levels[level].append(node)
            if len(self.levels[level]) < 256:
                break
            path = tile_path(level, self.size // 256 ** (level + 1) - 1, 256)
            whole_tiles.append((path, b"".join(self.levels[level])))
            node, self.levels[level] = self.combine(self.levels[level]), []
        return whole_tiles

    def partial_tiles(self) -> Iterator[tuple[str, bytes]]:
        for level, hashes in enumerate(self.levels):
            if hashes:
                yield tile_path(level, self.size // 256 ** (level + 1), len(hashes)), b"".join(hashes)

    def root(self) -> bytes:
        """Returns the root of a tree that is not empty."""
        below: list[bytes] = []
        for hashes in self.levels:
            below = [self.combine(hashes + below)] if hashes or below else []
        return below[0]

    @staticmethod
    def combine(hashes: list[bytes]) -> bytes:
        """Returns the root over subtrees. All but the last have the same size, and the last is not larger."""
        while len(hashes) > 1:
            pairs = [hashes[at : at + 2] for at in range(0, len(hashes), 2)]
            hashes = [sha256(b"\1", *pair) if len(pair) == 2 else pair[0] for pair in pairs]
        return hashes[0]


def is_key_name(name: str) -> bool:
    return name != "" and "+" not in name and not any(character.isspace() for character in name)


@dataclass(frozen=True)
class VerifierKey:
    """An Ed25519 key of a log or of a witness, which signed-note writes as a vkey."""

    name: str
    key_id: bytes
    public_key: bytes

    @staticmethod
    def parse(text: str, key_type: int) -> "VerifierKey":
        name, key_id, encoded = text.split("+", 2)
        key = decode_base64(encoded)
        if not is_key_name(name) or len(key) != 33 or key[0] != key_type:
            raise ValueError("This is not an Ed25519 key of the expected type.")
        if key_id != sha256(name.encode(), b"\n", key)[:4].hex():
            raise ValueError("The id of the key does not belong to it.")
        return VerifierKey(name, bytes.fromhex(key_id), key[1:])

    def has_signed(self, message: str, signature: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message.encode())
        except (InvalidSignature, ValueError):
            return False
        return True

    def cosigned_at(self, text: str, signature: bytes) -> str | None:
        """Returns the time of a cosignature/v1 (RFC 3339), or None where the cosignature is not valid."""
        time = int.from_bytes(signature[:8], "big")
        if time > LAST_TIME or not self.has_signed(f"cosignature/v1\ntime {time}\n{text}", signature[8:]):
            return None
        return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True)
class Checkpoint:
    """A signed note with the text of a checkpoint. A signature is the name and id of its key, and the bytes after."""

    text: str
    origin: str
    size: int
    root: bytes
    signatures: list[tuple[str, bytes, bytes]]

    @staticmethod
    def parse(note: str) -> "Checkpoint":
        head, separator, tail = note.rpartition("\n\n")
        is_text = note.encode() != b"" and all(character >= " " or character == "\n" for character in note)
        if not is_text or not separator or not tail.endswith("\n"):
            raise ValueError("This is not a signed note.")
        origin, size, root = head.split("\n")
        if origin == "" or not re.fullmatch("0|[1-9][0-9]*", size) or len(decode_base64(root)) != 32:
            raise ValueError("The text of the note is not a checkpoint of three lines.")
        signatures = [parse_signature(line) for line in tail[:-1].split("\n")]
        return Checkpoint(head + "\n", origin, int(size), decode_base64(root), signatures)

    def signatures_by(self, key: VerifierKey) -> list[bytes]:
        return [signature for name, key_id, signature in self.signatures if (name, key_id) == (key.name, key.key_id)]


def parse_signature(line: str) -> tuple[str, bytes, bytes]:
    dash, name, encoded = line.split(" ")
    signature = decode_base64(encoded)
    if dash != "\u2014" or not is_key_name(name) or len(signature) < 5:
        raise ValueError("This is not a line of a signature.")
    return name, signature[:4], signature[4:]


class Verification:
    """Reads a folder once, from its first event to its last, and collects the verdict."""

    def __init__(self, folder: Path, keys: list[VerifierKey], witnesses: list[VerifierKey]) -> None:
        self.folder, self.keys = folder, keys
        self.witnesses: dict[VerifierKey, dict[str, Any]] = {
            key: {"name": key.name, "size": None, "at": None} for key in witnesses
        }
        self.altered: dict[str, Any] | None = None
        self.missing: dict[str, Any] | None = None
        self.number = 0  # The number of the last event that was read.
        self.tree: Tree | None = Tree()  # None from the event on with which the tree cannot be continued.
        self.accounts: dict[tuple[str, str], tuple[int, bytes]] = {}  # The last sequence and leaf of each account.
        self.notes: dict[int, str] = {}
        self.events = self.checkpoints = self.unreadable_checkpoints = self.signed = 0

    def run(self) -> dict[str, Any]:
        for line in self.lines("checkpoints.ndjson"):
            self.take_checkpoint(line)
        for line in self.lines("events.ndjson"):
            self.take_event(line)
        self.finish()
        witnesses = list(self.witnesses.values())
        return {
            "unaltered": self.altered is None,
            "complete": self.missing is None,
            "witnessed": sum(witness["size"] is not None for witness in witnesses),
            "events": self.events,
            "accounts": len(self.accounts),
            "checkpoints": self.checkpoints,
            "signed": self.signed,
            "altered": self.altered,
            "missing": self.missing,
            "witnesses": witnesses,
        }

    def find_altered(self, position: int, what: str) -> None:
        self.altered = self.altered or {"position": position, "what": what}

    def find_missing(self, position: int, what: str) -> None:
        self.missing = self.missing or {"position": position, "what": what}

    def lines(self, name: str) -> Iterator[bytes]:
        try:
            with (self.folder / name).open("rb") as file:
                yield from file
        except OSError:
            self.find_missing(self.number, f"The file {name} cannot be read.")

    def take_checkpoint(self, line: bytes) -> None:
        try:
            row = parse_object(line, "size", "note")
            if type(row["size"]) is not int or row["size"] < 1 or type(row["note"]) is not str:
                raise ValueError("The line is not a checkpoint.")
            self.notes[row["size"]] = row["note"]
        except ValueError:
            self.unreadable_checkpoints += 1

    def take_event(self, line: bytes) -> None:
        self.events += 1
        try:
            event = Event.parse(line)
        except ValueError:
            self.number, self.tree = self.number + 1, None
            self.find_altered(self.number, "The line is not an event with its ten members.")
            return
        self.check_number(event)
        self.check_chain(event)
        self.continue_tree(event)

    def check_number(self, event: Event) -> None:
        if event.seq != self.number + 1:
            self.find_missing(self.number + 1, f"The event with this number is missing; {event.seq} comes next.")
            self.tree = None
        self.number = event.seq

    def check_chain(self, event: Event) -> None:
        sequence, leaf_before = self.accounts.get(event.account, (0, bytes(32)))
        if event.leaf is None:
            self.find_altered(event.seq, "The leaf is not 64 lower-case hexadecimal digits.")
            self.tree = None
        if event.sequence != sequence + 1:
            self.find_missing(event.seq, f"In the account, the event {event.sequence} comes next after {sequence}.")
        elif event.leaf != leaf_hash(event.columns, leaf_before):
            self.find_altered(event.seq, "The leaf is not what the columns and the leaf before it come to.")
        self.accounts[event.account] = (event.sequence, event.leaf or bytes(32))

    def continue_tree(self, event: Event) -> None:
        if self.tree is None or event.leaf is None:
            return
        for path, content in self.tree.append(event.leaf):
            self.check_tile(path, content)
        if self.tree.size in self.notes:
            self.check_checkpoint(self.tree, self.notes[self.tree.size])

    def check_tile(self, path: str, content: bytes) -> None:
        try:
            with (self.folder / path).open("rb") as file:
                if file.read(len(content) + 1) != content:
                    self.find_altered(self.number, f"The tile {path} is not what the leaves come to.")
        except OSError:
            self.find_missing(self.number, f"The tile {path} is missing.")

    def check_checkpoint(self, tree: Tree, note: str) -> None:
        self.checkpoints += 1
        try:
            checkpoint = Checkpoint.parse(note)
        except ValueError:
            self.find_altered(tree.size, "The checkpoint is not a signed note with three lines of text.")
            return
        if (checkpoint.size, checkpoint.root) != (tree.size, tree.root()):
            self.find_altered(tree.size, "The checkpoint has another size or another root than the tree.")
            return
        self.check_signatures(checkpoint)
        self.check_cosignatures(checkpoint)

    def check_signatures(self, checkpoint: Checkpoint) -> None:
        for key in self.keys:
            for signature in checkpoint.signatures_by(key):
                if not key.has_signed(checkpoint.text, signature):
                    self.find_altered(checkpoint.size, f"The signature of {key.name} is not valid.")
                elif checkpoint.origin == key.name:
                    self.signed = checkpoint.size

    def check_cosignatures(self, checkpoint: Checkpoint) -> None:
        for key, witness in self.witnesses.items():
            for signature in checkpoint.signatures_by(key):
                at = key.cosigned_at(checkpoint.text, signature)
                if at is None:
                    self.find_altered(checkpoint.size, f"The cosignature of {key.name} is not valid.")
                elif checkpoint.origin in {own.name for own in self.keys}:
                    # What another log signed proves nothing of this one.
                    witness.update(size=checkpoint.size, at=at)

    def finish(self) -> None:
        for path, content in self.tree.partial_tiles() if self.tree else ():
            self.check_tile(path, content)
        if self.unreadable_checkpoints > 0:
            self.find_altered(self.number, "A line of checkpoints.ndjson is not a checkpoint.")
        if max(self.notes, default=0) > self.number:
            self.find_missing(self.number + 1, f"There is a checkpoint of {max(self.notes)} events.")
        if self.signed != self.number:
            self.find_altered(self.number, "No trusted key has signed the log up to its last number.")


class TestSigner:
    """A key of the self-test, with which a log or a witness signs."""

    def __init__(self, name: str, key_type: int) -> None:
        self.name, self.private_key = name, Ed25519PrivateKey.generate()
        key = bytes([key_type]) + self.private_key.public_key().public_bytes_raw()
        self.key_id = sha256(name.encode(), b"\n", key)[:4]
        self.vkey = f"{name}+{self.key_id.hex()}+{base64.b64encode(key).decode()}"
        self.verifier = VerifierKey.parse(self.vkey, key_type)

    def signature_line(self, text: str, time: int | None = None) -> str:
        message = text if time is None else f"cosignature/v1\ntime {time}\n{text}"
        prefix = self.key_id + (b"" if time is None else time.to_bytes(8, "big"))
        return f"\u2014 {self.name} {base64.b64encode(prefix + self.private_key.sign(message.encode())).decode()}\n"


def tree_hash(leaves: list[bytes]) -> bytes:
    """Follows the definition in RFC 6962, section 2.1, word for word. The class Tree is compared with it."""
    if len(leaves) == 1:
        return leaves[0]
    left = 1 << ((len(leaves) - 1).bit_length() - 1)
    return sha256(b"\1", tree_hash(leaves[:left]), tree_hash(leaves[left:]))


def build_log(folder: Path, log: TestSigner, witness: TestSigner, first_sequence: int = 1) -> None:
    """Writes 300 events of two accounts. The checkpoint of 256 is cosigned, and that of 300 is not."""
    events, leaves = [], list[bytes]()
    state = {"a": (0, bytes(32)), "b": (first_sequence - 1, bytes(32))}
    for seq in range(1, 301):
        account = "b" if seq % 3 == 0 else "a"
        sequence, leaf_before = state[account]
        row = {"seq": seq, "aggregate_type": "account", "aggregate_id": account, "sequence": sequence + 1}
        row |= {"event_type": "renamed", "event_version": "1", "payload": f"name {seq}", "metadata": "{}"}
        row |= {"personal": base64.b64encode(b"sealed").decode() if seq % 2 else None}
        leaves.append(leaf_hash(encode_columns(row), leaf_before))
        state[account] = (sequence + 1, leaves[-1])
        events.append(json.dumps(row | {"leaf": leaves[-1].hex()}) + "\n")
    checkpoints = []
    for size, witnesses in ((256, [witness]), (300, [])):
        text = f"{log.name}\n{size}\n{base64.b64encode(tree_hash(leaves[:size])).decode()}\n"
        note = f"{text}\n{log.signature_line(text)}" + "".join(w.signature_line(text, 1795815455) for w in witnesses)
        checkpoints.append(json.dumps({"size": size, "note": note}, ensure_ascii=False) + "\n")
    write_file(folder / "events.ndjson", "".join(events).encode())
    write_file(folder / "checkpoints.ndjson", "".join(checkpoints).encode())
    write_file(folder / "tile/0/000", b"".join(leaves[:256]))
    write_file(folder / "tile/0/001.p/44", b"".join(leaves[256:]))
    write_file(folder / "tile/1/000.p/1", tree_hash(leaves[:256]))


def write_file(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


# What is put in the place of what, in which file, and what has to be found. None removes the file.
EDITS: list[tuple[str, str, bytes, bytes | None, str]] = [
    ("a byte of a payload", "events.ndjson", b"name 41", b"name 40", "altered"),
    ("what is personal", "events.ndjson", b'"c2VhbGVk"', b"null", "altered"),
    ("a leaf in upper case", "events.ndjson", b'"leaf": "[0-9a-f]{64}', b'"leaf": "' + b"AB" * 32, "altered"),
    ("a number as a text", "events.ndjson", b'"seq": 41', b'"seq": "41"', "altered"),
    ("an eleventh member", "events.ndjson", b'{"seq": 41', b'{"x": 1, "seq": 41', "altered"),
    ("a line that is no JSON", "events.ndjson", b'{"seq": 41', b'"seq": 41', "altered"),
    ("two lines swapped", "events.ndjson", rb'({"seq": 41,.*\n)(.*\n)', rb"\2\1", "missing"),
    ("two events reordered", "events.ndjson", rb'({"seq": 40)(.*\n)({"seq": 41)(.*\n)', rb"\1\4\3\2", "missing"),
    ("two accounts reordered", "events.ndjson", rb'({"seq": 41)(.*\n)({"seq": 42)(.*\n)', rb"\1\4\3\2", "altered"),
    ("a line twice", "events.ndjson", rb'({"seq": 41,.*\n)', rb"\1\1", "missing"),
    ("a line less", "events.ndjson", rb'{"seq": 41,.*\n', b"", "missing"),
    ("the last line less", "events.ndjson", rb'{"seq": 300,.*\n', b"", "missing"),
    ("no events", "events.ndjson", b"", None, "missing"),
    ("a byte of a whole tile", "tile/0/000", b"(?s)^.{4}", b"0000", "altered"),
    ("a byte of a partial tile", "tile/1/000.p/1", b"(?s)^.{4}", b"0000", "altered"),
    ("no whole tile", "tile/0/000", b"", None, "missing"),
    ("no partial tile", "tile/0/001.p/44", b"", None, "missing"),
    ("the root of a checkpoint", "checkpoints.ndjson", rb"(\\n256\\n)....", rb"\1AAAA", "altered"),
    ("the size in a checkpoint", "checkpoints.ndjson", rb"\\n256\\n", rb"\\n255\\n", "altered"),
    ("a size with a leading zero", "checkpoints.ndjson", rb"\\n256\\n", rb"\\n0256\\n", "altered"),
    ("the size of a checkpoint", "checkpoints.ndjson", b'"size": 256', b'"size": 301', "missing"),
    ("a size below one", "checkpoints.ndjson", b'"size": 256', b'"size": 0', "altered"),
    ("the origin", "checkpoints.ndjson", rb'"log\.example', b'"log.example2', "altered"),
    ("a fourth line", "checkpoints.ndjson", rb"\\n\\n", rb"\\nx\\n\\n", "altered"),
    ("a signature", "checkpoints.ndjson", rb"( log\.example .{30})....", rb"\1AAAA", "altered"),
    ("a cosignature", "checkpoints.ndjson", rb"( witness\.example .{30})....", rb"\1AAAA", "altered"),
    ("the time of a cosignature", "checkpoints.ndjson", rb"( witness\.example .{10})....", rb"\1AAAA", "altered"),
    ("no last checkpoint", "checkpoints.ndjson", rb'{"size": 300.*\n', b"", "altered"),
    ("no checkpoints", "checkpoints.ndjson", b"", None, "missing"),
]


def apply_edit(path: Path, before: bytes, after: bytes | None) -> None:
    if after is None:
        path.unlink()
        return
    content, count = re.subn(before, after, path.read_bytes(), count=1)
    assert count == 1, f"{before!r} is not in {path}"
    path.write_bytes(content)


def self_test() -> None:
    """Verifies a log of its own, then edits it in many ways and asserts that each edit is found."""
    sealed = {"aggregate_type": "account", "aggregate_id": "a", "sequence": 1, "event_type": "opened"}
    sealed |= {"event_version": "1", "payload": '{"n":1}', "metadata": "{}", "personal": "c2VhbGVk"}
    expected_leaf = "b9b30f48bd4428de33925e1902f199adc2f4ca87f96ad6907fd4491d161625b3"
    assert leaf_hash(encode_columns(sealed), bytes(32)).hex() == expected_leaf
    assert tile_path(0, 1234067, 256) == "tile/0/x001/x234/067"
    log, other = TestSigner("log.example", LOG_KEY), TestSigner("log.example", LOG_KEY)
    witness = TestSigner("witness.example", WITNESS_KEY)

    def verify_edited(edit: tuple[str, bytes, bytes | None] | None, key: TestSigner, first_sequence: int = 1) -> Any:
        with tempfile.TemporaryDirectory() as folder:
            build_log(Path(folder), log, witness, first_sequence)
            if edit:
                apply_edit(Path(folder) / edit[0], *edit[1:])
            return Verification(Path(folder), [key.verifier], [witness.verifier]).run()

    whole = verify_edited(None, log)
    assert whole == {
        **{"unaltered": True, "complete": True, "witnessed": 1, "events": 300, "accounts": 2, "checkpoints": 2},
        **{"signed": 300, "altered": None, "missing": None},
        "witnesses": [{"name": "witness.example", "size": 256, "at": "2026-11-27T21:37:35Z"}],
    }, whole
    for name, path, before, after, finding in EDITS:
        assert verify_edited((path, before, after), log)[finding], f"This edit was not found: {name}."
    assert verify_edited(None, other)["altered"], "A log that another key signed was taken for good."
    assert verify_edited(None, log, first_sequence=2)["missing"], "The first event of an account was not missed."
    print(f"All {len(EDITS) + 2} edits were found.")


def log_key(text: str) -> VerifierKey:
    return VerifierKey.parse(text, LOG_KEY)


def witness_key(text: str) -> VerifierKey:
    return VerifierKey.parse(text, WITNESS_KEY)


def main() -> int:
    parser = argparse.ArgumentParser(description="Verifies an exported log folder.")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--key", type=log_key, action="append", default=[], help="a key of the log; at least one")
    parser.add_argument("--witness", type=witness_key, action="append", default=[], help="the key of a witness")
    parser.add_argument("--self-test", action="store_true", help="verify and edit a log of its own instead")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    if arguments.folder is None or not arguments.folder.is_dir() or not arguments.key:
        parser.error("a folder that exists and at least one --key are required")
    verdict = Verification(arguments.folder, arguments.key, arguments.witness).run()
    print(json.dumps(verdict, indent=2))
    return 0 if verdict["unaltered"] and verdict["complete"] else 1


if __name__ == "__main__":
    sys.exit(main())
