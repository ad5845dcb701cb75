"""What a record means: always the same, or a sentence; the record is never changed."""

from __future__ import annotations

import re
from copy import deepcopy
from typing import Any
from uuid import uuid5

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.shop.cdnow import cdnow_store
from target_posthog.delivery.batches import sized
from target_posthog.mapping.document import active, load, shipped_names
from target_posthog.mapping.event import NAMESPACE, uuid_of
from target_posthog.mapping.identity import usable
from target_posthog.mapping.meanings import StreamMapping
from target_posthog.mapping.rule import RecordError
from target_posthog.receipts.sifter import Sifted
from tests.conftest import LAST_DAY
from tests.properties.records import records_of
from tests.properties.values import VALUES, spoilt

RECORDS = records_of(cdnow_store(LAST_DAY, customers=6))
IDENTITIES = ("email", "customer_id", "email_sha256")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
MAPPINGS = {
    (name, identity, stream): StreamMapping(stream, active(rules), identity=identity)
    for name in shipped_names()
    for identity in IDENTITIES
    for stream, rules in load(name)["streams"].items()
}


def reordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: reordered(inner) for key, inner in reversed(value.items())}
    return [reordered(inner) for inner in value] if isinstance(value, list) else value


def meaning(mapping: StreamMapping, record: Any) -> bytes | str:
    try:
        reason = mapping.reason_to_leave_out(record)
        return msgspec.json.encode([] if reason else mapping.events(record))
    except RecordError as error:
        return str(error)


@pytest.mark.parametrize("name", shipped_names())
@given(data=st.data())
def test_a_spoilt_record_gives_the_same_events_each_time_or_a_sentence(name: str, data: st.DataObject) -> None:
    mapping_name, identity, stream = data.draw(st.sampled_from([one for one in MAPPINGS if one[0] == name]))
    mapping = MAPPINGS[mapping_name, identity, stream]
    record = data.draw(st.sampled_from(RECORDS.get(stream) or RECORDS["orders"]).flatmap(spoilt))
    before = deepcopy(record)
    first = meaning(mapping, record)
    assert record == before
    assert first == meaning(mapping, before), "byte for byte"
    other = meaning(mapping, reordered(record))
    assert isinstance(other, bytes) is isinstance(first, bytes)
    if isinstance(first, bytes):
        assert msgspec.json.decode(first) == msgspec.json.decode(other)
        for event in msgspec.json.decode(first):
            assert usable(event["distinct_id"]) == event["distinct_id"] or event["event"] == "$groupidentify"
            assert TIME.fullmatch(event["timestamp"])
            sized(Sifted(event, "rule", None))


@given(VALUES)
def test_a_record_of_anything_gives_events_or_a_sentence(value: Any) -> None:
    record = value if isinstance(value, dict) else {"id": value, "email": value, "created_at": value}
    for mapping in MAPPINGS.values():
        meaning(mapping, record)


@given(st.text(st.characters(codec="utf-8")))
def test_the_uuid_of_a_key_is_that_of_the_standard_library(key: str) -> None:
    assert uuid_of(key.encode()) == str(uuid5(NAMESPACE, key))
