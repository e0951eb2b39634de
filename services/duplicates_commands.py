"""The command `comics duplicates`: what looks the same, whom to keep, and what a person decides about it."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.amounts import amount, counted
from services.asking import ClientOf, Command
from services.wrong_calls import WrongCall
from shared.domain.duplicates import (
    DUPLICATE_KINDS,
    Duplicate,
    DuplicateGroup,
    DuplicateKind,
    DuplicateOutcome,
    DuplicateState,
)
from shared.settings import Settings

if TYPE_CHECKING:
    from shared.http.client import Client

ALIKE: dict[DuplicateKind, str] = {
    "bytes": "files of the same bytes",
    "comic": "comics that look the same",
    "page": "pages that look the same",
}
WHOLE: tuple[DuplicateKind, ...] = ("bytes", "comic")  # kinds of which all suggestions may be taken at once


def add_duplicates_command(command: Command, client_of: ClientOf) -> None:
    """Put the command into the parser; `client_of` gives a client for the settings."""

    def run(chosen: argparse.Namespace, configured: Settings) -> int:
        _require_one_meaning(chosen)
        with client_of(configured) as client:
            return _run(client, chosen)

    duplicates = command("duplicates", run, "what looks the same, and whom to keep; nothing is ever deleted")
    duplicates.add_argument(
        "--kind", choices=DUPLICATE_KINDS, help="files of the same bytes, the same comic, or single pages (default all)"
    )
    which = duplicates.add_mutually_exclusive_group()
    which.add_argument("--decided", action="store_true", help="the groups that are decided, not the open ones")
    which.add_argument("--told-apart", action="store_true", help="what was called distinct, two at a time, to undo it")
    duplicates.add_argument("--json", action="store_true", help="the groups as JSON, one a line")
    deciding = duplicates.add_argument_group("deciding; `--kind` says what the numbers are (default comic)")
    deciding.add_argument("--keep", type=int, metavar="ID", help="keep this one, with `--hide`")
    deciding.add_argument("--hide", type=int, nargs="+", metavar="ID", help="put these aside")
    deciding.add_argument("--distinct", type=int, nargs="+", metavar="ID", help="these only look the same")
    deciding.add_argument("--undo", type=int, nargs="+", metavar="ID", help="forget what was decided about these")
    deciding.add_argument(
        "--hide-all", action="store_true", help="follow every suggestion about files and comics (with --yes)"
    )
    deciding.add_argument("--yes", action="store_true", help="really do it")


def _require_one_meaning(chosen: argparse.Namespace) -> None:
    hiding = chosen.keep is not None or chosen.hide is not None
    acts = [
        name
        for name, given in (
            ("--keep … --hide", hiding),
            ("--distinct", chosen.distinct is not None),
            ("--undo", chosen.undo is not None),
            ("--hide-all", chosen.hide_all),
        )
        if given
    ]
    if len(acts) > 1:
        raise WrongCall(f"{' and '.join(f'`{act}`' for act in acts)} do not go together")
    if hiding and (chosen.keep is None or chosen.hide is None):
        raise WrongCall("`--keep` and `--hide` go together: one to keep, the others to put aside")
    if hiding and chosen.keep in chosen.hide:
        raise WrongCall(f"`--hide`: {chosen.keep} cannot be kept and put aside at once")
    if chosen.distinct is not None and len(set(chosen.distinct)) < 2:
        raise WrongCall("`--distinct`: name two or more")
    if chosen.distinct and chosen.kind == "bytes":
        raise WrongCall("`--distinct`: files of the same bytes are the same; there is nothing to tell apart")
    if chosen.hide_all and chosen.kind == "page":
        raise WrongCall("`--hide-all` is for files and comics; decide about pages one group at a time")
    if chosen.yes and not chosen.hide_all:
        raise WrongCall("`--yes` means something with `--hide-all` only")
    if (chosen.json or chosen.decided or chosen.told_apart) and acts:
        raise WrongCall("`--json`, `--decided` and `--told-apart` are for looking, not for deciding")


def _run(client: "Client", chosen: argparse.Namespace) -> int:
    kind: DuplicateKind = chosen.kind or "comic"
    if chosen.hide is not None:
        return _told(client.hide_duplicates(kind, keep=chosen.keep, hide=chosen.hide))
    if chosen.distinct is not None:
        return _told(client.tell_apart(kind, chosen.distinct))
    if chosen.undo is not None:
        return _told(client.undo_decisions(kind, chosen.undo))
    if chosen.hide_all:
        return _hide_all(client, [chosen.kind] if chosen.kind else WHOLE, really=chosen.yes)
    return _list(client, chosen)


def _list(client: "Client", chosen: argparse.Namespace) -> int:
    counts = dict.fromkeys([chosen.kind] if chosen.kind else DUPLICATE_KINDS, 0)
    state: DuplicateState = "distinct" if chosen.told_apart else "decided" if chosen.decided else "open"
    for kind in counts:
        for group in client.duplicates(kind, state=state):
            counts[kind] += 1
            if chosen.json:
                print(group.model_dump_json())
            else:
                _print_group(group)
    if not chosen.json:
        print(", ".join(f"{counted(count, f'{state} group')} of kind {kind}" for kind, count in counts.items()))
    return 0


def _print_group(group: DuplicateGroup) -> None:
    sure = "" if group.kind == "bytes" else f", {group.score:.0%} sure"
    print(f"{group.id}  {group.count} {ALIKE[group.kind]}{sure}")
    for member in group.members:
        kept = member.id == group.keep
        does = "keep" if kept else "hidden" if member.hidden else "hide" if group.state == "open" else ""
        print(f"  {does:6} {member.id:8}  {_what(member)}" + (f"  ({group.why})" if kept else ""))
    if group.count > len(group.members):
        print(f"  … and {group.count - len(group.members)} more")


def _what(member: Duplicate) -> str:
    if member.location is not None:
        return f"{member.location}  comic {member.comic_id}: {member.title}"
    size = f"{member.width} × {member.height}" if member.width else "no readable page"
    if member.page_number is not None:
        return f"{member.title}, page {member.page_number + 1}, {size}"
    return f"{member.title} ({member.file_name}), {counted(member.pages or 0, 'page')}, {size}, {amount(member.size)}"


def _hide_all(client: "Client", kinds: Sequence[DuplicateKind], *, really: bool) -> int:
    """Follow all suggestions, or only say what that would do."""
    groups = [group for kind in kinds for group in client.duplicates(kind, state="open")]
    hiding = {
        group.id: [one.id for one in group.members if one.id != group.keep and not one.hidden] for group in groups
    }
    for kind in kinds:
        chosen = [group for group in groups if group.kind == kind]
        what = "file" if kind == "bytes" else "comic"
        count = sum(len(hiding[group.id]) for group in chosen)
        print(f"{counted(len(chosen), 'group')} of kind {kind}: {counted(count, what)} to hide")
    if not groups:
        return 0
    if not really:
        print("nothing was changed; `comics duplicates` lists them, `--hide-all --yes` hides them")
        return 0
    for number, group in enumerate(groups, start=1):
        # Where all but the kept one are hidden already, the decision itself is what was missing.
        assert group.keep is not None
        others = hiding[group.id] or [one.id for one in group.members if one.id != group.keep]
        outcome = client.hide_duplicates(group.kind, keep=group.keep, hide=others)
        what = "file" if group.kind == "bytes" else "comic"
        hidden = counted(outcome.hidden_pages, "page")
        print(f"[{number}/{len(groups)}] {group.id}: kept {what} {group.keep}, {hidden} hidden")
    return 0


def _told(outcome: DuplicateOutcome) -> int:
    parts = [f"{counted(outcome.hidden_pages, 'page')} hidden", f"{counted(outcome.shown_pages, 'page')} shown again"]
    parts += [f"{counted(count, f'{stage} job')} removed" for stage, count in outcome.removed.items()]
    parts += [f"{counted(count, f'{stage} job')} queued" for stage, count in outcome.planned.items()]
    print("remembered: " + ", ".join(parts))
    return 0
