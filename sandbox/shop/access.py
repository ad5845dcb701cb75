"""What an app may see, in: its scopes and approvals; out: for each field of the schema, why it is refused.

Knows the scopes and protections that Shopify writes beside its schema, but neither HTTP nor GraphQL's execution.
Sources: https://shopify.dev/docs/api/usage/access-scopes, https://shopify.dev/docs/apps/launch/protected-customer-data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from graphql import GraphQLError, get_named_type

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import GraphQLField

SCOPES = ("read_all_orders", "read_customers", "read_orders", "read_products")
# What an app may ask for beyond that: returns, the sales report, payment terms, companies and shops of brick.
MORE_SCOPES = ("read_companies", "read_locations", "read_payment_terms", "read_reports", "read_returns")
SUBJECTS = frozenset({"customer", "name", "email", "phone", "address"})

# Plans on which apps made in the admin get names, addresses, e-mails and telephones
# (https://help.shopify.com/manual/apps/app-types/custom-apps: from Grow on).
PLANS_WITH_PERSONAL_DATA = frozenset({"Grow", "Shopify", "Advanced", "Plus", "Shopify Plus"})

# Types and fields with the scopes of which one is enough.
SCOPES_OF_TYPE = {
    "Company": ("read_customers", "read_companies"),
    "CompanyContact": ("read_customers", "read_companies"),
    "CompanyLocation": ("read_customers", "read_companies"),
    "Customer": ("read_customers",),
    "Location": ("read_locations", "read_inventory"),
    "Order": ("read_orders",),
    "PaymentTerms": ("read_payment_terms",),
    "Product": ("read_products",),
    "ProductVariant": ("read_products",),
    "Return": ("read_returns",),
    "SalesAgreement": ("read_orders",),
}
SCOPES_OF_FIELD = {
    "QueryRoot.customersCount": ("read_customers",),
    "QueryRoot.ordersCount": ("read_orders",),
    "QueryRoot.shopifyqlQuery": ("read_reports",),
}

# `isProtected` and `protectedSubject` in the introspection that @shopify/dev-mcp ships.
PROTECTED = {
    "Customer.displayName": "name",
    "Customer.email": "email",
    "Customer.firstName": "name",
    "Customer.lastName": "name",
    "Customer.phone": "phone",
    "CustomerEmailAddress.emailAddress": "email",
    "CustomerPhoneNumber.phoneNumber": "phone",
    "MailingAddress.address1": "address",
    "MailingAddress.address2": "address",
    "MailingAddress.firstName": "name",
    "MailingAddress.lastName": "name",
    "MailingAddress.latitude": "address",
    "MailingAddress.longitude": "address",
    "MailingAddress.name": "name",
    "MailingAddress.phone": "phone",
    "MailingAddress.zip": "address",
    "Order.email": "email",
    "Order.phone": "phone",
    "Order.statusPageUrl": "name",
    "ShippingLine.phone": "phone",
}

_MORE = "See https://shopify.dev/docs/apps/launch/protected-customer-data for more details."


class AccessDeniedError(GraphQLError):
    """A field that the app may not see: null in the data, with this error."""

    def __init__(self, message: str) -> None:
        documentation = "https://shopify.dev/api/usage/access-scopes"
        super().__init__(message, extensions={"code": "ACCESS_DENIED", "documentation": documentation})


def denied(name: str, scopes: Sequence[str]) -> AccessDeniedError:
    """Return the refusal of a field for want of any of the scopes."""
    needed = " or ".join(f"`{one}` access scope" for one in scopes)
    return AccessDeniedError(f"Access denied for {name} field. Required access: {needed}.")


@dataclass(frozen=True)
class Access:
    """The scopes of a token and the protected subjects that its app is approved for."""

    scopes: frozenset[str]
    approved: frozenset[str] = SUBJECTS

    def refusal(self, type_name: str, name: str, definition: GraphQLField) -> AccessDeniedError | None:
        """Return why a field is refused, if it is."""
        field = f"{type_name}.{name}"
        target = get_named_type(definition.type).name.removesuffix("Connection")
        scopes = SCOPES_OF_FIELD.get(field) or SCOPES_OF_TYPE.get(target)
        refusal = self._refusal_of_object(name, target, scopes)
        if refusal:
            return refusal
        subject = PROTECTED.get(field)
        if subject and subject not in self.approved:
            return AccessDeniedError(f"This app is not approved to use the {name} field. {_MORE}")
        return None

    def refusal_of_node(self, type_name: str) -> AccessDeniedError | None:
        """Return why `node(id:)` refuses a type, if it does."""
        return self._refusal_of_object("node", type_name, SCOPES_OF_TYPE.get(type_name))

    def _refusal_of_object(self, name: str, type_name: str, scopes: Sequence[str] | None) -> AccessDeniedError | None:
        """Return why a field refuses an object of a type that needs one of the scopes, if it does.

        A scope that writes also grants reading (access-scopes).
        """
        written = {f"read_{scope.removeprefix('write_')}" for scope in self.scopes if scope.startswith("write_")}
        if scopes and (self.scopes | written).isdisjoint(scopes):
            return denied(name, scopes)
        if type_name == "Customer" and "customer" not in self.approved:
            return AccessDeniedError(f"This app is not approved to access the Customer object. {_MORE}")
        return None


def approved_by_plan(plan: str) -> frozenset[str]:
    """Return the subjects that an app made in the admin may use on a plan."""
    return SUBJECTS if plan in PLANS_WITH_PERSONAL_DATA else frozenset({"customer"})
