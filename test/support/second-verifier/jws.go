package main

import (
	"encoding/base64"
	"strings"
)

// jws is one in compact form, or detached: then the payload is the reader's (FORMATS.md, Keys and
// signatures).
type jws struct {
	alg, kid  string
	payload   []byte
	input     []byte
	signature []byte
}

func parseJws(g *grammars, text, typ string, detached []byte) (j jws, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 || (detached != nil) != (parts[1] == "") {
		return j, refuse("form", "not a JWS of that kind")
	}
	header, err := unbase64url(parts[0])
	if err != nil {
		return j, err
	}
	value, err := parseCanonical(header)
	if err != nil {
		return j, err
	}
	o, ok := value.(object)
	if !ok || str(o, "typ") != typ {
		return j, refuse("form", "not of type %s", typ)
	}
	// The page has the grammar of one header; the others differ from it in `typ`.
	asMessage := object{}
	for name, v := range o {
		asMessage[name] = v
	}
	asMessage["typ"] = "hourseal-message"
	if err := g.check("header=message", asMessage); err != nil {
		return j, err
	}
	j.alg, j.kid = str(o, "alg"), str(o, "kid")
	if j.payload = detached; detached == nil {
		if j.payload, err = unbase64url(parts[1]); err != nil {
			return j, err
		}
	}
	if j.signature, err = unbase64url(parts[2]); err != nil {
		return j, err
	}
	if len(j.signature) != 64 {
		return j, refuse("form", "a signature of %d bytes", len(j.signature))
	}
	j.input = []byte(parts[0] + "." + base64.RawURLEncoding.EncodeToString(j.payload))
	return j, nil
}

// verify asks for the registered key and its algorithm: the header never chooses.
func (j jws) verify(key publicKey) error {
	if j.kid != key.kid {
		return refuse("key", "signed by another key")
	}
	if alg := j.alg; alg != key.alg && !(alg == "EdDSA" && key.alg == "Ed25519") {
		return refuse("alg", "%s is not of the registered key", alg)
	}
	if !key.verify(j.input, j.signature) {
		return refuse("signature", "a bad signature")
	}
	return nil
}
