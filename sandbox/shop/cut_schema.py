"""The part of Shopify's Admin schema that the sandbox serves, in: the full SDL; out: the cut one.

Usage: `python -m sandbox.shop.cut_schema FULL.graphql.gz > sandbox/shop/schema/admin-2026-10.graphql`. The full SDL
comes with the npm package `@shopify/dev-mcp` (ISC licence, Shopify Inc.). Knows the schema language only, not what the
fields mean.
"""

from __future__ import annotations

import gzip
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_enum_type,
    is_leaf_type,
    is_specified_scalar_type,
    print_ast,
)

if TYPE_CHECKING:
    from graphql import GraphQLArgument, GraphQLEnumValue, GraphQLField, GraphQLNamedType, GraphQLSchema

# Whole types: every field that isn't deprecated and whose type is a scalar, an enum or kept here.
WHOLE = [
    "AccessScope",
    "AdditionalFee",
    "AdditionalFeeSale",
    "AdjustmentSale",
    "ApiVersion",
    "Attribute",
    "AutomaticDiscountApplication",
    "BasicEvent",
    "BulkOperation",
    "BulkOperationCancelPayload",
    "BulkOperationConnection",
    "BulkOperationEdge",
    "BulkOperationRunQueryPayload",
    "BulkOperationUserError",
    "CashRoundingAdjustment",
    "Count",
    "Customer",
    "CustomerConnection",
    "CustomerEdge",
    "CustomerEmailAddress",
    "CustomerJourneySummary",
    "CustomerMarketingConsent",
    "CustomerPhoneNumber",
    "CustomerSmsMarketingConsent",
    "CustomerStatistics",
    "CustomerVisit",
    "DiscountAllocation",
    "DiscountApplication",
    "DiscountApplicationConnection",
    "DiscountApplicationEdge",
    "DiscountCodeApplication",
    "DisplayableError",
    "Duty",
    "DutySale",
    "Event",
    "EventConnection",
    "EventEdge",
    "Fee",
    "FeeSale",
    "Fulfillment",
    "FulfillmentLineItem",
    "FulfillmentLineItemConnection",
    "FulfillmentLineItemEdge",
    "FulfillmentTrackingInfo",
    "GiftCardSale",
    "LegacyInteroperability",
    "LineItem",
    "LineItemConnection",
    "LineItemEdge",
    "LineItemGroup",
    "LineItemSellingPlan",
    "MailingAddress",
    "MailingAddressConnection",
    "MailingAddressEdge",
    "ManualDiscountApplication",
    "MoneyBag",
    "MoneyV2",
    "Node",
    "Order",
    "OrderAdjustment",
    "OrderAdjustmentConnection",
    "OrderAdjustmentEdge",
    "OrderAgreement",
    "OrderApp",
    "OrderAttribution",
    "OrderCancellation",
    "OrderConnection",
    "OrderEdge",
    "OrderEditAgreement",
    "OrderRiskAssessment",
    "OrderRiskSummary",
    "OrderTransaction",
    "OrderTransactionConnection",
    "OrderTransactionEdge",
    "PageInfo",
    "PaymentSchedule",
    "PaymentScheduleConnection",
    "PaymentScheduleEdge",
    "PricingPercentageValue",
    "PricingValue",
    "ProductSale",
    "PurchasingCompany",
    "PurchasingEntity",
    "Refund",
    "RefundAgreement",
    "RefundConnection",
    "RefundDuty",
    "RefundEdge",
    "RefundLineItem",
    "RefundLineItemConnection",
    "RefundLineItemEdge",
    "RefundShippingLine",
    "RefundShippingLineConnection",
    "RefundShippingLineEdge",
    "RestockingFee",
    "ReturnAgreement",
    "ReturnConnection",
    "ReturnEdge",
    "ReturnShippingFee",
    "RiskFact",
    "Sale",
    "SaleAdditionalFee",
    "SaleConnection",
    "SaleEdge",
    "SaleTax",
    "SalesAgreement",
    "SalesAgreementConnection",
    "SalesAgreementEdge",
    "ScriptDiscountApplication",
    "ShippingLine",
    "ShippingLineConnection",
    "ShippingLineEdge",
    "ShippingLineSale",
    "ShopPlan",
    "TaxLine",
    "TipSale",
    "UTMParameters",
    "UnknownSale",
    "UserError",
    "Weight",
]

# Of these, older schemas may lack some.
SINCE_2026_10 = {"CustomerSmsMarketingConsent"}

# Types of which these fields are enough.
PART = {
    "App": "handle id title",
    "AppInstallation": "accessScopes app id",
    "Company": "createdAt customerSince externalId id lifetimeDuration name note updatedAt",
    "CompanyContact": "createdAt id isMainContact lifetimeDuration locale title updatedAt",
    "CompanyLocation": "createdAt currency externalId id locale name note phone updatedAt",
    "Location": "id legacyResourceId name",
    "Mutation": "bulkOperationCancel bulkOperationRunQuery",
    "PaymentTerms": "due dueInDays id overdue paymentSchedules paymentTermsName paymentTermsType translatedName",
    "Product": "handle id legacyResourceId productType title vendor",
    "ProductVariant": "id legacyResourceId sku title",
    "QueryRoot": (
        "bulkOperation bulkOperations currentAppInstallation customer customers customersCount events node nodes order "
        "orders ordersCount publicApiVersions shop shopifyqlQuery"
    ),
    "Return": "closedAt createdAt id name order refunds requestApprovedAt returnShippingFees status totalQuantity",
    "ShopifyqlQueryResponse": "parseErrors parseWarnings tableData",
    "ShopifyqlTableData": "columns rows",
    "ShopifyqlTableDataColumn": "dataType displayName name",
    "Shop": (
        "contactEmail createdAt currencyCode email enabledPresentmentCurrencies ianaTimezone id myshopifyDomain name "
        "plan timezoneAbbreviation timezoneOffset timezoneOffsetMinutes url"
    ),
}

