"""Meaning of a node: its fields, their JSON schema, and the code that makes a record of it. Pure."""
