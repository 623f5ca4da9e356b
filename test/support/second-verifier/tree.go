package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
)

// Hashes and trees (FORMATS.md, Hashes and trees).
type hash = [32]byte

func leafHash(data []byte) hash { return sha256.Sum256(append([]byte{0}, data...)) }

func nodeHash(l, r hash) hash {
	return sha256.Sum256(bytes.Join([][]byte{{1}, l[:], r[:]}, nil))
}

// verifyInclusion is RFC 9162, section 2.1.3.2 (FORMATS.md, Proofs).
func verifyInclusion(leaf hash, index, size int64, path []hash, root hash) error {
	if index >= size || len(path) > 64 {
		return refuse("proof", "index %d of %d", index, size)
	}
	fn, sn, r := index, size-1, leaf
	for _, p := range path {
		if sn == 0 {
			return refuse("inclusion", "a path too long")
		}
		if fn&1 == 1 || fn == sn {
			r = nodeHash(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = nodeHash(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	if sn != 0 || r != root {
		return refuse("inclusion", "the path of %d leads to another root", index)
	}
	return nil
}

func rootOf(o object, name string) (h hash) {
	b, _ := hex.DecodeString(str(o, name))
	copy(h[:], b)
	return h
}

// placed is a leaf of some tree with its path.
type placed struct {
	data  []byte
	index int64
	path  []hash
}

func readPlaced(o object) (p placed, err error) {
	if o["data"] != nil {
		if p.data, err = unbase64(str(o, "data")); err != nil {
			return p, err
		}
	}
	p.index = num(o, "index")
	for _, text := range list(o, "path") {
		b, err := unbase64(text.(string))
		if err != nil || len(b) != 32 {
			return p, refuse("form", "not a hash")
		}
		p.path = append(p.path, *(*[32]byte)(b))
	}
	return p, nil
}
