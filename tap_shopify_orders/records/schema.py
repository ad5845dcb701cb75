"""Fields of the streams: all fields of a record, with the meaning of each.

Names are those of Shopify's REST API where it has one, else GraphQL's in snake case; `queries/` asks for them by these
names. Meanings follow https://shopify.dev/docs/api/admin-graphql/2026-10/objects/Order.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tap_shopify_orders.records.fields import (
    EXACT,
    Field,
    as_number,
    boolean,
    by_id,
    by_moment,
    decimal,
    enum,
    exact,
    identifier,
    identifiers,
    integer,
    json_schema,
    many,
    money,
    number,
    obj,
    strings,
    text,
    time,
)

if TYPE_CHECKING:
    from tap_shopify_orders.records.fields import Names

KEYS = ("shop_id", "id")
BOOKMARK = "updated_at"
DELETED_AT = "_sdc_deleted_at"  # https://sdk.meltano.com/en/latest/implementation/record_metadata.html
# Response paths that need a scope which not every app has, by that scope: without it they aren't asked for.
# https://shopify.dev/docs/api/usage/access-scopes, and the scopes that Shopify lists beside its schema.
SCOPED: dict[str, tuple[Names, ...]] = {
    "read_locations": (("retail_location",),),
    "read_payment_terms": (("payment_terms",),),
    "read_returns": (("returns",), ("agreements", "nodes", "of_return"), ("refunds", "of_return")),
}
# Objects that are asked for in several places and are denied in all of them, if in one: they need read_products.
DENIED_TOGETHER = frozenset({"product", "variant"})


SHOP = {
    "shop": {
        "type": "string",
        "description": "The store's myshopify domain, such as my-store.myshopify.com; it can be changed.",
    },
    "shop_id": {"type": "integer", "description": "Shopify's number of the store, which never changes (Shop.id)."},
}


def stream_schema(fields: tuple[Field, ...]) -> dict[str, Any]:
    """Return the JSON schema of a stream's records: its fields, and what every record has."""
    properties = {
        **SHOP,
        **json_schema(fields),
        DELETED_AT: {
            "type": ["null", "string"],
            "format": "date-time",
            "description": "When the record was deleted in Shopify; a tombstone has keys and `updated_at` only.",
        },
    }
    properties["id"] = {**properties["id"], "type": "integer"}
    return {"type": "object", "required": list(KEYS), "properties": properties}


def report_schema(*, numbers: bool) -> dict[str, Any]:
    """Return the JSON schema of the sales report, its money as exact texts, or as numbers."""
    if not numbers:
        return SALES_BY_DAY
    properties = {name: as_number(schema) for name, schema in SALES_BY_DAY["properties"].items()}
    return {**SALES_BY_DAY, "properties": properties}


def _figure(description: str) -> dict[str, Any]:
    return {"type": ["null", "string"], "format": EXACT, "description": description}


# The columns of ShopifyQL: https://shopify.dev/docs/api/shopifyql/latest/schemas/sales_revenue/sales
SALES_BY_DAY: dict[str, Any] = {
    "type": "object",
    "required": ["shop_id", "day"],
    "properties": {
        **SHOP,
        "day": {"type": "string", "format": "date", "description": "Day in the store's time zone."},
        "time_zone": {"type": ["null", "string"], "description": "The store's time zone as it is now (IANA)."},
        "currency": {"type": ["null", "string"], "description": "The store's currency as it is now."},
        "gross_sales": _figure("Products sold, before discounts, returns, taxes and shipping (gross_sales)."),
        "discounts": _figure("Discounts on them, negative (discounts)."),
        "returns": _figure("What was taken back by returns, refunds, edits and cancellations (sales_reversals)."),
        "net_sales": _figure("Gross sales, less discounts and returns (net_sales)."),
        "shipping": _figure("Shipping, after its discounts and refunds (shipping_charges)."),
        "taxes": _figure("Taxes (taxes)."),
        "duties": _figure("Duties (duties)."),
        "additional_fees": _figure("Additional fees (additional_fees)."),
        "return_fees": _figure("Fees of returns (return_fees)."),
        "total_sales": _figure("Net sales, shipping, taxes, duties and fees (total_sales)."),
        "orders": {"type": ["null", "integer"], "description": "How many orders were placed (orders)."},
    },
}

