// Verifies a log with the Go project's own packages: go run . TILES-FOLDER VKEY-FILE [OLDER-CHECKPOINT]...
//
// It checks the signature of the checkpoint, every entry against the tree, the root, and that the tree begins with
// each older checkpoint. Nothing in it comes from the service.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type tiles string

func (tiles) Height() int { return 8 }

func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// ReadTiles reads tile/8/... of x/mod from tile/... of tlog-tiles.
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(filepath.Join(string(t), "tile", strings.TrimPrefix(tile.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func check(err error) {
	if err != nil {
		fmt.Println("FAILED:", err)
		os.Exit(1)
	}
}

func checkpoint(file string, verifier note.Verifier) tlog.Tree {
	data, err := os.ReadFile(file)
	check(err)
	opened, err := note.Open(data, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		check(fmt.Errorf("the checkpoint is that of %q", lines[0]))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

func bundle(folder string, n, size int64) [][]byte {
	width := min(256, size-256*n)
	// The path of an entry bundle is that of a tile of level 0, but for the level.
	path := strings.TrimPrefix(tlog.Tile{H: 8, L: 0, N: n, W: int(width)}.Path(), "tile/8/0/")
	data, err := os.ReadFile(filepath.Join(folder, "tile", "entries", path))
	check(err)
	var entries [][]byte
	for range width {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			check(fmt.Errorf("bundle %d ends too early", n))
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries, data = append(entries, data[2:end]), data[end:]
	}
	if len(data) > 0 {
		check(fmt.Errorf("bundle %d goes on", n))
	}
	return entries
}

func main() {
	key, err := os.ReadFile(os.Args[2])
	check(err)
	verifier, err := note.NewVerifier(strings.TrimSpace(string(key)))
	check(err)
	folder := os.Args[1]
	tree := checkpoint(filepath.Join(folder, "checkpoint"), verifier)
	reader := tlog.TileHashReader(tree, tiles(folder))
	for n := int64(0); 256*n < tree.N; n++ {
		for at, entry := range bundle(folder, n, tree.N) {
			index := 256*n + int64(at)
			hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
			check(err)
			if hashes[0] != tlog.RecordHash(entry) {
				check(fmt.Errorf("entry %d is not the one in the tree", index))
			}
		}
	}
	fmt.Printf("%s: %d entries, root %s\n", verifier.Name(), tree.N, tree.Hash)
	for _, file := range os.Args[3:] {
		older := checkpoint(file, verifier)
		proof, err := tlog.ProveTree(tree.N, older.N, reader)
		check(err)
		check(tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash))
		fmt.Printf("begins with the %d entries of %s\n", older.N, filepath.Base(file))
	}
}
