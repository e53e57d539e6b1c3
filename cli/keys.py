"""`veil keys`: the key ring in a file that only its owner can read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from airflow_veil.cli import console
from airflow_veil.cli.helptext import flowing

if TYPE_CHECKING:
    from airflow_veil.privacy.keys.file import KeyFile
    from airflow_veil.privacy.keys.ring import KeyRing

app = typer.Typer(
    no_args_is_help=True,
    help=flowing(
        """The key ring: what keyed treatments make their values with.

        A ring has versions. `rotate` makes a new one for new values and keeps the old ones for reading; `destroy`
        makes what an old one made unreadable for good. A team keeps its ring in an Airflow connection or secrets
        backend instead of a file; write one for it with `veil keys init --print`.
        """
    ),
)

File = Annotated[
    Path | None,
    typer.Option(
        "--file", help="The key file; VEIL_KEYS or keys.json in VEIL_HOME where not said.", dir_okay=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Write the versions as JSON; never a secret.")]


@app.command()
def init(
    file: File = None,
    *,
    show: Annotated[
        bool, typer.Option("--print", help="Write the ring with its secrets to a pipe instead of a file.")
    ] = False,
) -> None:
    """Make a new key ring with one version. A file that is there is never replaced.

    [bold]Examples[/bold]

    [green]veil keys init[/green]
    A key file for this machine, mode 0600.

    [green]veil keys init --print | vault kv put airflow/connections/veil_keys password=-[/green]
    A ring for a secrets backend; it never touches the disk here.
    """
    from airflow_veil.privacy.keys.ring import KeyRing

    if show:
        _print_ring(KeyRing.generate())
        return
    key_file = _key_file(file)
    _make_folder(key_file.path.parent)
    key_file.create()
    console.say(f"Made a key ring with version 1 in {key_file.path}.", style="green")
    console.say("Back it up where only you can read it: a lost ring cannot be made again.")


@app.command("list")
def list_(file: File = None, *, json: Json = False) -> None:
    """List the versions: number, state, when made, fingerprint.

    [bold]Examples[/bold]

    [green]veil keys list[/green]
    [green]veil keys list --json[/green]
    """
    _show(_key_file(file).load(), json=json)


@app.command()
def rotate(file: File = None, *, json: Json = False) -> None:
    """Add a new version for new values; what older versions made can still be read.

    Releases made from now on have other tokens than those made before: rebuild what must join.

    [bold]Examples[/bold]

    [green]veil keys rotate[/green]
    """
    _show(_key_file(file).rotate(), json=json)


@app.command()
def destroy(
    version: Annotated[int, typer.Argument(min=1, help="The version, a retired one.")],
    file: File = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: Json = False,
) -> None:
    """Destroy the secret of a retired version: what it made can never be read again.

    Copies of the key file elsewhere (backups, snapshots) are beyond reach; destroy them yourself.

    [bold]Examples[/bold]

    [green]veil keys destroy 1[/green]
    Asks first.

    [green]veil keys destroy 1 --yes[/green]
    For scripts.
    """
    key_file = _key_file(file)
    key_file.load().version(version)
    _tell_who_needs(version)
    if not yes:
        typer.confirm(f"Destroy version {version} of {key_file.path} for good?", abort=True, err=True)
    _show(key_file.destroy(version), json=json)


def _tell_who_needs(version: int) -> None:
    """Say what of this installation's ledger could not be looked up or opened without a version."""
    from airflow_veil.privacy.release.workspace import own_ledger
    from airflow_veil.privacy.settings import Settings

    settings = Settings.from_env()
    kind, _, file = settings.ledger.partition(":///")
    if kind == "sqlite" and not Path(file).exists():
        return
    with own_ledger(settings) as ledger:
        requests = [each for each in ledger.erasures.listed() if each.sealed and each.key_version == version]
        holds = [each for each in ledger.holds.listed() if not each.lifted_at and each.key_version == version]
        models = [
            each for each in ledger.models.listed() if not each.ended_at and each.key_version == version
        ]
        needs = {
            "the suppression lists of": ledger.suppression.policies(version),
            "open requests for erasure of": sorted({each.policy for each in requests}),
            "holds of": sorted({each.policy for each in holds}),
            "models of synthetic data of": sorted({each.policy for each in models}),
        }
    for what, policies in needs.items():
        if policies:
            console.note(f"Version {version} is needed by {what} {', '.join(policies)}.", style="yellow")


def _key_file(path: Path | None) -> KeyFile:
    from airflow_veil.privacy.keys.file import KeyFile
    from airflow_veil.privacy.settings import Settings

    return KeyFile(path or Settings.from_env().key_file)


def _make_folder(folder: Path) -> None:
    """The folder of a new key file, open to its owner alone where it is made here."""
    from airflow_veil.privacy.errors import KeyRingError

    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        what = f"the folder of the key file cannot be made ({error.strerror})"
        raise KeyRingError(what, where=str(folder), fix="name a file where this user may write") from None


def _print_ring(ring: KeyRing) -> None:
    """Write the secrets, but not onto a screen that somebody may look at or record."""
    import sys

    if sys.stdout.isatty():
        raise typer.BadParameter(
            "refused on a terminal: send the ring into a pipe or a 0600 file", param_hint="--print"
        )
    typer.echo(ring.to_json(), nl=False)


def _show(ring: KeyRing, *, json: bool) -> None:
    versions = [_version(version) for version in ring.versions]
    if json:
        console.as_json(versions)
        return
    rows = [tuple("" if value is None else str(value) for value in version.values()) for version in versions]
    console.table("", ("version", "state", "made", "destroyed", "fingerprint"), rows, right=("version",))


def _version(version: Any) -> dict[str, Any]:
    return {
        "version": version.number,
        "state": version.state.value,
        "created": version.created.isoformat(),
        "destroyed": version.destroyed.isoformat() if version.destroyed else None,
        "fingerprint": version.fingerprint,
    }
