"""`target-posthog receipts` and `target-posthog resend`: look after the receipts, and send facts again on purpose.

Take the setting `receipts` and the project's key; print for people.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import click
import msgspec

from target_posthog.commands.options import ending_with_sentence, query_api, setting
from target_posthog.errors import RunError, did_you_mean
from target_posthog.mapping.meanings import Meanings
from target_posthog.posthog.client import DEFAULT_HOST
from target_posthog.receipts.erasing import forms_of
from target_posthog.receipts.opening import is_database, open_store
from target_posthog.receipts.rebuilding import LONGEST_FLIGHT_SECONDS, kept_since, missing, rebuild, shown_since
from target_posthog.receipts.sifter import seconds_of
from target_posthog.receipts.store import RESEND, RESEND_ANYHOW, Fact, hashed_key, parts
from target_posthog.whole_file import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from target_posthog.posthog.query_api import QueryApi
    from target_posthog.receipts.store import Store

SECONDS_PER_MONTH = 30 * 24 * 3600  # a short one: what is in doubt is sent, not taken for sent
OLD_KEY = "TARGET_POSTHOG_OLD_API_KEY"
Whole = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # what the databases hold
Seconds = Annotated[int, msgspec.Meta(ge=-62_135_596_800, le=253_402_300_799)]  # since 1970, of the years 1 to 9999
MAY_NOT_SHOW_YET = (
    "PostHog may not show yet what was sent within the last day, and what has no receipt is sent again: run this "
    "again a day after the last run and before the next one; it only adds"
)
RULE_TOO = (
    "A `leave_out` rule with the person's numbers is needed as well, always: receipts don't know of everything that "
    "PostHog was told (docs/privacy.md, step 4)"
)
where = setting("receipts", "Where the receipts are: a file, or the URL of a PostgreSQL.")
whose = setting("api_key", "The project's API key.")
personal_key = setting("personal_api_key", "PostHog's personal API key, with the scope query:read.")
project = setting("project_id", "The project's number in PostHog.")
address = setting("host", "Where PostHog is.", DEFAULT_HOST)


@click.group(invoke_without_command=True)
@click.pass_context
def receipts(context: click.Context) -> None:
    """Show which events are known to be in PostHog, and look after that knowledge.

    A receipt says that PostHog has acknowledged an event. What has one isn't sent again.
    """
    if context.invoked_subcommand is None:
        show.main([], standalone_mode=False)


@receipts.command
@where
@whose
def show(receipts: str | None, api_key: str | None) -> None:
    """Print how many receipts there are, by event."""
    with ending_with_sentence():
        counts = _store(receipts, api_key, is_new=False).counts()
    total = sum(number for _, number, _, _ in counts)
    click.echo(f"{total:,} events are known to be in PostHog")
    for event, number, first, last in counts:
        click.echo(f"  {event}: {number:,}, from {first} to {last}")


@receipts.command
@where
@whose
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export(receipts: str | None, api_key: str | None, file: Path) -> None:
    """Write all receipts to FILE, a line of JSON for each; `merge` reads it. It has distinct ids in it."""
    number = 0
    with ending_with_sentence():
        store = _store_with_receipts(receipts, api_key)
        if receipts and file.exists() and Path(receipts).exists() and file.samefile(receipts):
            raise RunError(f"The receipts are in {file} already: name another file to export them to")
        try:
            with whole_file(file) as opened:
                if store.floor:
                    opened.write(msgspec.json.encode(_Floor(store.floor)) + b"\n")
                for fact in store.export():
                    number += 1
                    opened.write(msgspec.json.encode(_as_json(fact)) + b"\n")
        except OSError as error:
            raise RunError(f"The file {file} can't be written ({error.strerror})") from None
    click.echo(f"{number:,} receipts are in {file}. It holds personal data (distinct ids): delete it once it is merged")


@receipts.command
@where
@whose
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def merge(receipts: str | None, api_key: str | None, file: Path) -> None:
    """Add the receipts of FILE, which `export` has written, for example on another machine."""
    with ending_with_sentence():
        store, new = _store(receipts, api_key), 0
        try:
            with file.open("rb") as opened:
                for part in parts(_exported(line) for line in opened):
                    new += store.add([line for line in part if isinstance(line, Fact)])
                    store.floor = max(store.floor, *(line.floor for line in part if isinstance(line, _Floor)), 0)
        except OSError as error:
            raise RunError(f"The file {file} can't be read ({error.strerror})") from None
    click.echo(f"{new:,} receipts are new")


@receipts.command
@where
@whose
@click.option("--old-api-key", envvar=OLD_KEY, prompt=True, hide_input=True, help="The key before.")
def move(receipts: str | None, api_key: str | None, old_api_key: str) -> None:
    """Keep the receipts when the project gets a new API key: those of the old key become those of the new one."""
    with ending_with_sentence():
        if not api_key:
            raise RunError("The setting `api_key` is missing: the project's new API key")
        if not _store(receipts, api_key, is_new=False).is_empty:
            raise RunError("The new key has receipts of its own already; `export` the old ones and `merge` them")
        old = _store(receipts, old_api_key)
        if old.is_empty:
            raise RunError("The old key has no receipts here; is it the one with which the last runs sent?")
        old.move_to(hashed_key(api_key))
    click.echo("The receipts are those of the new key now")


@receipts.command
@where
@whose
@click.confirmation_option(prompt="Forget all receipts of this project? The next full refresh sends everything again")
def forget(receipts: str | None, api_key: str | None) -> None:
    """Delete all receipts of a project that was emptied in PostHog."""
    with ending_with_sentence():
        _store_with_receipts(receipts, api_key).forget()
    click.echo("The receipts are deleted")


@receipts.command
@where
@whose
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Don't ask.")
def erase(receipts: str | None, api_key: str | None, ids: tuple[str, ...], *, yes: bool) -> None:
    """Take a person's IDs out of the receipts, once the person and their events are deleted in PostHog.

    IDs are all that PostHog lists on the person's page, such as jane@example.com. What was sent of the person's records
    is never sent again, and isn't missing. What happens to these records later is sent without a person, under an id
    that says nothing. Run it when no run goes on, for each project of these receipts.

    A `leave_out` rule with the person's numbers is needed as well, always (docs/privacy.md): this can't cover a person
    of whom PostHog was told without an event that has a receipt, nor a record whose key is the e-mail itself.
    """
    with ending_with_sentence():
        store, forms = _store_with_receipts(receipts, api_key), forms_of(ids)
        records = store.of_person(forms)
        if not records:
            store.scrub()
            raise RunError(
                f"No receipt has any of these ids; do they stand so on the person's page in PostHog?\n{RULE_TOO}"
            )
        click.echo(f"{len(records):,} records, such as customers and orders, have events under these ids")
        if yes or click.confirm("Take the ids out for good?"):
            store.erase(records, forms)
            click.echo("The ids of these records are gone; nothing that was sent of them is sent again")
            click.echo(RULE_TOO)


@receipts.command(name="rebuild")
@where
@whose
@personal_key
@project
@address
@setting("mapping", "The mapping, which says what an event is about and which of its amounts add up.", "ecommerce")
@setting("mappings", "Rules that change it, as JSON.", "{}")
@setting("identity", "Which of a rule's distinct ids counts.", "email")
@click.option(
    "--retention-months",
    type=click.IntRange(min=1),
    help="How long PostHog shows events: what is older is taken for sent. By default what the project's settings say.",
)
def rebuild_receipts(  # noqa: PLR0913  # each is an option of the command
    *,
    receipts: str | None,
    api_key: str | None,
    personal_api_key: str | None,
    project_id: str | None,
    host: str,
    mapping: str,
    mappings: str,
    identity: str,
    retention_months: int | None,
) -> None:
    """Ask PostHog which events of ours it has, and write receipts for them.

    For a store of receipts that was lost, or a project that had events before it had receipts.
    """
    with ending_with_sentence():
        api = query_api(personal_api_key, project_id, host)
        if api is None:
            raise RunError("The setting `personal_api_key` is missing: with it PostHog says which events it has")
        store = _store(receipts, api_key)
        remembered = _meanings(mapping, mappings, identity).remembered
        floor = int(time.time()) - retention_months * SECONDS_PER_MONTH if retention_months else kept_since(api)
        if floor is None:
            click.echo(
                "The key may not read the project's settings (scope project:read), so it isn't known how long PostHog "
                "shows events: if your plan limits that, give --retention-months, or older ones are sent again"
            )
        elif floor:
            store.floor = floor
        seen, new = rebuild(api, store, remembered)
    click.echo(f"PostHog has {seen:,} events of ours; {new:,} receipts are new")
    click.echo(MAY_NOT_SHOW_YET)


@click.command
@where
@whose
@personal_key
@project
@address
@click.option("--event", help="Events of this name.")
@click.option("--from", "first", metavar="DAY", help="Events from this day on, such as 2026-11-01.")
@click.option("--to", "last", metavar="DAY", help="Events up to and including this day.")
@click.option("--record", help="Events of this record, such as gid://shopify/Order/450789469.")
@click.option("--missing", "is_missing", is_flag=True, help="Events with a receipt that PostHog doesn't show.")
@click.option("--persons", "is_persons", is_flag=True, help="What was said of persons, and links, instead of events.")
@click.option("--as-another", is_flag=True, help="Also what would come under another name, distinct id or day.")
@click.option("--yes", is_flag=True, help="Don't ask.")
def resend(  # noqa: PLR0913  # each is an option of the command
    *,
    receipts: str | None,
    api_key: str | None,
    personal_api_key: str | None,
    project_id: str | None,
    host: str,
    event: str | None,
    first: str | None,
    last: str | None,
    record: str | None,
    is_missing: bool,
    is_persons: bool,
    as_another: bool,
    yes: bool,
) -> None:
    """Mark events to be sent again by the next full refresh, after a change of the mapping.

    PostHog shows an event twice until it merges the two, and runs destinations and workflows for it again. What would
    come under another name, distinct id or day would count twice for ever; it isn't sent unless you say --as-another.
    What an event says of its person isn't repeated: --persons has each person described, and each link made, once more.
    """
    with ending_with_sentence():
        store = _store(receipts, api_key, is_new=False)
        if is_persons:
            is_alone = not (event or first or last or record or is_missing or as_another)
            _resend_persons(store, is_alone=is_alone, yes=yes)
            return
        condition, values = _condition(event, first, last, record)
        chosen = [(condition, values)]
        if is_missing:
            uuids = _missing(query_api(personal_api_key, project_id, host), store)
            chosen = [(f"{condition} AND {_one_of(part)}", [*values, *part]) for part in parts(uuids)]
        number = sum(store.count(*one) for one in chosen)
        names = {name for name, *_ in store.counts()} if event and not number else ()
        if event and not number and event not in names:
            raise RunError(f"No event `{event}` has a receipt{did_you_mean(event, names)}")
        one_on_its_way = "; one that was sent within the last day may be on its way, and would be there twice"
        twice = one_on_its_way if is_missing else "; PostHog will show as many twice until it merges them"
        click.echo(f"{number:,} events would be sent again by the next full refresh{twice}")
        if number and (yes or click.confirm("Mark them?")):
            for one in chosen:
                store.mark(*one, RESEND_ANYHOW if as_another else RESEND)
            click.echo("They are marked: your usual `meltano run`, with `--full-refresh`, sends them")
        if is_missing and number:
            click.echo("If persons or links are missing in PostHog, too: `resend --persons` has all sent again")


def _missing(api: QueryApi | None, store: Store) -> Iterator[bytes]:
    """Return the uuids of what has a receipt and isn't in PostHog; raises `RunError` where nobody can say."""
    if api is None:
        raise RunError("The setting `personal_api_key` is missing: with it PostHog says which events it has")
    since, note = shown_since(api)
    if since is None:
        raise RunError(note)
    if note:
        click.echo(note)
    return (fact.uuid for fact in missing(api, store, since, int(time.time()) - LONGEST_FLIGHT_SECONDS))