DELETIONS = (
    identifier("id", "Number of what was deleted.", "subject"),
    text("admin_graphql_api_id", "Global id of what was deleted.", "subject"),
    time(DELETED_AT, "When it was deleted.", "updated_at"),
    time("updated_at", "The same."),
)

_ADDRESS = (
    text("first_name", "First name."),
    text("last_name", "Last name."),
    text("name", "Full name."),
    text("company", "Company or organisation."),
    text("address1", "Street and number, or post box."),
    text("address2", "Apartment, suite or unit."),
    text("city", "City, district or town."),
    text("province", "Region, such as a state or province."),
    text("province_code", "Code of the region, such as ON."),
    text("country", "Country."),
    text("country_code", "Two-letter code of the country, such as CA."),
    text("zip", "Postal code."),
    text("phone", "Phone number, in E.164 form where Shopify knows it."),
    number("latitude", "Latitude, in degrees."),
    number("longitude", "Longitude, in degrees."),
)

_EMAIL_CONSENT = obj(
    "email_marketing_consent",
    "Consent to marketing by e-mail; null without an e-mail address.",
    enum("state", "Such as subscribed, unsubscribed, not_subscribed, pending, invalid."),
    enum("opt_in_level", "How it was given: single_opt_in, confirmed_opt_in or unknown."),
    time("consent_updated_at", "When it was last given or taken back."),
)

_SMS_CONSENT = obj(
    "sms_marketing_consent",
    "Consent to marketing by SMS; null without a phone number.",
    enum("state", "Such as subscribed, unsubscribed, not_subscribed, pending, redacted."),
    enum("opt_in_level", "How it was given: single_opt_in, confirmed_opt_in or unknown."),
    time("consent_updated_at", "When it was last given or taken back."),
    enum("consent_collected_from", "Where it was given: shopify or other."),
)

_PERSON = (
    *identifiers("customer"),
    time("created_at", "When the customer was added to the store."),
    time("updated_at", "When the customer was last changed."),
    text("email", "Default e-mail address.", "email", "address"),
    text("phone", "Default phone number.", "phone", "number"),
    text("first_name", "First name."),
    text("last_name", "Last name."),
    text("name", "Full name; an e-mail address or phone number where there is no name."),
    enum("state", "State of the classic customer account: enabled, disabled, invited or declined."),
    strings("tags", "Tags that the store put on the customer."),
    integer("orders_count", "How many orders the customer made in the lifetime of the store."),
    decimal("total_spent", "What the customer spent in the lifetime of the store.", "amount_spent", "amount"),
    text("currency", "Currency of `total_spent`.", "amount_spent", "currency_code"),
    _EMAIL_CONSENT,
    _SMS_CONSENT,
    boolean("data_sale_opt_out", "Whether the customer opted out of the sale of their data."),
)

CUSTOMERS = (
    *_PERSON,
    boolean("verified_email", "Whether the customer's e-mail address was verified."),
    text("note", "A note about the customer."),
    text("locale", "Language of the customer, such as en-CA."),
    boolean("tax_exempt", "Whether the customer pays no taxes."),
    obj("default_address", "Default address.", *_ADDRESS),
    identifier("last_order_id", "Number of the last order.", "last_order", "id"),
    text("last_order_name", "Name of the last order, such as #1001.", "last_order", "name"),
)

_TAX_LINES = many(
    "tax_lines",
    "Taxes, one by one.",
    text("title", "Name of the tax."),
    replace(decimal("rate", "Share of the price, such as 0.07."), convert=exact),
    *money("price", "Amount of the tax."),
)

_NAMES_AND_VALUES = (text("name", "Name."), text("value", "Value."))

