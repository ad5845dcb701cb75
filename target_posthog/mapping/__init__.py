"""The meaning of a record: rules in YAML become functions from a record to events.

Pure, and knows neither Singer nor HTTP.
"""
