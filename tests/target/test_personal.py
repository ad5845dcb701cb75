"""Personal data is found by the names of fields, and masked."""

from __future__ import annotations

import hashlib
import json

import pytest

from target_posthog.preview.personal import is_personal, masked, personal_values, personal_values_of, stand_ins

SECRET = b"secret"


@pytest.mark.parametrize(
    "path",
    [
        "orders.email",
        "orders.customer.email",
        "contacts.contactEmail",
        "people.mail",
        "customers.phone",
        "customers.first_name",
        "customers.firstName",
        "customers.name",
        "orders.customer.name",
        "orders.shipping_address.address1",
        "orders.shipping_address.name",
        "orders.billingAddress.zip",
        "orders.browser_ip",
        "orders.client_details.user_agent",
        "orders.checkout_token",
        "orders.order_status_url",
        "orders.note",
        "orders.note_attributes.value",
        "orders.customAttributes.value",
        "orders.fulfillments.tracking_number",
        "set.email",
    ],
)
def test_a_field_of_a_person_is_personal(path: str) -> None:
    assert is_personal(path)


@pytest.mark.parametrize(
    "path",
    [
        "orders.name",
        "orders.id",
        "orders.line_items.name",
        "orders.products.title",
        "orders.email_marketing_state",
        "customers.email_marketing_consent.state",
        "customers.verified_emails_count",
        "orders.shipping_address.country_code",
        "orders.shipping_address.province",
        "orders.note_attributes.name",
        "orders.tracking_company",
        "orders.currency",
        "customers.tags",
        "customers.created_at",
    ],
)
def test_what_is_of_no_person_is_not(path: str) -> None:
    assert not is_personal(path)


def test_values_are_masked_wherever_they_stand_as_whole_words_in_any_case() -> None:
    record = {"email": "Jane@X.com ", "first_name": "Jo", "total": 5, "paid": True, "note": None}
    instead = stand_ins(personal_values(record, "orders"), SECRET)
    shown = masked({"id": "jane@x.com", "said": "Dear Jo, your John's jojoba", "of": [record]}, instead)
    assert shown["id"] == instead["Jane@X.com"]
    assert shown["said"] == f"Dear {instead['Jo']}, your John's jojoba"
    assert (shown["of"][0]["total"], shown["of"][0]["paid"], shown["of"][0]["note"]) == (5, True, None)
    assert "jane" not in json.dumps(shown).lower()


@pytest.mark.parametrize("name", ["Groß", "İpek", "Hauptstraße 5", "ŁUKASZ"])
def test_a_value_whose_case_folds_to_other_letters_is_masked_too(name: str) -> None:
    instead = stand_ins(iter([("name", name)]), SECRET)
    shown = masked([name, f"An {name}", name.upper(), name.lower()], instead)
    assert shown == [instead[name], f"An {instead[name]}", *shown[2:]]
    assert not {name.upper(), name.lower()} & {*shown}


def test_the_hash_of_an_address_is_masked_like_the_address() -> None:
    instead = stand_ins(iter([("email", "Jane@x.com")]), SECRET)
    assert masked(hashlib.sha256(b"jane@x.com").hexdigest(), instead).startswith("email-sha256-")


def test_numbers_that_are_personal_are_masked_too() -> None:
    record = {"phone": 4915112345, "latitude": 48.4, "total": 48.5}
    shown = masked(record, stand_ins(personal_values(record, "users"), SECRET))
    assert shown["phone"].startswith("phone-")
    assert shown["latitude"].startswith("latitude-")
    assert shown["total"] == 48.5


def test_a_value_has_the_same_stand_in_everywhere_and_another_with_another_secret() -> None:
    first = stand_ins(iter([("email", "jane@x.com")]), SECRET)
    again = stand_ins(iter([("email", " JANE@x.com")]), SECRET)
    other = stand_ins(iter([("email", "jane@x.com")]), b"other")
    assert first["jane@x.com"] == again["JANE@x.com"] != other["jane@x.com"]


def test_the_glossary_makes_a_property_personal_with_all_that_is_in_it() -> None:
    properties = {"gift": {"to": "Ann", "from": ["Bo"]}, "$set": {"orders": 3, "zip": "89073"}, "name": "Shirt"}
    event = {"event": "Sale", "distinct_id": "a@x.com", "uuid": "", "timestamp": "", "properties": properties}
    assert list(personal_values_of(event, {"gift"})) == [  # type: ignore[arg-type]  # an event
        ("gift", "Ann"),
        ("gift", "Bo"),
        ("zip", "89073"),
        ("email", "a@x.com"),
    ]