_LINE_ITEM = (
    *identifiers("line item"),
    identifier("product_id", "Number of the product; null when it was deleted.", "product", "id"),
    identifier("variant_id", "Number of the variant; null when it was deleted.", "variant", "id"),
    text("title", "Title of the product when it was ordered."),
    text("variant_title", "Title of the variant when it was ordered."),
    text("name", "Titles of product and variant."),
    text("sku", "Stock keeping unit of the variant."),
    text("vendor", "Vendor of the product."),
    integer("quantity", "How many were ordered."),
    integer("current_quantity", "How many are left after edits and refunds."),
    *money("price", "Price of one, before discounts."),
    *money("total_discount", "Discounts of the line, without those of the whole order."),
    boolean("gift_card", "Whether it is a gift card."),
    boolean("taxable", "Whether it is taxed."),
    boolean("requires_shipping", "Whether it has to be shipped."),
    many("properties", "What the customer or the shop added to the line.", *_NAMES_AND_VALUES),
    _TAX_LINES,
    many(
        "discount_allocations",
        "Discounts of the order that fall on the line.",
        *money("amount", "Amount of the discount."),
        integer(
            "discount_application_index",
            "Which of the order's `discount_applications`, by its `index`.",
            "application",
            "index",
        ),
    ),
)

_VISIT = (
    time("occurred_at", "When the visit was."),
    text("landing_page", "Address of the first page of the visit."),
    text("referrer_url", "Address from which the visitor came."),
    text("source", "Where the visit came from, such as Google, Instagram or direct."),
    enum("source_type", "Kind of marketing, such as ad, newsletter or seo."),
    text("source_description", "Where the visit came from, in words."),
    obj(
        "utm_parameters",
        "The UTM parameters of the landing page.",
        *(text(parameter, f"utm_{parameter}.") for parameter in ("campaign", "content", "medium", "source", "term")),
    ),
)

_DISCOUNT_TYPES = {
    "DiscountCodeApplication": "discount_code",
    "AutomaticDiscountApplication": "automatic",
    "ManualDiscountApplication": "manual",
    "ScriptDiscountApplication": "script",
}
_PRICING = (("pricing", "amount"), ("pricing", "percentage"))

_DISCOUNT_APPLICATION = (
    integer("index", "Place among the order's discounts, from 0."),
    replace(
        text("type", "What gave it: discount_code, automatic, manual or script.", "kind"),
        convert=lambda kind: _DISCOUNT_TYPES.get(kind, kind),
    ),
    text("title", "Title, of all but codes."),
    text("code", "The code, of codes."),
    text("description", "Description, of manual discounts."),
    replace(
        decimal("value", "Percentage, or amount of money.", "pricing"),
        convert=lambda pricing: exact(pricing.get("amount") or pricing["percentage"]),
        needs=_PRICING,
    ),
    replace(
        text("currency_code", "Currency of `value` where that is an amount.", "pricing"),
        convert=lambda pricing: pricing.get("currency_code"),
        needs=(("pricing", "currency_code"),),
    ),
    replace(
        text("value_type", "What `value` is: fixed_amount or percentage.", "pricing"),
        convert=lambda pricing: "fixed_amount" if "amount" in pricing else "percentage",
        needs=_PRICING,
    ),
    enum("allocation_method", "How it is spread: across, each or one."),
    enum("target_selection", "Lines it falls on: all, entitled or explicit."),
    enum("target_type", "Kind of lines it falls on: line_item or shipping_line."),
)

_FULFILLMENT = (
    *identifiers("fulfillment"),
    text("name", "Name, such as #1001-F1."),
    enum("status", "Such as success, cancelled, error, failure, open, pending."),
    enum("shipment_status", "Where the parcel is, such as in_transit, out_for_delivery, delivered."),
    time("created_at", "When it was created."),
    time("updated_at", "When it was last changed."),
    time("in_transit_at", "When the parcel went on its way."),
    time("delivered_at", "When it was delivered."),
    time("estimated_delivery_at", "When it is expected to be delivered."),
    integer("total_quantity", "How many items are in it."),
    text("tracking_company", "Carrier of the first parcel.", "tracking", 0, "company"),
    text("tracking_number", "Tracking number of the first parcel.", "tracking", 0, "number"),
    text("tracking_url", "Tracking page of the first parcel.", "tracking", 0, "url"),
)

