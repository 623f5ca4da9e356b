// Peers is Go's own transparency log, golang.org/x/mod/sumdb/note and tlog, made answerable to the
// tests: it reads one JSON request from standard input and writes one JSON answer. It decides
// nothing itself; what it says is what those packages say.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type request struct {
	Op      string   `json:"op"`
	Entries [][]byte `json:"entries"`
	Folder  string   `json:"folder"`
	Skey    string   `json:"skey"`
	Vkey    string   `json:"vkey"`
	Notes   []string `json:"notes"`
	Texts   []string `json:"texts"`
	Claims  []claim  `json:"claims"`
}

// A claim of inclusion has an index and a leaf, one of consistency an older size and root.
type claim struct {
	Size  int64       `json:"size"`
	Root  tlog.Hash   `json:"root"`
	Path  []tlog.Hash `json:"path"`
	Index int64       `json:"index"`
	Leaf  tlog.Hash   `json:"leaf"`
	Older *older      `json:"older"`
}

type older struct {
	Size int64     `json:"size"`
	Root tlog.Hash `json:"root"`
}

// Proofs of the tree of one size: for each index, and for each size from 1.
type proofs struct {
	Root        tlog.Hash     `json:"root"`
	Inclusion   [][]tlog.Hash `json:"inclusion"`
	Consistency [][]tlog.Hash `json:"consistency"`
}

func main() {
	var asked request
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		fail(err)
	}
	answer, err := answerTo(asked)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func answerTo(asked request) (any, error) {
	switch asked.Op {
	case "open":
		return openNotes(asked.Notes, asked.Vkey)
	case "sign":
		return signTexts(asked.Texts, asked.Skey)
	case "check":
		return check(asked.Claims), nil
	case "prove":
		return prove(asked.Entries)
	case "walk":
		return walk(asked.Folder, asked.Vkey)
	}
	return nil, fmt.Errorf("no such op: %q", asked.Op)
}

// openNotes answers with the text of each note that the key signed, and nothing for the others.
func openNotes(notes []string, vkey string) ([]string, error) {
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(notes))
	for i, message := range notes {
		if opened, err := note.Open([]byte(message), note.VerifierList(verifier)); err == nil {
			texts[i] = opened.Text
		}
	}
	return texts, nil
}

func signTexts(texts []string, skey string) ([]string, error) {
	signer, err := note.NewSigner(skey)
	if err != nil {
		return nil, err
	}
	notes := make([]string, len(texts))
	for i, text := range texts {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return nil, err
		}
		notes[i] = string(signed)
	}
	return notes, nil
}

// check answers with an empty text for a claim that holds, else with why it does not.
func check(claims []claim) []string {
	answers := make([]string, len(claims))
	for i, c := range claims {
		var err error
		if c.Older != nil {
			err = tlog.CheckTree(c.Path, c.Size, c.Root, c.Older.Size, c.Older.Root)
		} else {
			err = tlog.CheckRecord(c.Path, c.Size, c.Root, c.Index, c.Leaf)
		}
		if err != nil {
			answers[i] = err.Error()
		}
	}
	return answers
}

// prove grows a tree entry by entry and makes every proof that there is at every size.
func prove(entries [][]byte) ([]proofs, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	made := make([]proofs, len(entries))
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, hashes...)
		if made[i], err = proveSize(int64(i)+1, reader); err != nil {
			return nil, err
		}
	}
	return made, nil
}

func proveSize(size int64, reader tlog.HashReader) (made proofs, err error) {
	if made.Root, err = tlog.TreeHash(size, reader); err != nil {
		return made, err
	}
	for index := int64(0); index < size; index++ {
		path, err := tlog.ProveRecord(size, index, reader)
		if err != nil {
			return made, err
		}
		made.Inclusion = append(made.Inclusion, append([]tlog.Hash{}, path...))
	}
	for from := int64(1); from <= size; from++ {
		path, err := tlog.ProveTree(size, from, reader)
		if err != nil {
			return made, err
		}
		made.Consistency = append(made.Consistency, append([]tlog.Hash{}, path...))
	}
	return made, nil
}

// walk verifies a whole log from its files: the checkpoint's signature, every tile by way of
// tlog.TileHashReader, which holds each against the root, and every entry of every bundle against
// its leaf. It answers with the entries.
func walk(folder string, vkey string) ([][]byte, error) {
	message, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return nil, err
	}
	texts, err := openNotes([]string{string(message)}, vkey)
	if err != nil {
		return nil, err
	}
	lines := strings.Split(texts[0], "\n")
	if len(lines) != 4 {
		return nil, fmt.Errorf("not a checkpoint that %s signed", vkey)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, err
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return nil, err
	}
	reader := tlog.TileHashReader(tlog.Tree{N: size, Hash: root}, tileFolder(folder))
	entries := make([][]byte, 0, size)
	for index := int64(0); index < size; index += 256 {
		width := min64(256, size-index)
		bundle, err := readTile(folder, tlog.Tile{H: 8, L: -1, N: index / 256, W: int(width)})
		if err != nil {
			return nil, err
		}
		found, err := splitBundle(bundle, int(width))
		if err != nil {
			return nil, err
		}
		entries = append(entries, found...)
	}
	return entries, checkLeaves(entries, reader)
}

func checkLeaves(entries [][]byte, reader tlog.HashReader) error {
	indexes := make([]int64, len(entries))
	for i := range entries {
		indexes[i] = tlog.StoredHashIndex(0, int64(i))
	}
	leaves, err := reader.ReadHashes(indexes)
	if err != nil {
		return err
	}
	for i, entry := range entries {
		if tlog.RecordHash(entry) != leaves[i] {
			return fmt.Errorf("entry %d is not the one in its tile", i)
		}
	}
	return nil
}

// A bundle of c2sp.org/tlog-tiles: each entry after its length as a big-endian uint16.
func splitBundle(bundle []byte, width int) ([][]byte, error) {
	entries := make([][]byte, 0, width)
	for rest := bytes.NewReader(bundle); rest.Len() > 0; {
		var length uint16
		if err := binary.Read(rest, binary.BigEndian, &length); err != nil {
			return nil, err
		}
		entry := make([]byte, length)
		if n, _ := rest.Read(entry); n != int(length) {
			return nil, fmt.Errorf("a bundle that ends within an entry")
		}
		entries = append(entries, entry)
	}
	if len(entries) != width {
		return nil, fmt.Errorf("a bundle of %d entries, not of %d", len(entries), width)
	}
	return entries, nil
}

type tileFolder string

func (folder tileFolder) Height() int { return 8 }

func (folder tileFolder) SaveTiles([]tlog.Tile, [][]byte) {}

func (folder tileFolder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	contents := make([][]byte, len(tiles))
	for i, tile := range tiles {
		content, err := readTile(string(folder), tile)
		if err != nil {
			return nil, err
		}
		contents[i] = content
	}
	return contents, nil
}

// c2sp.org/tlog-tiles has no height in its paths, and other names for the level of entries.
func readTile(folder string, tile tlog.Tile) ([]byte, error) {
	path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
	path = strings.Replace(path, "tile/data/", "tile/entries/", 1)
	return os.ReadFile(filepath.Join(folder, filepath.FromSlash(path)))
}

func min64(a, b int64) int64 {
	if a < b {
		return a
	}
	return b
}

