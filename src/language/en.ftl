# What the API says, in English. A name is the stable code of a problem, or the complaint about a field.

code_sent = A code is on its way.

invalid_fields = Some fields are missing or not valid.
    .title = Invalid fields
malformed_body = The body is not a JSON object, or names a field twice.
    .title = Malformed body
unsupported_media_type = Send the body as application/json in UTF-8, uncompressed.
    .title = Unsupported media type
body_too_large = The body is larger than 16 KiB.
    .title = Body too large
body_too_slow = The body did not arrive in time.
    .title = Body too slow
not_found = There is nothing here.
    .title = Not found
nothing_counted = No limit has counted anything against this.
    .title = Nothing is counted
method_not_allowed = This path does not answer to that method.
    .title = Method not allowed
not_authenticated = Sign in first: no access token was sent.
    .title = Not authenticated
invalid_access_token = The access token is not valid or has expired.
    .title = Invalid access token
invalid_request = Send one access token, in one place.
    .title = Ambiguous credentials
cross_site_request = A request with a cookie must come from the same site.
    .title = Cross-site request
preflight_refused = A page of this origin may not send such a request.
    .title = Preflight refused
invalid_code = The code is not valid or has expired.
    .title = Invalid code
too_many_tries = Too many wrong codes. Try again later.
    .title = Too many tries
too_many_requests = Too many requests. Try again later.
    .title = Too many requests
code_too_soon = A code was sent a moment ago. Wait before asking for another.
    .title = Too soon
code_quota_spent = No more codes can be sent there for now. Try again later.
    .title = No more codes
no_pending_code = There is no code to send again. Ask for a new one.
    .title = No pending code
device_limit_reached = You are signed in on as many devices as you may be. Sign out on one of them, then enter the code again.
    .title = Too many devices
identifier_taken = An account has this number or address already.
    .title = Already taken
last_identifier = This is the only phone number or e-mail address of your account. Add another one before you remove it.
    .title = Last identifier
forbidden = Your account may not do that.
    .title = Forbidden
refused_by_rule = A rule of this service does not allow this.
    .title = Refused by a rule
second_factor_required = Enter a code of your authenticator first.
    .title = Second factor required
fresh_proof_required = You signed in too long ago for this. Confirm first that it is you, by a code, or sign in again.
    .title = Fresh proof required
no_second_factor = The account has no authenticator. One has to be enrolled first.
    .title = No second factor
more_matched = More sessions match than you expect. Nothing was ended: see what matches in another dry run.
    .title = More sessions match
identifier_held = The account has one of that kind. Replace it instead.
    .title = The account has one already
identifier_not_held = The account does not have this number or address, or none of that kind.
    .title = Not an identifier of the account
proposal_open = A proposed change of this account is open. Confirm it or withdraw it first.
    .title = A proposal is open
own_proposal = Another administrator has to confirm what you proposed.
    .title = Your own proposal
own_account = Another administrator has to do that to your account.
    .title = Your own account
blocks_oneself = This block would keep you out yourself: it covers your phone number, your e-mail address, or the address that you call from. Another administrator can set it.
    .title = Blocks yourself
log_reading_running = The whole log is being read already, by a verification or a rehearsal. Try again when that is done.
    .title = The log is being read
rebuild_running = A read model is being made again already. GET /admin/projections/ tells how far that has come.
    .title = Rebuild under way
rebuild_needs_owner = The server's database role does not own the tables. Do this on the server, as their owner: counterfoil projections rebuild.
    .title = Not the owner of the tables
invalid_token = The token is not valid or has expired.
    .title = Invalid token
invalid_client = Prove which service you are, by HTTP Basic.
    .title = Invalid client
unauthorized_client = This client may not do that.
    .title = Unauthorized client
malformed_form = The form has to name one token, once.
    .title = Malformed form
rule_unavailable = A rule of this service cannot be checked right now. Try again in a moment.
    .title = Rule unavailable
unavailable = The service cannot answer right now. Try again in a moment.
    .title = Unavailable
internal_error = Something went wrong on our side.
    .title = Internal error

