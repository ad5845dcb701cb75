"""What a run writes, in: the messages of one store or several; out: whole lines on stdout, a state always that of all.

Knows Singer's messages, but nothing of a stream or a store but its name.
"""

from __future__ import annotations

import sys
from threading import RLock
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.singerlib import RecordMessage, SchemaMessage, StateMessage

from tap_shopify_orders.state import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.singerlib.encoding.simple import Message

    State = dict[str, Any]

LINES_BYTES = 1 << 16  # as much as a pipe holds


class WholeLines(MsgSpecWriter):
    """Writes records many at a time, and each line whole, to the last byte.

    A write to a full pipe that a signal interrupts takes a part, and says how much. Anything but a record goes out at
    once, with the records before it: a state never overtakes them.
    """

    def __init__(self) -> None:
        """Begin with nothing to write."""
        super().__init__()
        self._lines = bytearray()

    def write_message(self, message: Message) -> None:
        """Keep a record's line, or write what there is."""
        encoder.encode_into(message.to_dict(), self._lines, -1)  # at the end; the SDK's own buffer is everybody's
        self._lines += b"\n"
        if len(self._lines) >= LINES_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Write what there is to stdout."""
        lines, self._lines = memoryview(self._lines), bytearray()
        while lines:
            lines = lines[sys.stdout.buffer.write(lines) :]
        sys.stdout.buffer.flush()


class Output:
    """Where the messages of a run's stores meet; who writes holds `turn`.

    On the wire a state is by shop, in the form that the SDK has for partitions: {"bookmarks": {stream: {"partitions":
    [{"context": {"shop": domain}, ...}]}}}. Meltano replaces such a list as a whole where it lays the state of a run
    that failed over the last complete one, while it would mix objects. To a store's tap its state is its own alone.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Take the state that a run begins with; shops and streams that it doesn't read stay as they are."""
        self.turn = RLock()
        self._schemas: dict[str, State] = {}
        self._of_other_taps: State = {}
        self._of_no_shop: State = {}
        self._by_shop: dict[str, dict[str, msgspec.Raw]] = {}  # for each stream; JSON, which nobody changes
        for stream, bookmark in state.get("bookmarks", {}).items():
            if stream not in STREAMS:
                self._of_other_taps[stream] = bookmark
                continue
            bookmark_alone = dict(bookmark)
            for partition in bookmark_alone.pop("partitions", ()):
                self._put(stream, partition)
            if bookmark_alone:
                self._of_no_shop[stream] = bookmark_alone

    def state_of(self, shop: str, *, alone: bool) -> State:
        """Return the state that a store's tap begins with.

        A bookmark of no shop, as somebody may have written it by hand, is the store's if the run reads no other.
        """
        bookmarks: State = dict(self._of_no_shop) if alone else {}
        for stream, partitions in self._by_shop.items():
            if shop in partitions:
                bookmarks[stream] = msgspec.json.decode(partitions[shop], type=dict[str, Any])
                del bookmarks[stream]["context"]
        return {"bookmarks": bookmarks} if bookmarks else {}

    @property
    def has_bookmarks_of_no_shop(self) -> bool:
        """Whether the state had bookmarks that of several stores none begins at."""
        return bool(self._of_no_shop)

    def has_bookmarks_of_others_than(self, shop: str) -> bool:
        """Say whether the state had bookmarks, but none at which a shop can begin."""
        return bool(self._by_shop) and not self._of_no_shop and not any(shop in one for one in self._by_shop.values())

    def state_with(self, shop: str, state: Mapping[str, Any]) -> State:
        """Return the state of all stores, once that of one has moved."""
        for stream, bookmark in state.get("bookmarks", {}).items():
            self._put(stream, {"context": {"shop": shop}, **bookmark})
        ours = {stream: {"partitions": [*one.values()]} for stream, one in self._by_shop.items()}
        return {"bookmarks": self._of_other_taps | ours}

    def is_said(self, schema: SchemaMessage) -> bool:
        """Say whether this was the last schema of its stream; from now on it is."""
        before, self._schemas[schema.stream] = self._schemas.get(schema.stream), schema.to_dict()
        return before == self._schemas[schema.stream]

    def close(self) -> None:
        """Have nobody write any more; waits until the lines at hand are out."""
        self.turn.acquire()

    def _put(self, stream: str, partition: State) -> None:
        self._by_shop.setdefault(stream, {})[partition["context"]["shop"]] = msgspec.Raw(encoder.encode(partition))


class StoreLines(WholeLines):
    """The messages of one store among others: a schema is said once for all of them, and a state is that of all."""

    def __init__(self, shop: str, output: Output) -> None:
        """Take the store's domain, and where the messages go."""
        super().__init__()
        self._shop, self._output = shop, output

    def write_message(self, message: Message) -> None:
        """Keep a record's line, or write what there is."""
        if isinstance(message, RecordMessage):
            super().write_message(message)
            return
        with self._output.turn:
            if isinstance(message, StateMessage):
                message = StateMessage(self._output.state_with(self._shop, message.value))
            if not (isinstance(message, SchemaMessage) and self._output.is_said(message)):
                super().write_message(message)

    def flush(self) -> None:
        """Write what there is to stdout, when it is this store's turn."""
        with self._output.turn:
            super().flush()
