// A second verifier of Hourseal's proof files, written from services/core/FORMATS.md alone, with Go's
// standard library. It reads its grammars out of that page, which is its one argument. A place like
// "FORMATS.md, The nine steps" in these files is a chapter of the page.
//
// Standard input has one JSON object for each file, {"file": base64, "policy": the text of one, or
// absent}; standard output one array for each, of the nine steps as {"result", "reason"}.
//
// What it leaves out, it says with the result `unknown`: see unsupported.go.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

type question struct {
	File   []byte  `json:"file"`
	Policy *string `json:"policy"`
}

func main() {
	if err := answer(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func answer(arguments []string, in io.Reader, out io.Writer) error {
	if len(arguments) != 1 {
		return errors.New("usage: second-verifier FORMATS.md < questions")
	}
	g, err := readGrammars(arguments[0])
	if err != nil {
		return err
	}
	questions, buffered := json.NewDecoder(in), bufio.NewWriter(out)
	answers := json.NewEncoder(buffered)
	for {
		var q question
		if err := questions.Decode(&q); err == io.EOF {
			return buffered.Flush()
		} else if err != nil {
			return err
		}
		f := &file{g: g}
		if q.Policy != nil {
			p, err := parsePolicy(*q.Policy)
			if err != nil {
				return err
			}
			f.policy = &p
		}
		f.verify(q.File)
		if err := answers.Encode(f.steps[1:]); err != nil {
			return err
		}
	}
}
