package main

import (
	"crypto/ed25519"
	"fmt"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// parsePolicies answers with an empty text for a policy, else with why it is none.
func parsePolicies(texts []string) ([]string, error) {
	reasons := make([]string, len(texts))
	for i, text := range texts {
		_, err := parsePolicy(text)
		reasons[i] = reason(err)
	}
	return reasons, nil
}

// parsePolicy has a panic be a refusal: ParsePolicy looks for the first word of a line that is not
// empty, and there is none in one of, say, a carriage return.
func parsePolicy(text string) (policy torchwood.Policy, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	return torchwood.ParsePolicy([]byte(text))
}

type proofCase struct {
	Policy string    `json:"policy"`
	Leaf   tlog.Hash `json:"leaf"`
	Proof  []byte    `json:"proof"`
}

// verifyProofs answers with an empty text where the proof holds under the policy, else with why not.
func verifyProofs(cases []proofCase) ([]string, error) {
	reasons := make([]string, len(cases))
	for i, one := range cases {
		policy, err := parsePolicy(one.Policy)
		if err == nil {
			err = torchwood.VerifyProof(policy, one.Leaf, one.Proof)
		}
		reasons[i] = reason(err)
	}
	return reasons, nil
}

type proving struct {
	Origin  string   `json:"origin"`
	Skey    string   `json:"skey"`
	Entries [][]byte `json:"entries"`
	// Seeds of Ed25519 keys by the names of the witnesses.
	Witnesses map[string][]byte `json:"witnesses"`
	Extra     []byte            `json:"extra"`
}

type proven struct {
	// By torchwood's own CosignatureSigner.
	Vkeys  map[string]string `json:"vkeys"`
	Proofs []madeProof       `json:"proofs"`
}

type madeProof struct {
	Plain     []byte `json:"plain"`
	WithExtra []byte `json:"withExtra"`
}

// makeProofs makes a log of the entries, has every one of its sizes signed and cosigned, and proves
// in each the entry in the middle.
func makeProofs(asked proving) (proven, error) {
	made := proven{Vkeys: map[string]string{}}
	signer, err := note.NewSigner(asked.Skey)
	if err != nil {
		return made, err
	}
	signers := []note.Signer{signer}
	for name, seed := range asked.Witnesses {
		witness, err := torchwood.NewCosignatureSigner(name, ed25519.NewKeyFromSeed(seed))
		if err != nil {
			return made, err
		}
		made.Vkeys[name] = witness.Verifier().String()
		signers = append(signers, witness)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for i, entry := range asked.Entries {
		hashes, err := tlog.StoredHashes(int64(i), entry, reader)
		if err != nil {
			return made, err
		}
		stored = append(stored, hashes...)
		proof, err := proveMiddle(int64(i)+1, reader, asked, signers)
		if err != nil {
			return made, err
		}
		made.Proofs = append(made.Proofs, proof)
	}
	return made, nil
}

func proveMiddle(size int64, reader tlog.HashReader, asked proving, signers []note.Signer) (made madeProof, err error) {
	root, err := tlog.TreeHash(size, reader)
	if err != nil {
		return made, err
	}
	path, err := tlog.ProveRecord(size, size/2, reader)
	if err != nil {
		return made, err
	}
	checkpoint := torchwood.Checkpoint{Origin: asked.Origin, Tree: tlog.Tree{N: size, Hash: root}}
	signed, err := note.Sign(&note.Note{Text: checkpoint.String()}, signers...)
	if err != nil {
		return made, err
	}
	made.Plain = torchwood.FormatProof(size/2, path, signed)
	made.WithExtra = torchwood.FormatProofWithExtraData(size/2, asked.Extra, path, signed)
	return made, nil
}
