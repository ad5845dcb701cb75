"""What a record comes to, by the shipped mappings' books and by one's own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from target_posthog.books.accounts import Account, Entry, Shop
from target_posthog.books.entries import Books
from target_posthog.errors import RuleError
from target_posthog.mapping.document import load, shipped_names

AT = "2026-11-01T23:30:00-05:00"
LEDGER = {"OrderAgreement": "Sold", "others": "Changed"}
BILLS = {
    "currency": "currency",
    "properties": {"amount": "paid", "currency": "cur"},
    "entries": {
        "billed": {"rule": "Bill", "at": "at", "adds": "total"},
        "credited": {
            "rule": "Credit",
            "for_each": "credits",
            "when": "item.at",
            "at": "item.at",
            "takes": "item.total",
        },
    },
}


def test_entries_of_fields_that_a_mapping_names_have_its_figure_and_their_sign() -> None:
    record = {
        "shop": "s.example",
        "currency": "USD",
        "at": AT,
        "total": "29.30",
        "credits": [{"at": AT, "total": 10}, {}],
    }
    books = Books("bills", BILLS)
    assert books.account(record) == Account(
        Shop("s.example", "s.example"),
        "USD",
        [Entry("Bill", AT, {"paid": Decimal("29.30")}), Entry("Credit", AT, {"paid": Decimal(-10)})],
    )
    assert [*books.rules] == ["Bill", "Credit"]
    assert (books.has_ledger, books.is_report, books.properties.figures) == (False, False, ("paid",))


def test_a_deleted_record_has_no_entries_though_its_tombstone_has_its_keys_alone() -> None:
    books = Books("orders", load("shopify-connector")["books"]["orders"])
    account = books.account({"shop_id": 9, "shop": "s.example", "id": 2, "_sdc_deleted_at": AT})
    assert (account.shop, account.entries) == (Shop("9", "s.example"), [])


def test_an_orders_ledger_is_read_whatever_its_rules_make_of_it() -> None:
    sales = [{"line_type": "product", "action_type": "order", "total_amount": "11", "total_tax_amount": "1"}]
    agreements = [{"kind": "OrderAgreement", "happened_at": AT, "sales": sales}]
    record = {"shop_id": 7, "shop": "s.example", "updated_at": AT, "processed_at": AT, "agreements": agreements}
    books = Books("orders", {"ledger": LEDGER})
    account = books.account(record)
    assert (account.shop, account.is_whole, books.has_ledger) == (Shop("7", "s.example"), True, True)
    assert [(one.rule, one.figures["net_sales"]) for one in account.entries] == [("Sold", Decimal(10))]
    without = books.account({**record, "agreements": [], "original_total_price": "11"})
    assert (without.is_whole, without.entries) == (False, [Entry("Sold", AT, {"total_sales": Decimal(11)})])
    assert books.account({"shop_id": 7, "_sdc_deleted_at": AT}).entries == []
    assert [*books.rules] == ["Sold", "Changed"]


def test_each_shipped_mapping_has_books_of_rules_that_it_has() -> None:
    for name in shipped_names():
        document = load(name)
        assert document["books"], name
        for stream, spec in document["books"].items():
            rules = {rule.get("name") or rule.get("event") for rule in document["streams"][stream]}
            assert Books(stream, spec).rules.keys() <= rules, (name, stream)


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"entries": {}, "curency": "currency"}, "`books` of stream `bills` has no key `curency`; did you mean `curr"),
        ({"entries": {"paid": {"at": "a", "adds": "b"}}}, "`paid` needs `rule`, `at` and either `adds` or `takes`"),
        ({"entries": {"paid": {"rule": "P", "at": "a", "adds": "b", "takes": "c"}}}, "either `adds` or `takes`"),
        ({"entries": {"paid": {"rule": "P", "at": "a b", "adds": "b"}}}, "`a b` is no JMESPath expression"),
        ({"entries": {}, "properties": ["revenue"]}, "`books` of stream `bills` needs an object"),
        ({"currency": "currency"}, "needs either `ledger`, `report` or `entries`"),
        ({"report": True, "entries": {}}, "needs either `ledger`, `report` or `entries`"),
        ({"report": True, "currency": "currency"}, "has no key `currency`"),
        (
            {"ledger": {"OrderAgreement": "Sold"}},
            "names a rule for each kind of agreement, at least for `OrderAgreement`",
        ),
    ],
)
def test_books_that_cant_be_used_are_named(spec: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RuleError, match=sentence):
        Books("bills", spec)


def test_a_record_whose_money_is_none_is_an_error() -> None:
    with pytest.raises(ValueError, match="needs a number"):
        Books("bills", BILLS).account({"at": AT, "total": "a lot"})
