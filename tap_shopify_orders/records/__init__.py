"""What a node of Shopify becomes: the fields of a record, their schema, and the code that makes one. Pure."""