# Deprecated fields that stay, so that their use can be reported as Shopify reports it.
DEPRECATED = {
    "Customer": "email phone",
    "CustomerPhoneNumber": "marketingCollectedFrom marketingOptInLevel marketingState marketingUpdatedAt",
    "Order": "totalPrice",
    "QueryRoot": "currentBulkOperation",
}

# Fields and arguments that would need more of a shop than the sandbox has.
LEFT_OUT = {
    "Customer.companyContactProfiles",
    "Customer.events",
    "Customer.taxSettings",
    "CustomerEmailAddress.marketingUnsubscribeUrl",
    "CustomerEmailAddress.openTrackingUrl",
    "MailingAddress.formatted",
    "Order.events",
    "Order.returns.query",
    "Order.suggestedRefund",
    "Fulfillment.fulfillments",
    "Order.fulfillments.query",
    "Order.statusPageUrl.audience",
    "Order.statusPageUrl.notificationUsage",
    "Order.transactions.capturable",
    "Order.transactions.manuallyResolvable",
    "LineItem.discountedTotalSet.withCodeDiscounts",
    "PaymentSchedule.paymentTerms",
    "QueryRoot.orders.savedSearchId",
    "QueryRoot.ordersCount.savedSearchId",
}


def cut(schema: GraphQLSchema) -> str:
    """Return the SDL of the kept types by name, without prose; raises KeyError for one that is absent."""
    cutter = _Cutter(schema)
    blocks = {name: cutter.block(schema.type_map[name]) for name in cutter.kept}
    blocks |= {name: cutter.block(schema.type_map[name]) for name in cutter.leaves}
    roots = "schema {\n  query: QueryRoot\n  mutation: Mutation\n}"
    return "\n\n".join([roots, *(blocks[name] for name in sorted(blocks))]) + "\n"


class _Cutter:
    """Prints types down to what is kept, and remembers the scalars and enums that this uses."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.kept = {*WHOLE, *PART} & set(schema.type_map)
        missing = {*WHOLE, *PART} - self.kept - SINCE_2026_10
        if missing:
            raise KeyError(f"the schema has no {', '.join(sorted(missing))}")
        self.leaves: set[str] = set()

    def block(self, type_: GraphQLNamedType) -> str:
        """Return the definition of one type."""
        if isinstance(type_, GraphQLUnionType):
            return (
                f"union {type_.name} = {' | '.join(sorted(one.name for one in type_.types if one.name in self.kept))}"
            )
        if isinstance(type_, (GraphQLObjectType, GraphQLInterfaceType)):
            word = "type" if isinstance(type_, GraphQLObjectType) else "interface"
            interfaces = " & ".join(sorted(one.name for one in type_.interfaces if one.name in self.kept))
            fields = [self._field(type_.name, name, field) for name, field in sorted(type_.fields.items())]
            lines = "\n".join(f"  {line}" for line in fields if line)
            return f"{word} {type_.name}{' implements ' + interfaces if interfaces else ''} {{\n{lines}\n}}"
        if is_enum_type(type_):
            values = (f"  {name}{_deprecated(value)}" for name, value in sorted(type_.values.items()))
            return f"enum {type_.name} {{\n" + "\n".join(values) + "\n}"
        return f"scalar {type_.name}"

    def _field(self, owner: str, name: str, field: GraphQLField) -> str | None:
        if owner in PART and name not in (PART[owner] + " " + DEPRECATED.get(owner, "")).split():
            return None
        if field.deprecation_reason is not None and name not in DEPRECATED.get(owner, "").split():
            return None
        if f"{owner}.{name}" in LEFT_OUT or not self._keeps(field):
            return None
        args = ", ".join(
            _argument(arg_name, arg)
            for arg_name, arg in sorted(field.args.items())
            if f"{owner}.{name}.{arg_name}" not in LEFT_OUT and self._keeps(arg)
        )
        return f"{name}{f'({args})' if args else ''}: {field.type}{_deprecated(field)}"

    def _keeps(self, part: GraphQLField | GraphQLArgument) -> bool:
        named = get_named_type(part.type)
        if is_leaf_type(named) and not is_specified_scalar_type(named):
            self.leaves.add(named.name)
        return is_leaf_type(named) or named.name in self.kept


def _argument(name: str, arg: GraphQLArgument) -> str:
    default = arg.ast_node.default_value if arg.ast_node else None
    return f"{name}: {arg.type}{' = ' + print_ast(default) if default else ''}"


def _deprecated(part: GraphQLField | GraphQLEnumValue) -> str:
    return " @deprecated" if part.deprecation_reason is not None else ""


if __name__ == "__main__":
    path = Path(sys.argv[1])
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
    sys.stdout.write(cut(build_schema(text, assume_valid=True)))