_REFUND_LINE_ITEM = (
    identifier("id", "Number of the refunded line; null for some old refunds."),
    identifier("line_item_id", "Number of the order's line item.", "line_item", "id"),
    text("title", "Title of the product.", "line_item", "title"),
    text("sku", "Stock keeping unit.", "line_item", "sku"),
    identifier("product_id", "Number of the product.", "line_item", "product", "id"),
    identifier("variant_id", "Number of the variant.", "line_item", "variant", "id"),
    integer("quantity", "How many were refunded."),
    enum("restock_type", "What became of them: return, cancel, no_restock or legacy_restock."),
    *money("price", "Price of one."),
    *money("subtotal", "What was refunded, without taxes."),
    *money("total_tax", "Taxes that were refunded."),
)

_REFUND = (
    *identifiers("refund"),
    time("created_at", "When it was created; null while an exchange or return isn't finished."),
    time("processed_at", "When it was processed; may lie in the past for imported refunds."),
    time("updated_at", "When it was last changed."),
    text("note", "Reason that the merchant gave."),
    *money("total_refunded", "What was paid back."),
    many("refund_line_items", "Lines that were refunded.", *_REFUND_LINE_ITEM, connection=True),
    identifier("return_id", "Number of the return that it belongs to; needs read_returns.", "of_return", "id"),
    many(
        "transactions",
        "Movements of its money; what was paid back is those that succeeded (Refund.transactions).",
        *identifiers("transaction"),
        enum("kind", "Such as refund, void."),
        enum("status", "Such as success, failure, pending, error."),
        text("gateway", "Payment provider."),
        *money("amount", "Amount."),
        time("created_at", "When it was created."),
        time("processed_at", "When it was processed."),
        connection=True,
    ),
    many(
        "order_adjustments",
        "Differences between what was calculated and what was refunded.",
        identifier("id", "Number of the adjustment."),
        *money("amount", "Amount, without taxes."),
        *money("tax_amount", "Taxes."),
        enum("reason", "Such as refund_discrepancy, restock, damage, customer."),
        connection=True,
    ),
    many(
        "refund_shipping_lines",
        "Shipping that was refunded.",
        *money("subtotal", "What was refunded, without taxes."),
        *money("tax", "Taxes that were refunded."),
        connection=True,
    ),
)

_TRANSACTION = (
    *identifiers("transaction"),
    enum("kind", "Such as sale, authorization, capture, refund, void."),
    enum("status", "Such as success, failure, pending, error."),
    text("gateway", "Payment provider."),
    *money("amount", "Amount."),
    text("currency", "Shop currency of the amount.", "amount_set", "shop_money", "currency_code"),
    time("created_at", "When it was created."),
    time("processed_at", "When it was processed."),
    identifier(
        "parent_id", "Number of the transaction that it follows, such as the capture of a refund.", "parent", "id"
    ),
    boolean("test", "Whether it was a test."),
    enum("error_code", "What went wrong, when it failed."),
)

