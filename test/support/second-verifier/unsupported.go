package main

import "unicode/utf8"

// What this verifier does not do. A step that needs it is `unknown` with one of these reasons, by
// which test/contract/peers/second-verifier.test.ts excepts it.
const (
	noOcmf = "not done here: records in OCMF"
	noNfc  = "not done here: NFC of text beyond U+02FF"
)

// Go's library has no tables for normalization (FORMATS.md, Conventions: free text is in NFC). Text of
// code points below the first combining one is always in NFC; of other text nothing can be said.
const firstCombining = 0x300

func needsNfc(text []byte) bool {
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		if r >= firstCombining {
			return true
		}
		text = text[size:]
	}
	return false
}