field_required = This field is required.
field_unknown = There is no such field.
field_not_text = This must be text.
field_not_boolean = This must be true or false.
field_one_identifier = Send either a phone number or an e-mail address.
field_one_subject = Name at most one subject.
field_one_blocked = Name exactly one of prefix, phone_number, email, ip_address, mail_domain and country.
field_one_code = Send either the code that you were sent or the one that your authenticator shows.
field_repeated = Name this once.
field_not_list = This must be a list of texts.
role_unknown = There is no such role. There are admin and auditor.
id_malformed = This is not an id.
time_malformed = Give the time as in 2026-01-31T12:00:00Z.
time_past = This time is over.
span_unknown = There is no such span. There are hour and day.
span_too_long = This is too long: at most 31 days by the hour, and 400 by the day.
since_not_before = This has to be before `until`.
address_malformed = Give an IP address, or a network as in 192.0.2.0/24.
one_address_malformed = Give an IP address, as in 192.0.2.44.
message_state_unknown = There is no such state. There are waiting, sent, failed, expired and replaced.
channel_unknown = There is no such channel. There are phone and email.
state_unknown = There is no such state. There are active and suspended.
position_malformed = This must be a position, a number from 0.
format_unknown = There is no such format. There are json, ndjson and csv.
bom_unknown = Say 1 for a byte order mark, or 0.
type_unknown = There is no event of that name. Put commas between several.
until_before_since = This ends before `since`, where it would begin.
actor_malformed = Give the id of an account, operator:NAME or service:NAME.
order_unknown = There is no such order. There are asc and desc.
position_beyond_end = The log ends before this position.
too_many_events = The account has more than 10,000 events up to this time. Export the log instead.
field_not_settings = This must be an object of settings and their values.
setting_not_rehearsed = This setting cannot be rehearsed. Those of [codes] and [sessions] can, but for new_device_notice.
setting_unfit = This value does not fit the setting.
field_one_time = Give either a time or a step.
filter_required = Say which sessions: at least one filter is needed.
expected_out_of_range = This must be a number from 0 to 5000, as the dry run gave it.
only_active_sessions_end = Only active sessions can be ended.
identifier_action_unknown = This must be add, replace or release.
limit_out_of_range = This must be a number from 1 to 200.
cursor_invalid = This does not go on from a page of this list.
reason_too_long = This may have at most 300 characters.
phone_malformed = This is not a phone number.
phone_no_country_code = Give the number with its country code.
prefix_malformed = Give the first digits of numbers with their country code, as in +98912123.
country_unknown = Give a country by its two letters, as in IR.
phone_not_mobile = This number cannot receive messages.
mail_domain_malformed = Give a mail domain, as in example.com.
email_malformed = This is not an e-mail address.
code_malformed = The code is six digits.
second_factor_code_malformed = Enter the six digits that your authenticator shows, or a recovery code.
text_empty = This may not be empty.
case_too_long = A case number has at most 64 characters.
text_too_long = This may have at most 100 characters.
text_unprintable = This has a character that cannot be shown.
phone_not_taken = Phone numbers of that country are not taken here.
email_not_taken = E-mail addresses are not taken here.
phone_not_yours = Your account does not have this number.
email_not_yours = Your account does not have this address.

# Messages to people. A text message has room for 160 characters, or for 70 in other alphabets than the Latin one.

page_disown_ask = This device is signed in to your account. If it was not you who signed in, end its session here; if it was, close this page.
    .title = Was it you?
page_disown_done = The device is signed out.
    .title = Signed out
page_disown_unknown = The link is not complete. Copy all of it from the message that you were sent.
    .title = Unknown link
page_disown_button = Sign this device out
page_unlock_ask = Too many wrong codes were tried for your phone number or e-mail address, so no codes are sent there. If you want to sign in, press the button. If you did not ask for a code, close this page.
    .title = Send codes again?
page_unlock_done = Codes are sent again. Ask for a code where you want to sign in.
    .title = Codes are sent again
page_unlock_unknown = The link has been used, has expired, or is not complete. Ask for a code where you want to sign in: once a day you are sent a new link, if no codes are sent.
    .title = This link does not work
page_unlock_button = Send codes again
page_undo_ask = The phone numbers and e-mail addresses that you sign in with were changed. If it was not you, undo the change here: the former ones come back, those that were added since are removed, and all devices are signed out. If it was you, close this page.
    .title = Was it you?
