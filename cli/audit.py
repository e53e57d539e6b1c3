"""`veil audit`: evidence that an auditor checks without trusting whoever keeps it."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.helptext import flowing

if TYPE_CHECKING:
    from airflow_veil.privacy.audit.checkpoint import SignedCheckpoint
    from airflow_veil.privacy.audit.note import VerifierKey
    from airflow_veil.privacy.audit.record import Record
    from airflow_veil.privacy.ledger.ledger import Ledger

app = typer.Typer(
    no_args_is_help=True,
    help=flowing(
        """Evidence that an auditor checks without trusting whoever keeps it.

        Who keeps the ledger makes a key once (`keygen`), hands out its public half, and anchors the log every night
        (`anchor`). Who audits it needs that public key and the checkpoints that were anchored (`verify`, `check`).
        """
    ),
)

Seq = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="The entry's number.", show_default=False)]
KeyFile = Annotated[
    Path | None,
    typer.Option("--file", help="The signing key; VEIL_AUDIT_KEY or audit.key in VEIL_HOME where not said."),
]
Keys = Annotated[
    list[str],
    typer.Option(
        "--key",
        metavar="VKEY",
        help="A verifier key, or a file of it; repeat for several.",
        show_default=False,
    ),
]
Anchors = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Where checkpoints are: a file, a folder, a git repository or s3://BUCKET/PREFIX/.",
        show_default=False,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option("--log", metavar="FILE", help="An export of the evidence; the ledger where not said."),
]
Json = Annotated[bool, typer.Option("--json", help="Write JSON.")]


@app.command()
def keygen(
    name: Annotated[
        str,
        typer.Option(help="The log's name, unlike any other's: a domain and a path.", show_default=False),
    ],
    file: KeyFile = None,
    *,
    json: Json = False,
) -> None:
    """Make a signing key and print its verifier key, which is public. A key that is there is never replaced.

    Hand the verifier key to auditors by a way that whoever owns the ledger does not control.

    [bold]Examples[/bold]

    [green]veil audit keygen --name example.com/veil[/green]
    The signing key into a file of mode 0600, the verifier key to standard output.
    """
    from airflow_veil.privacy.audit import keyfile
    from airflow_veil.privacy.audit.note import SigningKey

    key, path = SigningKey.generate(name), _key_path(file)
    keyfile.create(path, key)
    console.note(f"Made a signing key in {path}; its verifier key:")
    _show_key(key.verifier, json=json)


@app.command()
def key(file: KeyFile = None, *, json: Json = False) -> None:
    """Print the verifier key of the signing key once more.

    [bold]Examples[/bold]

    [green]veil audit key > veil.vkey[/green]
    """
    from airflow_veil.privacy.audit import keyfile

    _show_key(keyfile.load(_key_path(file)).verifier, json=json)


@app.command()
def anchor(
    to: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="A file that grows, a folder (ends with a slash if new), a git repository or s3://BUCKET/PREFIX/.",
            show_default=False,
        ),
    ],
    file: KeyFile = None,
    *,
    trust: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VKEY",
            help="A verifier key of the same log that signed there before.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Sign how the evidence stands and keep that outside the database, if it goes on from what was anchored before.

    Refused if entries that were anchored are gone or are others now. Of a repository push the branch
    `veil-checkpoints`.

    [bold]Examples[/bold]

    [green]veil audit anchor --to s3://evidence/veil/[/green]
    An object for each checkpoint, in a bucket that forbids changes.

    [green]veil audit anchor --to ~/anchors && git -C ~/anchors push origin veil-checkpoints[/green]
    A commit for each checkpoint, in a repository that others fetch from.
    """
    from airflow_veil.cli.workspace import actor
    from airflow_veil.privacy.audit import keyfile
    from airflow_veil.privacy.audit.anchor import anchor as anchor_in
    from airflow_veil.privacy.audit.places import place

    signing = keyfile.load(_key_path(file))
    with _ledger() as opened:
        done = anchor_in(opened, signing, place(to), actor=actor(), trusted=_keys(trust or ()))
    if json:
        told = {"added": done.added, "before": done.before, "checkpoint": done.checkpoint.note}
        console.as_json(_state(done.checkpoint) | told)
    elif done.added:
        console.say(f"Anchored {done.checkpoint.size:,} entries, {done.before:,} before.", style="green")
    else:
        console.say(f"Nothing new: {done.before:,} entries are anchored.", style="green")


