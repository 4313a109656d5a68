#!/bin/sh
# Seals a log as the service does, and has it verified by programs that are not ours: Tessera's fsck and a small program
# on golang.org/x/mod. Then alters it in one place after the other: each of the two has to refuse every one of them.
# Needs Go and its module proxy; takes a minute the first time. Run it as `make verify-with-go`.
set -eu
root=$(pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOBIN="$work/bin"

"$root/.venv/bin/python" -m tests.external.seal_a_log "$work/made"
go install github.com/transparency-dev/tessera/cmd/fsck@v1.0.4
(cd tests/external/go && go build -o "$work/bin/verify" .)
cd "$work/made"

# With its default --N 1 fsck hangs on a bad tile (transparency-dev/tessera#1098), so a timeout is a refusal; and it ends
# with 0 when it has failed, so what counts is the sentence with which it says that it has not.
fsck() {
    timeout 60 "$GOBIN/fsck" --storage_url="file://$PWD/ledger/2026/" --public_key=2026.vkey --N 64 --ui=false 2>&1 |
        cut -c 1-150 | tee /dev/stderr | grep -q "Successfully fsck'd"
}
verify() { "$GOBIN/verify" ledger/2026 2026.vkey older.txt; }
ours() { "$root/.venv/bin/policy-engine" log verify --tiles ledger/2026 --key 2026.vkey --older older.txt; }

fsck && verify && ours
cp -r ledger clean

refused() {
    for program in fsck verify ours; do
        if $program >"$work/said" 2>&1; then
            echo "$1: $program accepts it" >&2
            exit 1
        fi
        echo "$1: $program refuses it: $(grep -v ^I "$work/said" | head -n 1 | cut -c 1-110)"
    done
    rm -rf ledger
    cp -r clean ledger
}

flip() {
    "$root/.venv/bin/python" -c '
import pathlib, sys
path = pathlib.Path(sys.argv[1])
data = bytearray(path.read_bytes())
data[1000] ^= 1
path.write_bytes(data)' "$1"
}

flip ledger/2026/tile/entries/003 && refused "a byte of a bundle"
flip ledger/2026/tile/0/003 && refused "a byte of a hash tile"
rm ledger/2026/tile/entries/005 && refused "a missing bundle"
sed -i '2s/.*/2117/' ledger/2026/checkpoint && refused "another size in the checkpoint"
echo "every alteration was refused by every program"