page_undo_done = Your account has its former phone number and e-mail address again, and all devices are signed out. Sign in again.
    .title = Undone
page_undo_taken = All devices are signed out. Your former phone number or e-mail address belongs to another account by now, so it was not restored. If that account is yours, give it another one, remove this one from it, and open the link again; otherwise contact us.
    .title = Signed out everywhere
page_undo_unknown = The link does nothing: it is not complete, it was used, or its 72 hours are over.
    .title = Unknown link
page_undo_button = Undo the change
page_changed_at = Changed
page_device = Device
page_address = Address
page_signed_in_at = Signed in

message_sign_in = { $app }: { $code } is your code to sign in. It works for { $minutes ->
        [one] 1 minute
       *[other] { $minutes } minutes
    }. Never share it.
    .subject = { $app }: your code to sign in
message_add_identifier = { $app }: { $code } is your code to add this to your account. It works for { $minutes ->
        [one] 1 minute
       *[other] { $minutes } minutes
    }. Never share it.
    .subject = { $app }: your code to confirm this address
message_reauthenticate = { $app }: { $code } is your code to confirm that it is you. It works for { $minutes ->
        [one] 1 minute
       *[other] { $minutes } minutes
    }. Never share it.
    .subject = { $app }: your code to confirm that it is you
message_new_device = { $app }: a new sign-in on { $device ->
        [unknown] a device
       *[other] { $device }
    }, { $place }, { $time }. If it was not you, sign that device out{ $link ->
        [unknown] .
       *[other] : { $link }
    }
    .subject = { $app }: a new sign-in
message_token_reused = { $app }: we signed a device out, as a copy of its sign-in was used from { $device ->
        [unknown] a device
       *[other] { $device }
    }, { $place }, { $time }. If unsure, sign out everywhere.
    .subject = { $app }: a device was signed out
message_identifier_added = { $app }: another phone number or e-mail address was added to your account, { $time }. If it was not you, { $link ->
        [unknown] sign out everywhere and contact us.
       *[other] remove it within 72 hours: { $link }
    }
    .subject = { $app }: a phone number or e-mail address was added
message_identifier_replaced = { $app }: you now sign in with another phone number or e-mail address instead of this one, { $time }. If it was not you, { $link ->
        [unknown] contact us.
       *[other] undo it within 72 hours: { $link }
    }
    .subject = { $app }: your phone number or e-mail address was replaced
message_identifier_removed = { $app }: a phone number or e-mail address was removed from your account, { $time }. If it was not you, { $link ->
        [unknown] contact us.
       *[other] undo it within 72 hours: { $link }
    }
    .subject = { $app }: a phone number or e-mail address was removed
message_identifier_change_proposed = { $app }: our staff were asked to change the phone number or e-mail address of your account, { $time }. If it was not you, contact us at once.
    .subject = { $app }: a change of your account was asked for
message_identifier_set_by_staff = { $app }: our staff set this as a phone number or e-mail address of your account, { $time }. If you did not ask for it, contact us.
    .subject = { $app }: you can sign in with this from now on
message_identifier_change_undone = { $app }: a change of the phone number or e-mail address of your account was undone, and all devices were signed out, { $time }.
    .subject = { $app }: a change of your account was undone
message_second_factor_enrolled = { $app }: an authenticator was set up for your account, { $time }. If it was not you, contact us at once.
    .subject = { $app }: an authenticator was set up
message_second_factor_removed = { $app }: the authenticator of your account was removed, { $time }. If you did not ask for it, contact us at once.
    .subject = { $app }: your authenticator was removed
message_recovery_code_used = { $app }: a recovery code was used in place of your authenticator, { $time }. If it was not you, contact us at once.
    .subject = { $app }: a recovery code was used
message_data_exported = { $app }: a copy of all data of your account was requested, { $time }. If it was not you, sign out everywhere and contact us.
    .subject = { $app }: a copy of your data was requested
message_account_locked = { $app }: too many wrong codes were tried for your account. Sign in from a device of yours, or contact us. Never share a code.
    .subject = { $app }: too many wrong codes
message_unlock_link = { $app }: no codes are sent here, as too many wrong ones were tried. If you want to sign in, open this within a day: { $link }
    .subject = { $app }: sign in again
