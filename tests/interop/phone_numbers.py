"""Has phone numbers of every region read by the service and by libphonenumber's own data, in several spellings.

The numbers are libphonenumber's examples of every kind and region, and neighbours of them. The two must agree on which can
receive messages and what their E.164 form is, but for one in a thousand: the two libraries' data may be of different months.
"""

import random
import subprocess
import sys

import phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType

TAKES_MESSAGES = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
PERSIAN = str.maketrans("0123456789", "۰۱۲۳۴۵۶۷۸۹")
ARABIC = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def spellings(number):
    e164 = phonenumbers.format_number(number, PhoneNumberFormat.E164)
    yield e164
    yield "00" + e164[1:]
    yield e164.translate(PERSIAN)
    international = phonenumbers.format_number(number, PhoneNumberFormat.INTERNATIONAL)
    yield international
    yield international.replace(" ", "\u00a0").translate(ARABIC)
    yield phonenumbers.format_number(number, PhoneNumberFormat.RFC3966)
    yield phonenumbers.format_number(number, PhoneNumberFormat.NATIONAL)


def examples(seed):
    chosen = random.Random(seed)
    for region in sorted(phonenumbers.SUPPORTED_REGIONS):
        for kind in sorted(PhoneNumberType.values()):
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None:
                continue
            digits = str(example.national_number)
            for changed in range(5):
                last = f"{chosen.randrange(10**changed):0{changed}}" if changed else ""
                national = digits[: len(digits) - changed] + last
                number = phonenumbers.PhoneNumber(
                    country_code=example.country_code,
                    national_number=int(national),
                    italian_leading_zero=example.italian_leading_zero,
                    number_of_leading_zeros=example.number_of_leading_zeros,
                )
                yield region, number


def expected(text, region):
    # An extension, or letters read as keypad digits, would be two spellings of a number that is not the person's.
    if not all(c.isdigit() or c in "+-./() \u00a0\u2011" for c in text.removeprefix("tel:")):
        return "-"
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return "-"
    if not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in TAKES_MESSAGES:
        return "-"
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)


def main():
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    asked = [(r, text, number) for r, number in examples(seed) for text in spellings(number)]
    lines = "".join(f"{region}\t{text}\n" for region, text, _ in asked)
    answers = subprocess.run([sys.argv[1]], input=lines, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(answers) == len(asked)
    wrong = []
    for (region, text, number), answer in zip(asked, answers):
        # What is dialled with 00 is the same number everywhere, though libphonenumber knows each region's own prefix only.
        right = expected("+" + text[2:] if text.startswith("00") else text, region)
        if answer != right:
            wrong.append((region, text, right, answer))
    numbers = len({phonenumbers.format_number(n, PhoneNumberFormat.E164) for _, _, n in asked})
    taken = sum(answer != "-" for answer in answers)
    for region, text, right, answer in wrong[:20]:
        print(f"  {region} {text!r}: libphonenumber says {right}, we say {answer}")
    print(
        f"{numbers} numbers of {len({r for r, _, _ in asked})} regions in {len(asked)} spellings, {taken} of them taken; "
        f"{len(wrong)} differ (libphonenumber {phonenumbers.__version__}, seed {seed})"
    )
    assert numbers >= 5000 and taken > 1000 and len(wrong) * 1000 <= len(asked)


main()
