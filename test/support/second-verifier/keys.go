package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
)

// publicKey verifies (FORMATS.md, Keys and signatures).
type publicKey struct {
	kid, alg string
	verify   func(message, signature []byte) bool
}

// The y of the points of small order, without sign.
var smallOrder = map[string]bool{
	"0000000000000000000000000000000000000000000000000000000000000000": true,
	"0100000000000000000000000000000000000000000000000000000000000000": true,
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": true,
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": true,
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": true,
}

func acceptableEd25519(key []byte) bool {
	if len(key) != 32 {
		return false
	}
	y := append([]byte{}, key...)
	y[31] &= 0x7f
	if smallOrder[hex.EncodeToString(y)] {
		return false
	}
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	return new(big.Int).SetBytes(reversed(y)).Cmp(p) < 0
}

func reversed(b []byte) []byte {
	out := make([]byte, len(b))
	for i, c := range b {
		out[len(b)-1-i] = c
	}
	return out
}

// keyOf reads a JWK that fits its grammar. Its name is the RFC 7638 thumbprint, of the members that make
// the key and no others.
func keyOf(jwk object) (publicKey, error) {
	named := object{}
	for _, name := range []string{"crv", "kty", "x", "y"} {
		if jwk[name] != nil {
			named[name] = jwk[name]
		}
	}
	thumbprint := sha256.Sum256(jcs(named))
	key := publicKey{kid: base64.RawURLEncoding.EncodeToString(thumbprint[:])}
	x, err := unbase64url(str(jwk, "x"))
	if err != nil {
		return key, err
	}
	if str(jwk, "crv") == "Ed25519" {
		if !acceptableEd25519(x) {
			return key, refuse("key", "not an acceptable Ed25519 key")
		}
		key.alg = "Ed25519"
		key.verify = func(m, s []byte) bool { return len(s) == 64 && ed25519.Verify(x, m, s) }
		return key, nil
	}
	y, err := unbase64url(str(jwk, "y"))
	if err != nil {
		return key, err
	}
	key.alg = "ES256"
	point := &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
	key.verify = func(message, signature []byte) bool {
		n := elliptic.P256().Params().N
		if len(signature) != 64 || !elliptic.P256().IsOnCurve(point.X, point.Y) {
			return false
		}
		r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
		digest := sha256.Sum256(message)
		return s.Cmp(new(big.Int).Rsh(n, 1)) <= 0 && ecdsa.Verify(point, digest[:], r, s)
	}
	return key, nil
}

// unbase64url and unbase64 take one spelling alone; Go's own would skip line breaks.
func unbase64url(text string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, refuse("base64url", "%.20s", text)
	}
	return b, nil
}

func unbase64(text string) ([]byte, error) {
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, refuse("base64", "%.20s", text)
	}
	return b, nil
}

func base64url(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func hexOf(h hash) string { return hex.EncodeToString(h[:]) }
