"""The service from outside: signs people in, gives roles, and makes ids and tokens that are good for one use each."""

import base64
import hashlib
import hmac
import itertools
import os
import subprocess
import time

import requests

OAUTH_ID, OAUTH_SECRET = "schemathesis", "no secret, on loopback"


def shown(secret, at):
    """The code that an authenticator with that secret shows at a time (RFC 6238)."""
    mac = hmac.digest(base64.b32decode(secret), int(at // 30).to_bytes(8), hashlib.sha1)
    offset = mac[-1] & 15
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


class Service:
    """A running service, and the number of the next person who has not signed in yet."""

    numbers = itertools.count(int(os.environ.get("COUNTERFOIL_FIRST_NUMBER", "0")))

    def __init__(self, url):
        self.url = url
        self.http = requests.Session()
        self.http.trust_env = False
        credentials = f"{OAUTH_ID}:{OAUTH_SECRET}".encode()
        self.basic = "Basic " + base64.b64encode(credentials).decode()

    def post(self, path, body, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.http.post(self.url + path, json=body, headers=headers, timeout=10)

    def phone_number(self):
        return f"+98913{next(self.numbers):07}"

    def sign_in(self, phone_number=None):
        """The answer to a sign-in by that number, by default a new one."""
        phone_number = phone_number or self.phone_number()
        # The cases are about numbers too, and one may ask for a code in between.
        for _ in range(3):
            code = self.post("/accounts/login/", {"phone_number": phone_number}).json().get("code")
            answer = self.post("/accounts/verify/", {"phone_number": phone_number, "code": code})
            if answer.ok:
                break
        answer.raise_for_status()
        return answer.json()

    def caller(self, role):
        """An access token of a new user with that role, whose requests the next ones are."""
        phone_number, signed_in = self.sign_in_as(role)
        self.own = (phone_number, signed_in["token"]["access_token"])
        return self.own[1]

    def sign_in_as(self, role):
        """A new user with that role: the number, and the answer to the sign-in."""
        phone_number = self.phone_number()
        signed_in = self.sign_in(phone_number)
        access = signed_in["token"]["access_token"]
        if role in ("admin", "auditor"):
            grant = [os.environ["COUNTERFOIL_BINARY"], "accounts", "grant", phone_number, role]
            subprocess.run(grant, check=True, stdout=subprocess.DEVNULL, cwd=os.environ["COUNTERFOIL_FOLDER"])
            code = self.second_factor_code("/accounts/second-factor/confirm/", access)
            self.post("/accounts/second-factor/confirm/", {"code": code}, access).raise_for_status()
        return phone_number, signed_in

    def id_for(self, path, role):
        """The id of what the path wants: an account, a session, or a device of the caller's own."""
        if path.startswith("/accounts/devices/"):
            self.sign_in(self.own[0])
            devices = self.http.get(
                self.url + "/accounts/devices/", headers={"Authorization": f"Bearer {self.own[1]}"}, timeout=10
            )
            return next(device["id"] for device in devices.json() if not device["current"])
        if path == "/admin/alarms/{id}/acknowledge/" and role == "admin":
            return self.alarm()
        if path == "/admin/accounts/{id}/second-factor/":
            return self.sign_in_as("auditor")[1]["user"]["id"]
        signed_in = self.sign_in()
        if path.endswith("/evidence/"):
            time.sleep(3)  # the log is signed once a second
        if path.startswith("/admin/device-sessions/"):
            return self.session(signed_in["token"]["access_token"])
        return signed_in["user"]["id"]

    def alarm(self):
        """The alarm of a country that has had its messages of the day."""
        alarms = {"X-Audit-Reason": "a test", "Authorization": f"Bearer {self.own[1]}"}
        for number in ("+4520123456", "+4520123457"):
            self.post("/accounts/login/", {"phone_number": number})
        listed = self.http.get(self.url + "/admin/alarms/", headers=alarms, timeout=10)
        return listed.json()["items"][0]["id"]

    def proposal(self):
        """An account, and a change of its number that another administrator has proposed."""
        account = self.sign_in()["user"]["id"]
        proposer = self.sign_in_as("admin")[1]["token"]["access_token"]
        change = {"action": "replace", "phone_number": self.phone_number(), "reason": "a test"}
        proposed = self.post(f"/admin/accounts/{account}/identifiers/", change, proposer)
        proposed.raise_for_status()
        return account, proposed.json()["id"]

    def session(self, access):
        devices = self.http.get(
            self.url + "/accounts/devices/", headers={"Authorization": f"Bearer {access}"}, timeout=10
        )
        return next(device["id"] for device in devices.json() if device["current"])

    def second_factor_code(self, path, access):
        """A code that confirms a new authenticator or passes the second factor."""
        if path.endswith("/confirm/"):
            offered = self.post("/accounts/second-factor/", {}, access).json()
            return shown(offered["secret"], time.time()) if "secret" in offered else None
        return self.post("/accounts/second-factor/recovery-codes/", {}, access).json().get("recovery_codes", [None])[0]

    def code(self, path, identifier, token):
        """A code that went to the identifier, to sign in or to add it."""
        asked = "/accounts/identifiers/" if path.startswith("/accounts/identifiers/") else "/accounts/login/"
        answer = self.post(asked, identifier, token)
        return answer.json().get("code") if answer.ok else None  # that of a problem is another

    def proof_code(self, token):
        """A code that proves the user of a session again."""
        answer = self.post("/accounts/reauthenticate/", {}, token)
        return answer.json().get("code") if answer.ok else None

    def fresh_token(self, name):
        """The token of a session of its own, by the name that the field has."""
        tokens = self.sign_in()["token"]
        return tokens["refresh_token" if name == "refresh_token" else "access_token"]
