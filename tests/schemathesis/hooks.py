"""What schemathesis cannot know: who is calling, what people type, and which ids, codes and tokens there are.

The values of the document's own examples stand for live ones, which take their place when the request is sent. What was
answered is counted, so that a run that met nothing but refusals is found out.
"""

import atexit
import json
import os
import re

import schemathesis
from hypothesis import strategies as st

from service import Service

ID, CODE = "01a2102b-9989-7532-acd2-ac1c6690aa6d", "123456"
TOKENS = ("cfa_1_…", "cfr_1_…")

# What a block may be of.
UNUSED = {
    "prefix": "+4721",
    "phone_number": "+4721234567",
    "email": "blocked@blocked.example",
    "ip_address": "192.0.2.0/24",
    "mail_domain": "blocked.example",
    "country": "NO",
}

service = Service(os.environ["COUNTERFOIL_URL"])
role = os.environ["COUNTERFOIL_ROLE"]

digits = st.text("0123456789", min_size=7, max_size=7)
schemathesis.openapi.format("phone-number", digits.map(lambda rest: "+98912" + rest))
schemathesis.openapi.format("email", digits.map(lambda rest: f"ada{rest}@example.com"))
printable = st.text("abcdefghijklmnopqrstuvwxyz آدالویسÉé🌙'-", min_size=1, max_size=100)
schemathesis.openapi.format("line-of-text", printable.filter(str.strip))
schemathesis.openapi.format("one-time-code", st.one_of(st.just(CODE), st.from_regex(r"[0-9]{6}", fullmatch=True)))
networks = st.sampled_from(["192.0.2.0/24", "127.0.0.0/8", "2001:db8::/32", "0.0.0.0/0"])
schemathesis.openapi.format("ip-network", st.one_of(networks, st.ip_addresses().map(str)))

if role != "anonymous":

    @schemathesis.auth(refresh_interval=60)
    class Caller:
        """Signs in as the role, and again when the session has ended."""

        def get(self, case, ctx):
            return service.basic if "basic" in schemes(case) else "Bearer " + service.caller(role)

        def set(self, case, credentials, ctx):
            if schemes(case):
                case.headers["Authorization"] = credentials


def schemes(case):
    """By which an operation lets callers prove who they are."""
    needs = case.operation.definition.raw.get("security", [])
    return {scheme for need in needs for scheme in need}


def is_reason(text):
    return isinstance(text, str) and 0 < len(text.strip()) <= 300