@app.command()
def verify(key: Keys, anchors: Anchors, log: Log = None, *, json: Json = False) -> None:
    """Check every entry of the evidence, and that they are the ones that were anchored.

    What a later checkpoint covers nobody can have changed, put in, moved or left out. Entries after the last
    checkpoint hang together, but whoever owns the database could have written them anew: they are told apart.

    [bold]Examples[/bold]

    [green]veil audit verify --key veil.vkey --anchors /mnt/worm/checkpoints/[/green]
    The ledger of this installation.

    [green]veil audit verify --key veil.vkey --anchors checkpoints.txt --log evidence.jsonl[/green]
    An export, without access to the ledger.
    """
    from airflow_veil.privacy.audit import record
    from airflow_veil.privacy.audit.verify import verify

    anchored = checkpoints_of(anchors, key)
    if log:
        report = verify(record.of_export(log), anchored)
    else:
        with _ledger() as opened:
            report = verify(record.of_ledger(opened), anchored)
    if json:
        ranges = {"anchored": _range(0, report.anchored), "unanchored": _range(report.anchored, report.size)}
        told = {"checkpoints": report.checkpoints, "erased": list(report.erased), **ranges}
        console.as_json({"size": report.size, "root": _base64(report.root)} | told)
        return
    console.say(
        f"{report.size:,} entries are as they were written; {report.checkpoints:,} checkpoints agree.",
        style="green",
    )
    console.say(f"Anchored:   {_words(0, report.anchored)}")
    console.say(f"Unanchored: {_words(report.anchored, report.size)}")
    for seq in report.erased:
        console.say(f"Entry {seq}: payload erased, as a later entry says.")


@app.command()
def export() -> None:
    """Write the evidence to standard output, an entry a line, in canonical JSON.

    [bold]Examples[/bold]

    [green]veil audit export > evidence.jsonl[/green]
    For an auditor, or as a backup that can be checked.
    """
    from airflow_veil.privacy.audit.record import of_ledger

    with _ledger() as opened:
        for entry, _ in of_ledger(opened):
            typer.echo(entry.line)


@app.command()
def prove(
    seq: Seq,
    key: Keys,
    anchors: Anchors,
    *,
    without_payload: Annotated[
        bool,
        typer.Option("--without-payload", help="Leave the payload out: only that it was there is proven."),
    ] = False,
) -> None:
    """Write the proof that an entry is in the anchored log, as JSON that can be checked without a ledger.

    [bold]Examples[/bold]

    [green]veil audit prove 4711 --key veil.vkey --anchors checkpoints.txt > proof.json[/green]
    For whoever asks what was done with their data.
    """
    from airflow_veil.privacy.audit import anchor, bundle

    checkpoint = anchor.covering(checkpoints_of(anchors, key), seq)
    with _ledger() as opened:
        console.as_json(bundle.prove(opened, seq, checkpoint, payload=not without_payload))


@app.command()
def check(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The proof, or a certificate.", show_default=False)
    ],
    key: Keys,
    *,
    json: Json = False,
) -> None:
    """Check a proof, or a certificate, by itself: neither ledger nor network is needed.

    [bold]Examples[/bold]

    [green]veil audit check proof.json --key veil.vkey[/green]
    What was done, when and by whom, if the proof holds.

    [green]veil audit check retention-shop-orders-0123abcd.json --key veil.vkey[/green]
    Whether the certificate is the one that was issued.
    """
    from airflow_veil.privacy.audit import bundle, certificate, record

    document, keys = record.parse(_text(file), where=str(file)), _keys(key)
    certified = isinstance(document, dict) and document.get("format") == certificate.FORMAT
    checked = certificate.check(document, keys, where=str(file)) if certified else None
    proven = checked.proven if checked else bundle.check(document, keys, where=str(file))
    entry = proven.record
    if json:
        facts = {"certificate": checked.certificate.facts} if checked else {}
        console.as_json({"entry": entry.public(), "log": _state(proven.checkpoint), **facts})
        return
    if checked:
        console.say(f"{checked.certificate.title}: these are the facts that were issued.", style="green")
        if not checked.certificate.passed:
            console.say("They say that what was done is not verified.", style="yellow")
    log = proven.checkpoint.checkpoint
    console.say(
        f"Entry {entry.seq} is in the log {log.origin}, among its first {log.size:,} entries.", style="green"
    )
    console.table("", ("recorded", "kind", "actor", "subject"), [_line(entry)])
    console.say(entry.payload or "Its payload is not part of the proof, or was erased.")


