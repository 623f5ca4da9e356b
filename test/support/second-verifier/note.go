package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Signature types of c2sp.org/signed-note.
const (
	logKeyKind     = 1
	witnessKeyKind = 4
)

// A verifier key (FORMATS.md, Signed notes and verifier keys).
type vkey struct {
	name, id string
	kind     byte
	key      []byte
}

func parseVkey(text string, kind byte) (v vkey, err error) {
	parts := strings.SplitN(text, "+", 3)
	if len(parts) != 3 || !isKeyName(parts[0]) {
		return v, refuse("vkey", "not a vkey")
	}
	b, err := unbase64(parts[2])
	if err != nil || len(b) != 33 || b[0] != kind || !acceptableEd25519(b[1:]) {
		return v, refuse("vkey", "not a key of type %d", kind)
	}
	id := sha256.Sum256(append([]byte(parts[0]+"\n"), b...))
	v = vkey{parts[0], hex.EncodeToString(id[:4]), kind, b[1:]}
	if v.id != parts[1] {
		return v, refuse("vkey", "the key id is not that of the key")
	}
	return v, nil
}

func thumbprintOfVkey(v vkey) string {
	k, _ := keyOf(object{"crv": "Ed25519", "kty": "OKP", "x": base64url(v.key)})
	return k.kid
}

func isKeyName(name string) bool {
	bad := func(r rune) bool { return r == '+' || unicode.IsSpace(r) }
	return name != "" && utf8.ValidString(name) && strings.IndexFunc(name, bad) < 0
}

// checkpoint is a signed one, and who signed it of those whose keys were asked for.
type checkpoint struct {
	origin string
	size   int64
	root   hash
	signed map[string]int64 // By name and id of the key: the latest time; 0 for a log.
}

// openCheckpoint verifies every signature by a known key: one that is bad is refused, also where another
// is good (FORMATS.md, Checkpoints and cosignatures).
func openCheckpoint(note string, keys []vkey) (c checkpoint, err error) {
	for i := 0; i < len(note); i++ {
		if note[i] < 0x20 && note[i] != '\n' {
			return c, refuse("note", "a control character")
		}
	}
	end := strings.LastIndex(note, "\n\n")
	if end < 0 || len(note) > 131072 || !strings.HasSuffix(note, "\n") {
		return c, refuse("note", "not a note")
	}
	text := note[:end+1]
	if c, err = parseCheckpointText(text); err != nil {
		return c, err
	}
	lines := strings.Split(strings.TrimSuffix(note[end+2:], "\n"), "\n")
	if len(lines) > 100 {
		return c, refuse("note", "more than 100 signatures")
	}
	for _, line := range lines {
		words := strings.Split(line, " ")
		if len(words) != 3 || words[0] != "\u2014" || !isKeyName(words[1]) {
			return c, refuse("note", "not a signature line")
		}
		b, err := unbase64(words[2])
		if err != nil || len(b) < 5 {
			return c, refuse("note", "not a signature")
		}
		for _, key := range keys {
			if key.name != words[1] || key.id != hex.EncodeToString(b[:4]) {
				continue
			}
			time, ok := verifyLine(key, text, b[4:])
			if !ok {
				return c, refuse("note-signature", "the signature of %s is bad", key.name)
			}
			if id := key.name + "+" + key.id; c.signed[id] <= time {
				c.signed[id] = time
			}
		}
	}
	return c, nil
}

// verifyLine is the signature of a log, or a cosignature with its time.
func verifyLine(key vkey, text string, signature []byte) (int64, bool) {
	if key.kind == logKeyKind {
		return 0, len(signature) == 64 && ed25519.Verify(key.key, []byte(text), signature)
	}
	if len(signature) != 72 {
		return 0, false
	}
	time := binary.BigEndian.Uint64(signature)
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", time, text)
	return int64(time), time <= maxInteger && ed25519.Verify(key.key, []byte(message), signature[8:])
}

func parseCheckpointText(text string) (c checkpoint, err error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" || len(lines[0]) < 1 || len(lines[0]) > 255 {
		return c, refuse("checkpoint", "not three lines")
	}
	for _, r := range lines[0] {
		if unicode.Is(unicode.Cc, r) {
			return c, refuse("checkpoint", "a control character in the origin")
		}
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || size > maxInteger || strconv.FormatInt(size, 10) != lines[1] {
		return c, refuse("checkpoint", "not a size")
	}
	root, err := unbase64(lines[2])
	if err != nil || len(root) != 32 {
		return c, refuse("checkpoint", "not a root")
	}
	c = checkpoint{origin: lines[0], size: size, signed: map[string]int64{}}
	copy(c.root[:], root)
	if size == 0 && c.root != sha256.Sum256(nil) {
		return c, refuse("checkpoint", "not the root of the empty tree")
	}
	return c, nil
}