def _resend_persons(store: Store, *, is_alone: bool, yes: bool) -> None:
    if not is_alone:
        raise RunError("--persons is for all persons, and goes with no other choice: give it a command of its own")
    number = store.persons_number()
    click.echo(
        f"{number:,} descriptions of persons and groups, and links, would be sent again by the next full refresh; "
        "PostHog applies them as they are now, and what it has stays as it is"
    )
    if number and (yes or click.confirm("Have them sent?")):
        store.forget_persons()
        click.echo("Their receipts are deleted: your usual `meltano run`, with `--full-refresh`, sends them")


def _store(receipts: str | None, api_key: str | None, *, is_new: bool = True) -> Store:
    """Open the store; raises `RunError` for a missing setting, and for a file that isn't there unless it may be new."""
    may_be_there = is_new or not receipts or is_database(receipts) or Path(receipts).exists()
    if receipts and api_key and not may_be_there:
        raise RunError(f"`receipts`: there is no file {receipts}; a run makes it, or `receipts rebuild`")
    store = open_store({"receipts": receipts, "api_key": api_key}) if receipts and api_key else None
    if store is None:
        name = "api_key" if receipts else "receipts"
        raise RunError(f"The setting `{name}` is missing (or TARGET_POSTHOG_{name.upper()} in the environment)")
    return store


