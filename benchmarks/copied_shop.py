"""A shop of any size that answers at once, in: a store and HTTP requests; out: what the sandbox's shop would answer.

What a question selects is worked out once per original; the copies are the same bytes with other numbers. Pages and the
results of bulk operations are put together here, all else is the sandbox's own answer. Nothing is throttled.
"""

from __future__ import annotations

import re
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any

import msgspec

from benchmarks.copied_store import CopiedStore
from benchmarks.copies import ID_DIGITS, copy, marked
from benchmarks.rendering import VERSION, PageQuestion, RowsQuestion, matcher
from sandbox.shop import Shop
from sandbox.shop.bulk import BulkOperations
from sandbox.shop.nodes import number_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from benchmarks.copied_store import Copies
    from sandbox.shop.store import Store

    Node = dict[str, Any]

PAGE = re.compile(r"\{\s*page:\s*(?:customers|orders)\(")
NODES = re.compile(r":\s*node\(id:|\{\s*nodes\(ids:|\{\s*order\(id:")
FILE = re.compile(r"/bulk/(\d+)\.jsonl")
SEARCH = re.compile(r'query:"([^"]*)" ?')
GLOBAL_ID = re.compile(rf"(gid://shopify/(?!Product)\w+/)(\d*?)(\d{{{ID_DIGITS}}})\b")

LATEST_SEARCHES = 8  # whose results are kept, as page after page of them is asked for
JSON = [("Content-Type", "application/json; charset=utf-8"), ("X-Shopify-API-Version", VERSION)]


class _Asked(msgspec.Struct):
    query: str
    variables: dict[str, Any] = {}


class _Answered(msgspec.Struct):
    data: dict[str, msgspec.Raw] | None = None
    extensions: msgspec.Raw = msgspec.Raw()


class CopiedShop:
    """A WSGI app. `copies` may be set at any time: how often each customer and order of the store is there."""

    def __init__(self, store: Store) -> None:
        self._store = CopiedStore(store)
        self._shop = Shop(self._store)
        self._shop.bulk = _Operations(self._shop, self._result)
        self._copies_of = lru_cache(LATEST_SEARCHES)(self._found)
        self._pages: dict[str, PageQuestion] = {}
        self._rows: dict[str, RowsQuestion] = {}

    @property
    def copies(self) -> int:
        """How often each customer and order is there."""
        return self._store.copies

    @copies.setter
    def copies(self, number: int) -> None:
        self._store.copies = number

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        file = FILE.fullmatch(environ["PATH_INFO"])
        if file:
            return self._file(f"gid://shopify/BulkOperation/{file[1]}", start_response)
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        asked = msgspec.json.decode(body, type=_Asked)
        if PAGE.search(asked.query):
            answer = self._page(asked)
        elif NODES.search(asked.query):
            answer = self._nodes(asked, environ)
        else:
            return self._shop.app({**environ, "wsgi.input": BytesIO(body)}, start_response)
        start_response("200 OK", JSON)
        return [answer]

    def _page(self, asked: _Asked) -> bytes:
        question = self._pages.get(asked.query) or PageQuestion(asked.query, asked.variables, self._store)
        self._pages[asked.query] = question
        copies = self._copies_of(question.kind, asked.variables["query"], self.copies)
        data, requested, actual = question.page(copies, asked.variables)
        status = self._shop.bucket.status()
        cost = {"requestedQueryCost": requested, "actualQueryCost": actual, "throttleStatus": status}
        return msgspec.json.encode({"data": data, "extensions": {"cost": cost}})

    def _found(self, kind: str, search: str, _copies: int) -> Copies:
        return self._store.copied(kind, matcher(kind, search))

    def _nodes(self, asked: _Asked, environ: WSGIEnvironment) -> bytes:
        """Ask for the originals, each once, and answer with their copies; a refusal is passed on as it is."""
        ids = asked.variables.get("ids")
        copies = [GLOBAL_ID.fullmatch(one) for one in ids] if ids else list(GLOBAL_ID.finditer(asked.query))
        originals = [found[1] + found[3] for found in copies if found]
        numbers = [int(found[2] or 0) for found in copies if found]
        variables = {**asked.variables, **({"ids": list(dict.fromkeys(originals))} if ids else {})}
        answer = self._ask(_Asked(GLOBAL_ID.sub(r"\1\3", asked.query), variables), environ)
        answered = msgspec.json.decode(answer, type=_Answered)
        if not answered.data:
            return answer
        if ids:
            found_nodes = msgspec.json.decode(answered.data["nodes"], type=list[msgspec.Raw])
            nodes = dict(zip(variables["ids"], found_nodes, strict=True))
            data: Node = {
                "nodes": [_copied(nodes[one], number) for one, number in zip(originals, numbers, strict=True)]
            }
        else:
            pairs = zip(answered.data.items(), numbers, strict=True)
            data = {key: _copied(node, number) for (key, node), number in pairs}
        return msgspec.json.encode({"data": data, "extensions": answered.extensions})

    def _ask(self, asked: _Asked, environ: WSGIEnvironment) -> bytes:
        body = msgspec.json.encode(asked)
        request = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        return b"".join(self._shop.app(request, lambda *_: len))

    def _file(self, global_id: str, start_response: StartResponse) -> Iterator[bytes]:
        operation = self._shop.bulk.get(global_id, "")
        result = self._result(operation["query"] if operation else "")
        size = str(result.size_bytes)
        start_response("200 OK", [("Content-Type", "application/jsonl"), ("Content-Length", size)])
        return result.file()

    def _result(self, query: str) -> _Result:
        search = SEARCH.search(query)
        general = SEARCH.sub("", query)
        question = self._rows.get(general) or RowsQuestion(general, self._store)
        self._rows[general] = question
        return _Result(question, search[1] if search else "", range(self.copies))


class _Result:
    """The file of a bulk operation over the copies of a search, which is made while it is read."""

    def __init__(self, question: RowsQuestion, search: str, numbers: range) -> None:
        matches = matcher(question.kind, search)
        self._rows = [one for one in question.rows if matches is None or matches(one.node)]
        self._numbers = numbers
        self.roots = len(self._rows) * len(numbers)
        self.objects = sum(one.objects for one in self._rows) * len(numbers)

    @property
    def size_bytes(self) -> int:
        """How long the file is."""
        return sum(one.size_bytes(self._numbers) for one in self._rows)

    def file(self) -> Iterator[bytes]:
        """Yield the rows of a node's copies, then those of their children, node by node."""
        for one in self._rows:
            for part in (one.root, one.children):
                yield b"".join([copy(part, number) for number in self._numbers])


class _Operations(BulkOperations):
    """Bulk operations that end at once; their results are made when they are fetched."""

    def __init__(self, shop: Shop, result: Callable[[str], _Result]) -> None:
        super().__init__(shop.clock)
        self._result = result

    def submit(self, query: str, write_rows: Callable[[], Iterable[tuple[bool, str]]]) -> Node:  # noqa: ARG002  # nothing is written
        """Start an operation."""
        return super().submit(query, lambda: ())

    def get(self, global_id: str, url: str) -> Node | None:
        """Return an operation, with its counts and the address of its result."""
        node = super().get(global_id, url)
        if node and node["status"] == "COMPLETED":
            result = self._result(node["query"])
            link = f"{url}/bulk/{number_of(node)}.jsonl" if result.objects else None
            node.update(objectCount=str(result.objects), rootObjectCount=str(result.roots), url=link)
        return node


def _copied(node: msgspec.Raw, number: int) -> msgspec.Raw:
    return msgspec.Raw(copy(marked(bytes(node)), number))
