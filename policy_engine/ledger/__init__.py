"""The ledger wing: Merkle tiles, signed checkpoints and proofs, in the formats of C2SP; bytes in, bytes out."""
