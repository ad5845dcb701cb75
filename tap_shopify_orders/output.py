"""Output on stdout: takes Singer messages of one store or several, writes whole lines.

Each state that it writes is that of all stores. It knows Singer's messages, but streams and stores by name only.
"""

from __future__ import annotations

import os
import sys
from threading import RLock
from typing import TYPE_CHECKING, Any

from singer_sdk.contrib.msgspec import MsgSpecWriter, encoder
from singer_sdk.singerlib import RecordMessage, SchemaMessage, StateMessage
from typing_extensions import override

from tap_shopify_orders.errors import UnwritableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.singerlib.encoding.simple import Message

    from tap_shopify_orders.bookmark import Bookmarks

LINES_BYTES = 1 << 16  # as much as a pipe holds


class WholeLines(MsgSpecWriter):
    """Writes records many at a time, and each line whole, to the last byte.

    A write to a full pipe that a signal interrupts takes a part, and tells how much. Anything but a record goes out at
    once, with the records before it: a state never overtakes them.
    """

    def __init__(self) -> None:
        """Begin with nothing to write."""
        super().__init__()
        self._lines = bytearray()
        self._ends_with_state = False

    def end(self, state: Mapping[str, Any]) -> None:
        """Write what there is, `state` last: the SDK leaves out one that hasn't changed, and a run looks cut short."""
        if not self._ends_with_state:
            self.write_message(StateMessage(dict(state)))

    @override
    def write_message(self, message: Message) -> None:
        """Keep a record's line, or write what there is."""
        self._ends_with_state = isinstance(message, StateMessage)
        encoder.encode_into(message.to_dict(), self._lines, -1)  # at the end; the SDK's own buffer is everybody's
        self._lines += b"\n"
        if len(self._lines) >= LINES_BYTES or not isinstance(message, RecordMessage):
            self.flush()

    def flush(self) -> None:
        """Write what there is to stdout."""
        lines, self._lines = memoryview(self._lines), bytearray()
        try:
            while lines:
                lines = lines[sys.stdout.buffer.write(lines) :]
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            _let_go_of_stdout()
            raise UnwritableError(
                f"Standard output can't be written ({error.strerror}): the records would be lost."
            ) from None


class Output:
    """What the stores of a run share: their bookmarks, the schemas written so far, and `turn`, which a writer holds."""

    def __init__(self, bookmarks: Bookmarks) -> None:
        """Take the bookmarks of all stores; nothing is written yet."""
        self.bookmarks = bookmarks
        self.turn = RLock()
        self._schemas: dict[str, dict[str, Any]] = {}

    def take_schema(self, schema: SchemaMessage) -> bool:
        """Keep the schema as the last one of its stream; returns whether it has to be written, as it is another one."""
        before, self._schemas[schema.stream] = self._schemas.get(schema.stream), schema.to_dict()
        return before != self._schemas[schema.stream]

    def close(self) -> None:
        """Have nobody write any more; waits until the lines at hand are out."""
        self.turn.acquire()


class StoreLines(WholeLines):
    """The messages of one store among others: a schema is written once for all of them, and a state is that of all."""

    def __init__(self, output: Output) -> None:
        """Take what the store shares with others; `shop_id`, its number, is set before its first message."""
        super().__init__()
        self.shop_id = 0
        self._output = output

    @override
    def write_message(self, message: Message) -> None:
        """Keep a record's line, or write what there is."""
        if isinstance(message, RecordMessage):
            super().write_message(message)
            return
        with self._output.turn:
            if isinstance(message, StateMessage):
                message = StateMessage(self._output.bookmarks.state_with(self.shop_id, message.value))
            if not isinstance(message, SchemaMessage) or self._output.take_schema(message):
                super().write_message(message)

    @override
    def flush(self) -> None:
        """Write what there is to stdout, when it is this store's turn."""
        with self._output.turn:
            super().flush()


def _let_go_of_stdout() -> None:
    """Have Python write what it still holds nowhere, when it ends: that would fail again, with a traceback."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
