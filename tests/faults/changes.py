"""The shop changes while it is read, in: a world and a source of chance; out: one change of its store, made now.

No customer changes twice in a world: so each has two states, and the first is that of the untouched store. After an
e-mail was changed or an order deleted, an incremental run may rightly end with other events than a first run over the
final shop: the world notes whose they are.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sandbox.shop.catalog import PRODUCTS
from sandbox.shop.goods import Line, Placed
from sandbox.shop.money import Currencies
from sandbox.shop.people import person

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.faults.world import World

    Node = dict[str, Any]

FIRST_NEW_NUMBER = 90_000


def tag_order(world: World, random: Random) -> None:
    """Tag an order."""
    order = _any_order(world, random, lambda _: True)
    world.shop.store.change_order(order["name"], _now(), tags=[*order["tags"], "checked"])


def refund_order(world: World, random: Random) -> None:
    """Give one piece of an order back."""
    order = _any_order(world, random, lambda one: _is_paid(one) and not one["refunds"])
    world.shop.store.refund_order(order["name"], _now(), quantities={0: 1})


def cancel_order(world: World, random: Random) -> None:
    """Refund an order and cancel it, in one second."""
    order = _any_order(world, random, lambda one: _is_paid(one) and not one["refunds"])
    with world.shop.store.lock:
        world.shop.store.refund_order(order["name"], _now())
        world.shop.store.cancel_order(order["name"], _now(), random.choice(("CUSTOMER", "FRAUD")))


def add_order(world: World, random: Random) -> None:
    """Place an order of a customer who is there."""
    customer = random.choice([one for one in world.shop.store.customers if _is_free(world, one) and one["email"]])
    world.touched.add(customer["id"])
    lines = [Line(random.choice(PRODUCTS), random.randint(1, 3), Decimal("12.34"))]
    world.shop.store.add_order(
        Placed(
            at=_now(),
            number=FIRST_NEW_NUMBER + len(world.touched),
            lines=lines,
            currencies=Currencies("USD", "USD"),
            customer=customer,
            address=customer["defaultAddress"],
            extra={"email": customer["email"]},
        )
    )


def add_customer(world: World, random: Random) -> None:
    """Add somebody who hasn't ordered yet."""
    added = world.shop.store.add_customer(_now(), person(random, FIRST_NEW_NUMBER + random.randrange(1_000)))
    world.touched.add(added["id"])


def rename_customer(world: World, random: Random) -> None:
    """Give a customer another name."""
    customer = random.choice([one for one in world.shop.store.customers if _is_free(world, one)])
    world.touched.add(customer["id"])
    name = f"{customer['firstName']} Maria"
    world.shop.store.change_customer(int(customer["legacyResourceId"]), _now(), firstName=name)


def change_email(world: World, random: Random) -> None:
    """Give a customer with orders another e-mail; these keep the old one."""
    buyers = [one["customer"] for one in world.shop.store.orders if _is_free(world, one["customer"])]
    customer = random.choice([one for one in buyers if one["email"]])
    world.touched.add(customer["id"])
    world.left_emails[customer["email"]] = f"shopify:customer:{customer['legacyResourceId']}"
    email = f"moved.{customer['email']}"
    world.shop.store.change_customer(int(customer["legacyResourceId"]), _now(), email=email)


def delete_order(world: World, random: Random) -> None:
    """Delete an order that nobody hangs on: not their only one, of no web visitor, with no e-mail of its own."""
    order = _any_order(world, random, _is_one_of_several)
    world.deleted.add(order["legacyResourceId"])
    world.shop.store.delete_order(order["name"], _now())


def _any_order(world: World, random: Random, fits: Callable[[Node], bool]) -> Node:
    """Choose an order whose customer has not changed yet, and note the customer."""
    order = random.choice(
        [one for one in world.shop.store.orders if not one["test"] and _is_free(world, one["customer"]) and fits(one)]
    )
    world.touched.add(order["customer"]["id"])
    return order


def _is_free(world: World, customer: Node | None) -> bool:
    return customer is not None and customer["id"] not in world.touched


def _is_paid(order: Node) -> bool:
    return order["displayFinancialStatus"] == "PAID" and Decimal(order["totalPriceSet"]["shopMoney"]["amount"]) > 0


def _is_one_of_several(order: Node) -> bool:
    customer = order["customer"]
    return customer["numberOfOrders"] != "1" and order["email"] == customer["email"] and not order["customAttributes"]


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
