// C2sp makes other people's transparency-log programs answerable to the tests: filippo.io/torchwood
// (policies, proofs, the tile client) and Tessera (a log that has itself witnessed). It reads one
// JSON request from standard input and writes one JSON answer. It decides nothing itself; what it
// says is what those packages say.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

type request struct {
	Op string `json:"op"`
	// Raw, for the operation to read.
	With json.RawMessage `json:"with"`
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
	case "agent":
		return answer(asked, serveAgent)
	case "watch":
		return answer(asked, watchLog)
	case "policies":
		return answer(asked, parsePolicies)
	case "verify":
		return answer(asked, verifyProofs)
	case "prove":
		return answer(asked, makeProofs)
	case "fetch":
		return answer(asked, fetchLog)
	case "tessera":
		return answer(asked, runTessera)
	}
	return nil, fmt.Errorf("no such op: %q", asked.Op)
}

func answer[Q, A any](asked request, work func(Q) (A, error)) (any, error) {
	var question Q
	if err := json.Unmarshal(asked.With, &question); err != nil {
		return nil, err
	}
	return work(question)
}

// reason is an error's text for an answer, empty where there is none.
func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
