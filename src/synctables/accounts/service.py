"""What can be done with accounts. Nothing here commits: the caller's transaction does."""

from __future__ import annotations

from uuid import UUID, uuid4

from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow

from synctables.accounts import repository, tenancy
from synctables.accounts.keys import create_key, hash_key
from synctables.accounts.model import Account, check_account_name
from synctables.errors import ConfigurationError, InvalidRequestError, UnknownItemError

MASTER = "master"
LOCAL = "local"


async def create_account(connection: AsyncConnection[DictRow], *, name: str) -> tuple[Account, str]:
    """Create an account with its schema, reader role and master key; give it and the key.

    Raises `InvalidRequestError` for a name that is wrong, reserved or taken (also by a schema
    that is none of ours), `ConfigurationError` where the service may not create roles. Nothing
    is changed then, and the caller's transaction can go on.
    """
    check_account_name(name)
    if await tenancy.schema_exists(connection, name=name):
        raise _taken(name)
    try:
        async with connection.transaction():
            return await _create(connection, name=name)
    except (errors.DuplicateSchema, errors.DuplicateObject, errors.UniqueViolation) as error:
        raise _taken(name) from error  # somebody else was faster
    except errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            "The database role of this service may not create schemas or roles. Let an "
            "administrator run: ALTER ROLE … CREATEROLE; GRANT CREATE ON DATABASE … TO …"
        ) from error


async def _create(connection: AsyncConnection[DictRow], *, name: str) -> tuple[Account, str]:
    account_id = uuid4()
    role = tenancy.name_reader_role(account_name=name, account_id=account_id)
    account = await repository.insert_account(
        connection, account_id=account_id, name=name, reader_role=role
    )
    await tenancy.create_tenancy(
        connection, schema_name=account.schema_name, reader_role=account.reader_role
    )
    return account, await _replace_key(connection, account=account, label=MASTER)


async def list_accounts(connection: AsyncConnection[DictRow]) -> list[Account]:
    """All accounts, by name."""
    return await repository.select_accounts(connection)


async def count_accounts(connection: AsyncConnection[DictRow]) -> int:
    return await repository.select_account_count(connection)


async def find_account(connection: AsyncConnection[DictRow], *, name: str) -> Account | None:
    return await repository.select_account_by_name(connection, name=name)


async def get_account(connection: AsyncConnection[DictRow], *, account_id: UUID) -> Account:
    """The account that a stored row refers to. Raises `UnknownItemError`."""
    account = await repository.select_account_by_id(connection, account_id=account_id)
    if account is None:
        raise UnknownItemError(f"There is no account {account_id}.")
    return account


async def rotate_key(connection: AsyncConnection[DictRow], *, name: str) -> str:
    """Replace the account's master key; the old one is void from COMMIT on.

    Raises `UnknownItemError`.
    """
    account = await find_account(connection, name=name)
    if account is None:
        raise UnknownItemError(f"There is no account named {name!r}.")
    return await _replace_key(connection, account=account, label=MASTER)


async def create_local_key(
    connection: AsyncConnection[DictRow], *, account: Account, host: str
) -> str:
    """A key for the machine that `serve` runs on; replaces the one of its last start there."""
    return await _replace_key(connection, account=account, label=f"{LOCAL} {host}")


async def authenticate(connection: AsyncConnection[DictRow], *, api_key: str) -> Account | None:
    """The account that this key belongs to."""
    return await repository.select_account_by_key(connection, key_sha256=hash_key(api_key))


async def _replace_key(
    connection: AsyncConnection[DictRow], *, account: Account, label: str
) -> str:
    api_key = create_key()
    await repository.replace_key(
        connection, account_id=account.id, label=label, key_sha256=hash_key(api_key)
    )
    return api_key


def _taken(name: str) -> InvalidRequestError:
    return InvalidRequestError(f"The name {name!r} is taken in this database. Choose another.")