_SALE = (
    identifier("id", "Number of the sale (Sale.id)."),
    text("kind", "Type of the sale, such as ProductSale, ShippingLineSale, AdjustmentSale (Sale.__typename)."),
    enum("action_type", "What was done: order, return, update or a value to come (Sale.actionType)."),
    enum(
        "line_type",
        "What was sold: product, gift_card, tip, shipping, duty, additional_fee, fee, adjustment or a value to come"
        " (Sale.lineType).",
    ),
    integer("quantity", "How many, negative where they were taken back; null of adjustments (Sale.quantity)."),
    *money("total_amount", "Amount after taxes and discounts, negative where it was taken back (Sale.totalAmount)."),
    *money("total_tax_amount", "Taxes in `total_amount` (Sale.totalTaxAmount)."),
    *money(
        "total_discount_amount_before_taxes",
        "Discounts, without the taxes on them (Sale.totalDiscountAmountBeforeTaxes).",
    ),
    *money(
        "total_discount_amount_after_taxes",
        "Discounts counted after taxes; not to be added to the others (Sale.totalDiscountAmountAfterTaxes).",
    ),
    many(
        "taxes",
        "Taxes, one by one (Sale.taxes).",
        *money("amount", "Amount of the tax (SaleTax.amount)."),
        text("title", "Name of the tax (TaxLine.title).", "tax_line", "title"),
        replace(decimal("rate", "Share of the price (TaxLine.rate).", "tax_line", "rate"), convert=exact),
    ),
    identifier("line_item_id", "Number of the line item, of products, gift cards and tips.", "line_item", "id"),
    identifier("product_id", "Number of the product; null when it was deleted.", "line_item", "product", "id"),
    identifier("variant_id", "Number of the variant; null when it was deleted.", "line_item", "variant", "id"),
    text("sku", "Stock keeping unit (LineItem.sku).", "line_item", "sku"),
    text("title", "Title of the product when it was ordered (LineItem.title).", "line_item", "title"),
    text("variant_title", "Title of the variant when it was ordered.", "line_item", "variant_title"),
    text("vendor", "Vendor of the product (LineItem.vendor).", "line_item", "vendor"),
    text(
        "product_type",
        "Type of the product as it is now; null when it was deleted (Product.productType).",
        "line_item",
        "product",
        "product_type",
    ),
    text("fee_name", "Name of an additional fee (SaleAdditionalFee.name).", "additional_fee", "name"),
)

_AGREEMENT = (
    identifier("id", "Number of the agreement (SalesAgreement.id)."),
    text(
        "kind",
        "Type of the agreement: OrderAgreement, OrderEditAgreement, RefundAgreement, ReturnAgreement or a type to come"
        " (SalesAgreement.__typename).",
    ),
    time("happened_at", "When it was agreed (SalesAgreement.happenedAt)."),
    enum("reason", "Why: order, order_edit, refund, return or a value to come (SalesAgreement.reason)."),
    obj("app", "App that made it.", identifier("id", "Number of the app."), text("name", "Name of the app.")),
    identifier("refund_id", "Number of the refund, of a RefundAgreement.", "refund", "id"),
    identifier("return_id", "Number of the return, of a ReturnAgreement; needs read_returns.", "of_return", "id"),
    many("sales", "What was sold and what was taken back, each with its sign.", *_SALE, connection=True, sort=by_id),
)

_RETURN = (
    *identifiers("return"),
    text("name", "Name, such as #1001-R1 (Return.name)."),
    enum("status", "Such as requested, open, closed, canceled, declined (Return.status)."),
    time("created_at", "When it was created (Return.createdAt)."),
    time("request_approved_at", "When the customer's request was approved (Return.requestApprovedAt)."),
    time("closed_at", "When it was closed (Return.closedAt)."),
    integer("total_quantity", "How many items are in it (Return.totalQuantity)."),
)

_B2B = (
    identifier("id", "Its number."),
    text("name", "Its name."),
    text("external_id", "The merchant's own id of it."),
)

_TIMES_AND_NAMES = (
    *identifiers("order"),
    text("name", "Name that customer and merchant see, such as #1001."),
    integer("order_number", "Number from which the name is made, such as 1001."),
    text("confirmation_number", "Random code that the customer sees."),
    text("po_number", "Purchase order number."),
    time("created_at", "When the order was created in Shopify."),
    time("updated_at", "When the order was last changed."),
    time("processed_at", "When the order was placed; for imported orders the original time."),
    time("closed_at", "When the order was closed; null while it is open."),
    time("cancelled_at", "When the order was cancelled."),
    enum("cancel_reason", "Why: customer, declined, fraud, inventory, staff or other."),
    boolean("test", "Whether it is a test order."),
    boolean("confirmed", "Whether inventory is reserved for it."),
    integer(
        "current_subtotal_line_items_quantity",
        "How many units of its line items are left, without tips (Order.currentSubtotalLineItemsQuantity).",
    ),
    boolean("edited", "Whether it was edited after it was placed."),
)

