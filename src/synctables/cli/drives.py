"""``synctables drive``: connect cloud drives and look what lies in them."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synctables.cli.options import ApiKey, AsJson, DataDir, Server
from synctables.cli.output import print_json, print_table, say
from synctables.cli.places import find_client, find_database_url, read_settings
from synctables.errors import ConfigurationError

if TYPE_CHECKING:
    from synctables.accounts.seal import Seal
    from synctables.cli.client import Client
    from synctables.datasources.drives.stored_tokens import Unreadable

Service = Annotated[
    str, typer.Argument(metavar="SERVICE", help="gdrive, dropbox or box.", show_default=False)
]

_LOOK_AGAIN_SECONDS = 1.0
_CONSENT_SECONDS = 900.0

drive = typer.Typer(help="Connect Google Drive, Dropbox and Box; list the files in them.")


def register(app: typer.Typer) -> None:
    app.add_typer(drive, name="drive")
    app.command("rotate-token-key")(rotate_token_key)


@drive.command()
def connect(
    service: Service,
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the user has come back from the service.")
    ] = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Print the address where a user lets this server read the service's files."""
    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    say(client.get(_path(service, "auth_url"))["url"])
    if wait:
        _wait_for_token(client, service)
        say(f"Connected to {service}.")


@drive.command("files")
def list_files(
    service: Service,
    *,
    search: Annotated[
        str | None, typer.Option("--search", metavar="TEXT", help="Only names with this in them.")
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option("--folder", metavar="ID", help="Only what lies in it; '' is the root."),
    ] = None,
    as_json: AsJson = False,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """List the files that can become tables."""
    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    query = {
        name: value for name, value in (("filter", search), ("folder", folder)) if value is not None
    }
    files: list[dict[str, Any]] = client.get(_path(service, "list_files"), query=query)["files"]
    if as_json:
        print_json(files)
        return
    rows = [
        (
            file["path"] or file["title"],
            "folder" if file["is_folder"] else file["size"] or None,
            file["modified_at"],
            file["id"],
        )
        for file in files
    ]
    print_table(("File", "Bytes", "Modified", "Id"), rows)


@drive.command()
def disconnect(
    service: Service,
    *,
    server: Server = None,
    api_key: ApiKey = None,
    data_dir: DataDir = None,
) -> None:
    """Withdraw the consent at the service and forget the token."""
    client = find_client(server=server, api_key=api_key, data_dir=data_dir)
    client.delete(_path(service, "invalidate_token"))
    say(f"Disconnected from {service}. Tables made of its files stay.")


def rotate_token_key(
    *,
    print_key: Annotated[
        bool, typer.Option("--print", help="Only print a new key, for SYNCTABLES_TOKEN_KEYS.")
    ] = False,
    forget_unreadable: Annotated[
        bool,
        typer.Option(
            "--forget-unreadable",
            help="Forget tokens whose key is lost; their accounts connect again.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Forget them without asking.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Seal the tokens of cloud services with a new key.

    Keys in the data directory are replaced. Where SYNCTABLES_TOKEN_KEYS holds them, put a new one
    (--print) in front first, restart every part of the service, then run this; older keys can be
    taken out afterwards.
    """
    from synctables.accounts.seal import add_key, create_key, keep_newest, key_file, load_seal
    from synctables.datasources.drives.stored_tokens import find_unreadable, reseal_all

    if (print_key and forget_unreadable) or (yes and not forget_unreadable):
        raise typer.BadParameter("--yes goes with --forget-unreadable, and --print with neither.")
    if print_key:
        typer.echo(create_key())
        return
    settings = read_settings(data_dir)

    def load_keys() -> "Seal":
        if settings.token_keys is None:
            add_key(key_file(settings))
        return load_seal(settings)

    database_url = find_database_url(settings)
    lost = find_unreadable(database_url, load_seal(settings)) if forget_unreadable else []
    _ask(lost, is_agreed=yes)
    done = reseal_all(database_url, load_keys, forgets=lost)
    if settings.token_keys is None:
        keep_newest(key_file(settings))
    say(f"Tokens sealed anew: {done.sealed_count}.")
    if done.forgotten_count:
        say(f"Tokens forgotten: {done.forgotten_count}. Their accounts have to connect again.")


def _ask(lost: "list[Unreadable]", *, is_agreed: bool) -> None:
    """Whether these tokens may go; with the wrong data directory it is all of them."""
    for token in lost:
        say(f"No key opens the token of {token.account} at {token.service}.")
    if lost and not is_agreed:
        typer.confirm("Forget these tokens? Their accounts have to connect again.", abort=True)


def _wait_for_token(client: "Client", service: str) -> None:
    deadline = time.monotonic() + _CONSENT_SECONDS
    while not client.get(_path(service, "token_valid"))["oauth_valid"]:
        if time.monotonic() > deadline:
            raise ConfigurationError("Nobody came back from the service. Ask for a new address.")
        time.sleep(_LOOK_AGAIN_SECONDS)


def _path(service: str, verb: str) -> str:
    from synctables.cli.client import path_of

    return path_of("imports", "service", service, verb)