@app.command()
def certificates(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder.", show_default=False)],
    key: Keys,
    anchors: Anchors,
    *,
    json: Json = False,
) -> None:
    """Give the certificates of a folder their proofs, once a checkpoint covers them.

    [bold]Examples[/bold]

    [green]veil audit certificates ~/.airflow-veil/certificates --key veil.vkey --anchors checkpoints/[/green]
    After `veil audit anchor`.
    """
    from airflow_veil.privacy.audit.certificate import prove_all

    with _ledger() as opened:
        proven, waiting = prove_all(opened, folder, checkpoints_of(anchors, key))
    if json:
        console.as_json({"proven": proven, "waiting": waiting})
        return
    console.say(f"Proved {proven:,} certificates; {waiting:,} wait for a checkpoint.", style="green")


@app.command()
def erase(
    seq: Seq,
    reason: Annotated[str, typer.Option(help="Why; kept as evidence. No personal data.", show_default=False)],
    *,
    json: Json = False,
) -> None:
    """Erase the payload of an entry for good. The entry stays, and every proof stays valid; a new entry says so.

    Backups and exports are beyond reach; so is what PostgreSQL keeps until the table is vacuumed.

    [bold]Examples[/bold]

    [green]veil audit erase 4711 --reason "ticket 4711: a name in a reason"[/green]
    """
    from airflow_veil.cli.workspace import actor

    with _ledger() as opened:
        said = opened.erase_payload(seq, reason, actor())
    if json:
        console.as_json({"erased": seq, "said_by": said.seq})
        return
    console.say(f"The payload of entry {seq} is erased; entry {said.seq} says so.", style="green")


def checkpoints_of(anchors: str, keys: Iterable[str]) -> tuple[SignedCheckpoint, ...]:
    """The checkpoints of a place, by keys as the options give them."""
    from airflow_veil.privacy.audit import anchor
    from airflow_veil.privacy.audit.places import place

    return anchor.checkpoints(place(anchors), _keys(keys))


def _ledger() -> Ledger:
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    return own_ledger(Settings.from_env())


def _key_path(file: Path | None) -> Path:
    from airflow_veil.privacy.settings import Settings

    return file or Settings.from_env().audit_key


def _keys(given: Iterable[str]) -> tuple[VerifierKey, ...]:
    """Verifier keys, as text or in files of one or more lines."""
    from airflow_veil.privacy.audit.note import VerifierKey

    texts = [line for each in given for line in _lines(each)]
    return tuple(VerifierKey.parse(text) for text in texts if text.strip())


def _lines(given: str) -> list[str]:
    # No file name, for most of them, is a key: those have two plus signs.
    return [given] if given.count("+") >= 2 and not Path(given).is_file() else _text(Path(given)).splitlines()


def _text(file: Path) -> str:
    from airflow_veil.privacy.errors import StorageError

    try:
        return file.read_text("utf-8", "replace")
    except OSError as error:
        raise StorageError(f"the file cannot be read ({error.strerror})", where=str(file)) from None


def _show_key(verifier: VerifierKey, *, json: bool) -> None:
    if json:
        console.as_json({"name": verifier.name, "verifier_key": str(verifier)})
        return
    typer.echo(str(verifier))


def _state(checkpoint: SignedCheckpoint) -> dict[str, Any]:
    said = checkpoint.checkpoint
    return {"origin": said.origin, "size": said.size, "root": _base64(said.root)}


def _base64(root: bytes) -> str:
    return base64.b64encode(root).decode()


def _range(after: int, last: int) -> list[int] | None:
    """The first and the last number of some entries; None if there are none."""
    return [after + 1, last] if last > after else None


def _words(after: int, last: int) -> str:
    return f"entries {after + 1:,} to {last:,}" if last > after else "none"


def _line(entry: Record) -> Sequence[str]:
    return (entry.recorded_at, entry.kind, entry.actor, entry.subject)