_STATES_AND_SOURCES = (
    text("currency", "Shop currency, such as USD."),
    text("presentment_currency", "Currency that the customer saw and paid."),
    enum("financial_status", "Such as paid, pending, authorized, partially_refunded, refunded, voided."),
    enum("fulfillment_status", "Such as fulfilled, unfulfilled, partially_fulfilled, fulfillment_not_required."),
    enum("return_status", "Such as no_return, in_progress, returned."),
    text("email", "E-mail address on the order."),
    text("phone", "Phone number on the order."),
    text("note", "Note on the order."),
    strings("tags", "Tags that the store put on the order."),
    text("customer_locale", "Language of the customer, such as en-CA."),
    text("source_name", "Where the order was made, such as web, pos, shopify_draft_order or an app's id."),
    text("source_identifier", "Number of the order where it was made."),
    text("order_status_url", "Page at which the customer sees the order."),
    obj("app", "App that made the order.", identifier("id", "Number of the app."), text("name", "Name of the app.")),
    text("channel_name", "Sales channel to which the order is attributed.", "channel", "name"),
    text("browser_ip", "IP address of the customer's browser."),
    boolean("taxes_included", "Whether prices include taxes."),
    boolean("tax_exempt", "Whether no taxes are paid."),
    boolean("buyer_accepts_marketing", "Whether the customer agreed to marketing when they ordered."),
    boolean("fully_paid", "Whether all is paid."),
    text(
        "landing_site", "First page of the customer's first visit.", "customer_journey", "first_visit", "landing_page"
    ),
    text("referring_site", "Address the first visit came from.", "customer_journey", "first_visit", "referrer_url"),
    text("cart_token", "Token of the cart."),
    text("checkout_token", "Token of the checkout."),
    integer("total_weight", "Weight, in grams."),
)

_MONEY = (
    *money("total_price", "What the order came to, before edits and refunds."),
    *money("subtotal_price", "Line items after discounts, before shipping, and taxes unless included."),
    *money("total_discounts", "Discounts."),
    *money("total_tax", "Taxes."),
    *money("total_shipping_price", "Shipping, before discounts and refunds."),
    *money("total_tip_received", "Tips."),
    *money("original_total_duties", "Duties, before edits and refunds."),
    *money("current_total_price", "What the order comes to now, after edits and refunds."),
    *money("current_subtotal_price", "Line items after discounts, edits and refunds."),
    *money("current_total_discounts", "Discounts, after edits and refunds."),
    *money("current_total_tax", "Taxes, after edits and refunds."),
    *money("current_shipping_price", "Shipping, after discounts, edits and refunds."),
    *money("current_total_duties", "Duties, after edits and refunds."),
    *money("current_additional_fees", "Additional fees, after edits and refunds."),
    *money("total_refunded", "What was paid back."),
    *money("total_outstanding", "What is still to be paid."),
    *money("total_received", "What was received."),
    *money("original_total_price", "What the order came to when it was placed (Order.originalTotalPriceSet)."),
    *money("original_additional_fees", "Additional fees when it was placed."),
    *money(
        "cart_discount_amount", "Discounts of the whole order, before edits and refunds (Order.cartDiscountAmountSet)."
    ),
    *money("net_payment", "What was received, less what was paid back (Order.netPaymentSet)."),
    *money(
        "refund_discrepancy",
        "What refunds left to the merchant, less what they gave beyond the goods (Order.refundDiscrepancySet).",
    ),
    *money(
        "cash_rounding_payment",
        "Rounding of payments in cash (Order.totalCashRoundingAdjustment.paymentSet).",
        "cash_rounding",
    ),
    *money(
        "cash_rounding_refund",
        "Rounding of refunds in cash (Order.totalCashRoundingAdjustment.refundSet).",
        "cash_rounding",
    ),
)

