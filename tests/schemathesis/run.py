"""Runs a service of its own and schemathesis against it, as each kind of caller.

Fails when a check fails, and when an operation never answered 2xx to the one who may use it."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import requests

from service import OAUTH_ID, OAUTH_SECRET

HERE = Path(__file__).parent
# Each kind of caller, with its own sections of the document. Auditors come first, while the log is short.
ROLES = {
    "auditor": ["Auditors"],
    "anonymous": ["Operators"],
    "user": ["Users", "Other services"],
    "admin": ["Administrators", "Staff"],
}
# Links are in messages only, and the service that is run here sends none; the document itself is not asked for twice. An
# identifier to remove and a limit to lift are not there by themselves.
PASSED_OVER = {
    "askToDisown",
    "askToUndoIdentifierChange",
    "askToUnlock",
    "disown",
    "document",
    "liftLimits",
    "removeIdentifier",
    "undoIdentifierChange",
    "unlock",
}

# How many seconds one run may take.
LONGEST = 1800

# The limits that the cases, which are thousands from one address, would run into.
WIDE_LIMITS = [
    f"{limit}_{extent}"
    for limit in ("codes", "tries", "network_codes", "network_tries", "writes", "address_writes")
    for extent in ("burst", "per_minute")
] + [
    "codes_per_prefix",
    "codes_per_mailbox",
    "codes_per_mail_domain",
    "country_codes_per_minute",
    "country_codes_per_hour",
    "service_codes_per_minute",
    "service_codes_per_hour",
    "wrong_codes_per_hour",
]


def start(binary, folder):
    """The service, in a folder of its own, with room for many sign-ins; its process and its URL."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    secret = hashlib.sha256(OAUTH_SECRET.encode()).hexdigest()
    wide = "\n        ".join(f"{limit} = 1000000" for limit in WIDE_LIMITS)
    (folder / "counterfoil.toml").write_text(
        f"""
        profile = "development"
        [server]
        listen = "127.0.0.1:0"
        [limits]
        messages_per_country = {{ DK = 1 }}
        conversion_percent = 0
        {wide}
        [codes]
        resend_after = 0
        per_day = 100
        wrong_per_hour = 100
        [sessions]
        device_limit = 100
        [identifiers]
        default_region = "IR"
        [transparency]
        public = true
        [[oauth.clients]]
        id = "{OAUTH_ID}"
        secret_sha256 = "{secret}"
        scopes = ["tokens:introspect", "tokens:revoke", "sessions:read"]
        """
    )
    process = subprocess.Popen([binary, "serve"], cwd=folder, stderr=subprocess.PIPE, text=True)
    log = open(folder / "log", "w")
    for line in process.stderr:
        log.write(line)
        fields = json.loads(line).get("fields", {}) if line.startswith("{") else {}
        if fields.get("message") == "listening":
            subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)
            return process, f"http://{fields['address']}"
    sys.exit("the service did not start")


def run(role, seed, numbers, url, options, folder, binary):
    """Schemathesis as that role; whether every check passed, and what was answered."""
    answered = folder / f"answered-{role}-{seed}.json"
    environment = os.environ | {
        "COUNTERFOIL_URL": url,
        "COUNTERFOIL_ROLE": role,
        "COUNTERFOIL_BINARY": str(binary),
        "COUNTERFOIL_FOLDER": str(folder),
        "COUNTERFOIL_FIRST_NUMBER": str(numbers),
        "COUNTERFOIL_ANSWERED": str(answered),
        "SCHEMATHESIS_HOOKS": "hooks",
        "PYTHONPATH": str(HERE),
        "NO_COLOR": "1",
    }
    command = [Path(sys.executable).parent / "schemathesis", "--config-file", HERE / "schemathesis.toml", "run"]
    command += [url + "/openapi.json", "--seed", str(seed), *options]
    passed = subprocess.run(command, env=environment, cwd=HERE, timeout=LONGEST).returncode == 0
    return passed, json.loads(answered.read_text())


def unmet(role, document, answered):
    """The operations of a role's own that were never answered 2xx."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            is_own = operation["tags"][0] in ROLES[role]
            label = f"{method.upper()} {path}"
            if operation["operationId"] in PASSED_OVER or not is_own:
                continue
            if not any(status.startswith("2") for status in answered.get(label, {})):
                yield f"{label} {answered.get(label, {})}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary", type=Path)
    parser.add_argument("folder", type=Path)
    short = "one seed, few examples; each role only its own sections, the anonymous caller all of them"
    parser.add_argument("--short", action="store_true", help=short)
    parser.add_argument("--seeds", nargs="*", type=int, default=[1, 2])
    arguments = parser.parse_args()
    binary, folder = arguments.binary.resolve(), arguments.folder.resolve()
    seeds = arguments.seeds[:1] if arguments.short else arguments.seeds
    options = ["--phases", "examples,coverage,fuzzing", "-n", "5" if arguments.short else "100"]
    process, url = start(binary, folder)
    failures = []
    try:
        document = requests.get(url + "/openapi.json", timeout=10).json()
        runs = [(role, seed) for seed in seeds for role in ROLES]
        for number, (role, seed) in enumerate(runs):
            began = time.monotonic()
            own = [f"--include-tag={tag}" for tag in ROLES[role] if arguments.short and role != "anonymous"]
            passed, answered = run(role, seed, number * 100_000, url, options + own, folder, binary)
            cases = sum(sum(statuses.values()) for statuses in answered.values())
            missed = list(unmet(role, document, answered))
            verdict = "passed" if passed and not missed else "FAILED"
            print(f"{role}, seed {seed}: {verdict}, {cases} cases, {time.monotonic() - began:.0f} s", flush=True)
            print(*(f"  never answered 2xx: {label}" for label in missed), sep="\n", flush=True)
            failures += [] if passed and not missed else [(role, seed)]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