@schemathesis.hook
def before_call(ctx, case, kwargs):
    path, body, headers = case.operation.path, case.body, case.headers or {}
    # The reason in the query is looked at where the body has none, the one in the header where neither has.
    if path.startswith(("/audit/", "/admin/")):
        in_query, in_header = (case.query or {}).get("reason", "a reason"), headers.get("X-Audit-Reason", "a reason")
        if isinstance(body, dict) and not (is_reason(in_query) and is_reason(in_header)):
            body.pop("reason", None)
        if not is_reason(in_header):
            (case.query or {}).pop("reason", None)
        # So is the case number.
        number = str((case.query or {}).get("case", "HD-1"))
        if isinstance(body, dict) and not (1 <= len(number) <= 64 and number.isprintable()):
            body.pop("case", None)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if path.startswith(("/audit/", "/admin/")) and not (case.query or {}).get("reason"):
        case.headers.setdefault("X-Audit-Reason", "a test")
    if reason := case.headers.get("X-Audit-Reason"):
        case.headers["X-Audit-Reason"] = reason.encode().decode("latin-1")  # as HTTP libraries take UTF-8
    # A follower of the log waits for new events; from the beginning of the log on there are some.
    if path == "/audit/events/stream/":
        case.query = {name: value for name, value in (case.query or {}).items() if name == "reason"} | {"after": 0}
        case.headers.pop("Last-Event-ID", None)
    # What a document cannot say of parameters: one or the other.
    for one, other in (("phone_number", "email"), ("at", "step")):
        if case.query and one in case.query and other in case.query:
            del case.query[other]
    if path == "/admin/identifiers/":
        query = case.query or {}
        named = {"email": query["email"]} if "@" in query.get("email", "") else {"phone_number": service.phone_number()}
        case.query = named | {name: value for name, value in query.items() if name == "reason"}
    # A block of what the run itself uses would have all that follows refused.
    if path == "/admin/blocks/" and isinstance(body, dict):
        for name, unused in UNUSED.items():
            if body.get(name):
                body[name] = unused
    # A legal hold ends in the future.
    if path == "/admin/accounts/{id}/hold/" and isinstance(body, dict) and body.get("until"):
        body["until"] = "2100-01-01T00:00:00Z"
    if path == "/admin/accounts/{id}/identifiers/" and role == "admin":
        # An account has a number: it releases that one, replaces it by one that no account has, and can add an address.
        number = service.phone_number()
        if body.get("action") == "release" and case.path_parameters.get("id") == ID:
            case.path_parameters["id"] = service.sign_in(number)["user"]["id"]
        for name in ("phone_number", "email"):
            body.pop(name, None)
        body |= {"email": f"{number[1:]}@example.com"} if body.get("action") == "add" else {"phone_number": number}
    if role == "admin" and path in ("/admin/accounts/{id}/identifiers/confirm/", "/admin/accounts/{id}/identifiers/{proposal}/"):
        if case.path_parameters.get("id") == ID:
            account, proposal = service.proposal()
            case.path_parameters["id"] = account
            for names in (case.path_parameters, body):
                if isinstance(names, dict) and "proposal" in names:
                    names["proposal"] = proposal
    if path.startswith("/transparency/tile/"):
        case.path_parameters = {"level": "0", "tile": "000.p/8"}
    if role != "anonymous" and case.path_parameters and case.path_parameters.get("id") == ID:
        case.path_parameters["id"] = service.id_for(path, role)
    if path.startswith("/accounts/reauthenticate/") and isinstance(body, dict):
        # An identifier has to be the caller's own, and may be left out; one code is enough.
        for name in ("phone_number", "email") + (("totp",) if body.get("code") else ()):
            body.pop(name, None)
        if body.get("code"):
            body["code"] = service.proof_code(bearer(case)) or CODE
        return
    if isinstance(body, dict):
        # Codes of other things, of which the document has examples, are none that a person types.
        if isinstance(body.get("code"), str) and not re.fullmatch("[0-9]{6}", body["code"]):
            body["code"] = CODE
        if body.get("code") == CODE and path.startswith("/accounts/second-factor/"):
            body["code"] = service.second_factor_code(path, bearer(case)) or CODE
        elif body.get("code") == CODE:
            if path == "/accounts/identifiers/verify/" and body.get("phone_number"):
                body["phone_number"] = service.phone_number()  # a number that no account has
            body["code"] = service.code(path, identifier_of(body), bearer(case)) or CODE
        if path.endswith("/resend/"):
            service.code(path, identifier_of(body), bearer(case))
        for name in ("token", "refresh_token"):
            if body.get(name) in TOKENS:
                body[name] = service.fresh_token(name)


def identifier_of(body):
    return {name: body[name] for name in ("phone_number", "email") if body.get(name)}


def bearer(case):
    return (case.headers or {}).get("Authorization", "").removeprefix("Bearer ")


@schemathesis.check
def what_is_well_formed_is_not_called_malformed(ctx, response, case):
    """A status that is allowed for one reason is not taken for another."""
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code != 400:
        return
    problem = response.json()
    told = problem.get("errors", {}).keys()
    # Times that are over or too far apart, and cursors that no caller was given, look like others. Pages with cookies alone may
    # send no token.
    excused = {"until", "since", "after", "cursor", "refresh_token"}
    # Exactly one subject is named, and a session is ended by one filter at least.
    if any(path in case.path for path in ("/admin/blocks/", "/admin/limits/")):
        excused |= {"prefix", "phone_number", "email", "ip_address", "mail_domain", "country", "subject"}
    if "/admin/device-sessions/" in case.path:
        excused |= {"account_id", "expected", "reason", "active"}
    # A position may be beyond the end of the log.
    if "/audit/proofs/" in case.path:
        excused |= {"seq", "size", "from", "to"}
    # A setting may have a name that cannot be rehearsed, and its value may be out of its range.
    if "/audit/rehearsals/" in case.path:
        excused |= {name for name in told if name.startswith("settings.")}
    excused = told and told <= excused
    assert problem["code"] not in ("invalid_fields", "malformed_body", "malformed_form") or excused, problem


answered = {}


@schemathesis.hook
def after_call(ctx, case, response):
    if case.method.upper() == case.operation.method.upper():
        label = f"{case.operation.method.upper()} {case.operation.path}"
        statuses = answered.setdefault(label, {})
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1


@atexit.register
def write_down():
    with open(os.environ["COUNTERFOIL_ANSWERED"], "w") as file:
        json.dump(answered, file)