ORDERS = (
    *_TIMES_AND_NAMES,
    *_STATES_AND_SOURCES,
    *_MONEY,
    replace(
        many("discount_codes", "Discount codes that were used.", text("code", "The code.")),
        convert=lambda codes: [{"code": code} for code in codes],
        needs=(("discount_codes",),),
    ),
    many("discount_applications", "Discounts of the order.", *_DISCOUNT_APPLICATION, connection=True),
    strings("payment_gateway_names", "Payment providers."),
    _TAX_LINES,
    many("note_attributes", "What the shop's pages added to the order.", *_NAMES_AND_VALUES),
    obj(
        "customer",
        "The customer, as they are now; null for guests whose data was deleted and some point-of-sale orders.",
        *_PERSON,
    ),
    obj("billing_address", "Address of the payment method.", *_ADDRESS),
    obj("shipping_address", "Address to which the order goes.", *_ADDRESS),
    many("line_items", "What was ordered.", *_LINE_ITEM, connection=True),
    many(
        "shipping_lines",
        "How the order is shipped.",
        identifier("id", "Number of the shipping line."),
        text("title", "Name of the shipping method."),
        text("code", "Code of the shipping method."),
        text("source", "Where the rate came from."),
        *money("price", "Price, before discounts."),
        *money("discounted_price", "Price, after discounts."),
        connection=True,
    ),
    many("fulfillments", "What was sent.", *_FULFILLMENT),
    many("refunds", "What was refunded.", *_REFUND),
    many("returns", "Returns, of what was sent back or exchanged; needs read_returns.", *_RETURN, connection=True),
    many(
        "agreements",
        "Shopify's ledger of the order: what was sold and what was taken back, by `happened_at`, in full"
        " (Order.agreements).",
        *_AGREEMENT,
        connection=True,
        sort=by_moment,
    ),
    obj(
        "company",
        "Company that bought, in B2B; null for others (PurchasingCompany.company).",
        *_B2B,
        source=("purchasing_entity", "company"),
    ),
    obj(
        "company_location",
        "Location of the company that bought (PurchasingCompany.location).",
        *_B2B,
        source=("purchasing_entity", "location"),
    ),
    obj(
        "payment_terms",
        "When a B2B order has to be paid; needs read_payment_terms (Order.paymentTerms).",
        text("name", "Such as Net 30 (PaymentTerms.paymentTermsName)."),
        enum("type", "Such as net, fixed, receipt (PaymentTerms.paymentTermsType)."),
        integer("due_in_days", "Days until it is due (PaymentTerms.dueInDays)."),
        boolean("overdue", "Whether a payment is overdue (PaymentTerms.overdue)."),
    ),
    obj(
        "retail_location",
        "Shop in which a point-of-sale order was made; needs read_locations (Order.retailLocation).",
        identifier("id", "Number of the location."),
        text("name", "Name of the location."),
    ),
    many("transactions", "Payments, and what became of them.", *_TRANSACTION),
    obj(
        "customer_journey",
        "How the customer came to the shop; complete when `ready`.",
        boolean("ready", "Whether Shopify has worked it out."),
        integer("customer_order_index", "Which order of the customer it is, from 1, test orders not counted."),
        integer("days_to_conversion", "Days from the first visit to the order."),
        obj("first_visit", "First visit.", *_VISIT),
        obj("last_visit", "Last visit before the order.", *_VISIT),
    ),
    obj(
        "risk",
        "Risk of fraud.",
        enum("recommendation", "What Shopify recommends: accept, investigate, cancel or none."),
        many(
            "assessments",
            "Assessments, one by one.",
            enum("risk_level", "Level: none, low, medium, high or pending."),
            text("provider", "App that made it; null for Shopify itself.", "app", "title"),
        ),
    ),
)