def _store_with_receipts(receipts: str | None, api_key: str | None) -> Store:
    """Open a store that has receipts of the project; raises `RunError` also where it has none."""
    store = _store(receipts, api_key, is_new=False)
    if store.is_empty:
        raise RunError("There are no receipts of this project; is `api_key` its key?")
    return store


def _meanings(mapping: str, mappings: str, identity: str) -> Meanings:
    """Return the rules of the settings; raises `RunError`."""
    try:
        changes = msgspec.json.decode(mappings or "{}", type=dict)
    except msgspec.DecodeError:
        raise RunError("The setting `mappings` isn't a JSON object") from None
    return Meanings(
        {"mapping": mapping, "mappings": changes, "identity": identity, "unmapped": "event", "groups": False}
    )


def _condition(event: str | None, first: str | None, last: str | None, record: str | None) -> tuple[str, list[object]]:
    try:
        wishes: list[tuple[str, object]] = [
            ("kind.event = ?", event),
            ("fact.at >= ?", seconds_of(f"{first}T00:00:00Z") if first else None),
            ("fact.at <= ?", seconds_of(f"{last}T23:59:59Z") if last else None),
            ("entity.key = ?", record),
        ]
    except ValueError:
        raise RunError("--from and --to need days such as 2026-11-01") from None
    if first and last and first > last:
        raise RunError("--from is a later day than --to")
    chosen = [(condition, value) for condition, value in wishes if value is not None]
    return " AND ".join(condition for condition, _ in chosen) or "1 = 1", [value for _, value in chosen]


