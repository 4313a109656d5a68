"""Both databases, as the store's own tests have them."""

from tests.store.conftest import kind, migrated_file, postgres, postgres_store, sqlite_store, store

__all__ = ["kind", "migrated_file", "postgres", "postgres_store", "sqlite_store", "store"]
