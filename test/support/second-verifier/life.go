package main

import "fmt"

// Steps 8 and 9 but for the folding: the bundle was rightly issued, and what became of it.

func (f *file) checkIssue() error {
	for _, e := range f.entries {
		if e.isOfHours() && e.void != "" {
			return fmt.Errorf("entry %d: %s", e.index, e.void)
		}
	}
	issued, bundle := f.issued(), obj(f.proof, "bundle")
	if issued == nil || num(bundle, "from") < num(issued, "from") || num(bundle, "to") > num(issued, "to") {
		return refuse("issued", "not within what the hour issued")
	}
	return nil
}

func (f *file) issued() object { return obj(obj(f.hour.spec, "certificates"), "issued") }

func (f *file) checkLife(s *state) error {
	for _, e := range f.entries {
		if !e.isOfHours() && e.void != "" {
			return fmt.Errorf("entry %d, %s: %s", e.index, e.kind, e.void)
		}
	}
	bundle := obj(f.proof, "bundle")
	told, err := s.told(str(f.hour.spec, "plant"), num(bundle, "from"), num(bundle, "to"))
	if err != nil {
		return err
	}
	shown := obj(f.proof, "state")
	if shown == nil {
		return refuse("unknown", "without a state")
	}
	spec, err := f.specOfState(shown)
	if err != nil {
		return err
	}
	proved, err := f.provedPieces(shown, spec)
	if err != nil {
		return refuse("state", "%v", err)
	}
	if err := compareLives(told, proved, num(spec, "asOf")); err != nil {
		return err
	}
	// A void state is cosigned as well, once a `void` says so; of the last entry there is none yet.
	if num(shown, "entry") != f.cp.size-1 {
		return refuse("unknown", "a state with entries behind it")
	}
	for _, one := range told {
		if s.accounts[one.owner].custody == "operator" {
			return refuse("unknown", "the operator keeps the key of %s", one.owner)
		}
	}
	return nil
}

// told is what the entries of the file say of a bundle, in pieces that cover it.
func (s *state) told(plant string, from, to int64) ([]piece, error) {
	var pieces []piece
	for n := from; n <= to; {
		one := s.plants[plant].pieceOf(n)
		if one == nil {
			return nil, refuse("range", "a unit that no entry issued")
		}
		part := *one
		part.from, part.to = n, minimum(part.to, to)
		pieces = append(pieces, part)
		n = part.to + 1
	}
	return pieces, nil
}

func (f *file) specOfState(shown object) (object, error) {
	for _, e := range f.entries {
		if e.index == num(shown, "entry") && e.kind == "state" && e.isForm == nil {
			return e.spec, nil
		}
	}
	return nil, refuse("state", "not a state of the file")
}

// provedPieces are those of the file, each proved to be in the range's leaf, and that in the state. They
// join and cover the bundle (FORMATS.md, state).
func (f *file) provedPieces(shown, spec object) ([]piece, error) {
	leaf, err := f.readLeaf(obj(shown, "leaf"), "state-leaf", num(spec, "count"), rootOf(spec, "root"))
	if err != nil {
		return nil, err
	}
	issued, bundle := f.issued(), obj(f.proof, "bundle")
	isIts := issued != nil && num(leaf, "from") == num(issued, "from") && num(leaf, "to") == num(issued, "to")
	if !isIts || str(leaf, "series") != str(bundle, "series") || num(leaf, "index") != f.hour.index {
		return nil, refuse("state", "of another range")
	}
	from, to := num(bundle, "from"), num(bundle, "to")
	var pieces []piece
	for _, item := range list(shown, "pieces") {
		o, err := f.readLeaf(item.(object), "state-piece", num(shown, "size"), rootOf(leaf, "pieces"))
		if err != nil {
			return nil, err
		}
		one := piece{num(o, "from"), num(o, "to"), str(o, "owner"), str(o, "state"), num(o, "lastIndex")}
		isJoined := one.from <= from
		if n := len(pieces); n > 0 {
			isJoined = one.from == pieces[n-1].to+1
		}
		if !isJoined || one.to < maximum(one.from, from) || one.from > to {
			return nil, refuse("state", "the pieces do not join, or are of other units")
		}
		pieces = append(pieces, one)
	}
	if pieces[len(pieces)-1].to < to {
		return nil, refuse("state", "the pieces do not cover the bundle")
	}
	return pieces, nil
}

func (f *file) readLeaf(o object, format string, size int64, root hash) (object, error) {
	p, err := readPlaced(o)
	if err != nil {
		return nil, err
	}
	if err := verifyInclusion(leafHash(p.data), p.index, size, p.path, root); err != nil {
		return nil, err
	}
	value, err := parseCanonical(p.data)
	if err != nil {
		return nil, err
	}
	if err := f.g.check("format="+format, value); err != nil {
		return nil, err
	}
	return value.(object), nil
}

// compareLives: unit by unit, what the entries tell is what the state says.
func compareLives(told, proved []piece, asOf int64) error {
	for _, ours := range told {
		if ours.lastIndex >= asOf {
			return refuse("unknown", "changed after the state")
		}
	}
	for _, ours := range told {
		for _, theirs := range proved {
			isApart := theirs.to < ours.from || ours.to < theirs.from
			isSame := theirs.owner == ours.owner && theirs.state == ours.state && theirs.lastIndex == ours.lastIndex
			if !isApart && !isSame {
				return refuse("life", "the entries say something else than the state")
			}
		}
	}
	return nil
}