def _one_of(uuids: Sequence[bytes]) -> str:
    return f"fact.uuid IN ({', '.join('?' * len(uuids))})"


class _Floor(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an exported file: facts before this moment, in seconds since 1970, are taken for sent."""

    floor: Seconds


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    """A line of an exported file: a receipt, its uuid as text."""

    uuid: UUID
    rule: str
    event: str
    entity: str | None
    distinct_id: str
    sent_as: Whole
    at: Seconds
    digest: Whole | None
    provisional: str | None = None
    money: str | None = None


def _as_json(fact: Fact) -> dict[str, object]:
    fields = {name: value for name, value in msgspec.structs.asdict(fact).items() if name != "is_again"}
    return {**fields, "uuid": str(UUID(bytes=fact.uuid))}


def _exported(line: bytes) -> Fact | _Floor:
    """Return what a line of an exported file says; raises `RunError`."""
    try:
        if line.startswith(b'{"floor"'):
            return msgspec.json.decode(line, type=_Floor)
        values = msgspec.structs.asdict(msgspec.json.decode(line, type=_Line))
    except (msgspec.DecodeError, UnicodeError):
        raise RunError(
            "The file has a line that isn't a receipt; `target-posthog receipts export` writes them"
        ) from None
    return Fact(**{**values, "uuid": values["uuid"].bytes})
