"""The README of an evidence pack, for whoever has nothing else."""

from __future__ import annotations

from policy_engine.service.audit.evidence import PackContents


def pack_readme(held: PackContents) -> str:
    """The README of a pack."""
    trees = "\n".join(f"    {tree}" for tree in held.checkpoints.values())
    keys = "\n".join(f"    keys/{year}.vkey" for year in held.checkpoints)
    return f"""\
EVIDENCE PACK

{held.records} decision records, {held.changes} changes of the rule book, {held.books} archived books.

Checkpoints that everything here is proven under:

{trees}

HOW TO CHECK IT

1. Get the verifier key of each year from somewhere else than this pack: from the service (GET /log/years) or from
   whoever was given it when the year began. Keys in this pack:

{keys}

2. Run, with Python 3.9 or newer and no network:

    python3 verify.py PACK.zip --key KEY.vkey

   with one --key for each year. It ends with "verified: ..." and exit code 0, or with "FAILED: ..." and exit code 1,
   and prints what each record says. It draws report.html anew from the records and refuses another one. This README is
   not checked beyond the manifest, which whoever alters a pack can write anew.
   verify.py uses no code of the service; it is short enough to be read first. It is the same in every pack of a release
   (SHA-256 {held.verifier}):
   whoever alters a pack can alter the program in it too, so run one that you have from elsewhere.

3. Without verify.py: each file under records/ and changes/ is the exact content of an entry of the log. Its SHA-256
   with a zero byte before it is its leaf hash (RFC 6962); the file of the same name under receipts/ is a receipt in
   the format c2sp.org/tlog-proof@v1, whose checkpoint is a c2sp.org/signed-note. Any verifier of these formats will do.

4. Compare the checkpoints above with ones that somebody outside the operator has kept, such as a witness, an earlier
   pack or an e-mail. A checkpoint of the same size has the same root. One of another size is held against the log
   itself: policy-engine log verify --older CHECKPOINT

WHAT IT PROVES

Each record is what stands in the log of the operator under the checkpoints, byte for byte; the book under which it was
decided is the one here, and these persons put it in force.

WHAT IT DOES NOT PROVE

That the facts on which a decision stood were true; that no decision is missing from this pack, which is a selection;
and that the holder of the signing key has not written the log anew: only step 4 can tell.
"""
