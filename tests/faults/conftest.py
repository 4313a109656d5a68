"""Both databases, as the store's own tests have them."""

from tests.store.conftest import kind, migrated_file, own_postgres, postgres, store

__all__ = ["kind", "migrated_file", "own_postgres", "postgres", "store"]
