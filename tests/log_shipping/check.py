"""A small history, its log turned into OCSF by the filter of the documents, and each event held to models of OCSF by others.

Usage: check.py COUNTERFOIL VRL FILTER FOLDER
"""

import collections
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Literal

from ocsf.events.application.api import APIActivity
from ocsf.events.iam.iam import IAM
from ocsf.objects.actor import Actor
from ocsf.objects.service import Service as LogonService
from ocsf.objects.session import Session
from ocsf.objects.user import User


# The package's own models of these two classes cannot be loaded: fields of them lack their annotations.
class AccountChange(IAM):
    """Account Change [3001]."""

    activity_id: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 99]
    user: User
    actor: Actor | None = None


class Authentication(IAM):
    """Authentication [3002]."""

    activity_id: Literal[1, 2, 3, 4, 5, 99]
    user: User
    service: LogonService
    actor: Actor | None = None
    session: Session | None = None


CLASSES = {3001: AccountChange, 3002: Authentication, 6003: APIActivity}

# The activities that the history has, each with its event.
EXPECTED = {
    ("LoggedIn", 3002, 1, 1),
    ("OtpRejected", 3002, 1, 2),
    ("LoggedOut", 3002, 2, 1),
    ("OtpRequested", 3002, 99, 1),
    ("TokenRefreshed", 3002, 99, 1),
    ("UserRegistered", 3001, 1, 1),
    ("AccountSuspended", 3001, 5, 1),
    ("AccountReinstated", 3001, 2, 1),
    ("RolesChanged", 3001, 7, 1),
    ("ProfileUpdated", 3001, 99, 1),
    ("StaffRead", 6003, 2, 1),
}


class Service:
    """The service in a folder of its own."""

    def __init__(self, binary, folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.binary, self.folder = binary, folder
        environment = os.environ | {"COUNTERFOIL_LISTEN": "127.0.0.1:0"}
        environment.pop("DATABASE_URL", None)
        self.process = subprocess.Popen([binary, "serve"], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            fields = json.loads(line)["fields"]
            if fields["message"] == "listening":
                self.url = "http://" + fields["address"]
                return
        raise SystemExit("the service did not start")

    def ask(self, method, path, body, access=None):
        headers = {"Content-Type": "application/json", "User-Agent": "Mozilla/5.0 (Linux; Android 14; Pixel 8)"}
        if access:
            headers["Authorization"] = f"Bearer {access}"
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as refused:
            return json.loads(refused.read())

    def command(self, *arguments):
        ran = subprocess.run([self.binary, *arguments], cwd=self.folder, stdout=subprocess.PIPE, text=True, check=True)
        return ran.stdout

    def live(self):
        """A user signs up, types a wrong code, refreshes, changes their name and signs out. Staff look and act."""
        number = {"phone_number": "+989121234567"}
        code = self.ask("POST", "/accounts/login/", number | {"fullname": "Ada Lovelace"})["code"]
        self.ask("POST", "/accounts/verify/", number | {"code": "000000" if code != "000000" else "000001"})
        signed_in = self.ask("POST", "/accounts/verify/", number | {"code": code, "device_name": "Ada’s phone"})
        refreshed = self.ask("POST", "/accounts/refresh/", {"refresh_token": signed_in["token"]["refresh_token"]})
        self.ask("PATCH", "/accounts/profile/", {"fullname": "Ada King"}, refreshed["access_token"])
        self.ask("POST", "/accounts/logout/", {"refresh_token": refreshed["refresh_token"]})
        for command in (["grant", number["phone_number"], "auditor"], ["suspend", number["phone_number"]], ["reinstate", number["phone_number"]]):
            self.command("accounts", *command, "--reason", "a test")
        self.command("accounts", "list", "--reason", "a test")
        time.sleep(2)  # until each event has its number


def converted(vrl, program, lines, folder):
    """What the filter makes of lines, as Vector gives them to it."""
    lines_file = folder / "lines"
    lines_file.write_text("".join(json.dumps({"message": line}) + "\n" for line in lines))
    ran = subprocess.run(
        [vrl, "--input", lines_file, "--program", program, "--print-object"], stdout=subprocess.PIPE, text=True, check=True
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def main(binary, vrl, program, folder):
    service = Service(binary, folder / "service")
    try:
        service.live()
        lines = service.command("audit", "events", "--ndjson", "--all").splitlines()
    finally:
        service.process.terminate()
        service.process.wait()
    events = converted(vrl, program, lines, folder)
    assert len(events) == len(lines) > 10, (len(events), len(lines))
    found = collections.Counter()
    for line, event in zip(lines, events):
        record = json.loads(line)
        CLASSES[event["class_uid"]].model_validate(event)
        assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"], event
        assert event["category_uid"] == event["class_uid"] // 1000, event
        assert event["metadata"]["sequence"] == record["position"] and event["metadata"]["uid"] == record["leaf"], event
        decided_at = datetime.datetime.fromisoformat(record["at"])
        assert event["time"] == int(decided_at.timestamp() * 1000), (event["time"], record["at"])
        assert event["user"]["uid"] == record["account_id"], event
        # What OCSF requires beside what the models know.
        required = {3002: ("user", "service"), 3001: ("user",), 6003: ("actor", "api", "src_endpoint")}[event["class_uid"]]
        assert all(event.get(name) for name in required), event
        found[(event["activity_name"], event["class_uid"], event["activity_id"], event["status_id"])] += 1
    assert EXPECTED <= set(found), EXPECTED - set(found)
    print(f"{len(events)} events of {len(found)} kinds are valid OCSF")


if __name__ == "__main__":
    main(*(pathlib.Path(argument).resolve() for argument in sys.argv[1:]))
