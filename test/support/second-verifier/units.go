package main

// Units and what becomes of them (FORMATS.md, state, cancel).

// piece is a run of units that have one owner, state and last entry.
type piece struct {
	from, to  int64
	owner     string
	state     string
	lastIndex int64
}

// pieceOf is the piece that holds a unit; nil where the file shows none.
func (p *plant) pieceOf(n int64) *piece {
	if p == nil {
		return nil
	}
	for i := range p.pieces {
		if p.pieces[i].from <= n && n <= p.pieces[i].to {
			return &p.pieces[i]
		}
	}
	return nil
}

// change cuts the pieces at both ends where they do not begin or end there, and marks what is between.
func (p *plant) change(from, to int64, state string, index int64) {
	var out []piece
	for _, one := range p.pieces {
		for _, cut := range []int64{from, to + 1} {
			if one.from < cut && cut <= one.to {
				left := one
				left.to = cut - 1
				out = append(out, left)
				one.from = cut
			}
		}
		out = append(out, one)
	}
	for i := range out {
		if from <= out[i].from && out[i].to <= to {
			out[i].state, out[i].lastIndex = state, index
		}
	}
	p.pieces = out
}

// applyCancel judges of the items only the units that the file shows as issued.
func (s *state) applyCancel(e *entry) error {
	id := str(e.spec, "account")
	if s.accounts[id].frozen {
		return refuse("frozen", "the account is")
	}
	if period := obj(e.spec, "period"); num(period, "to") < num(period, "from") {
		return refuse("range", "the period is empty")
	}
	items := list(e.spec, "items")
	for i, item := range items {
		one := item.(object)
		for _, earlier := range items[:i] {
			if overlap(one, earlier.(object)) {
				return refuse("range", "items overlap")
			}
		}
		if num(one, "to") < num(one, "from") {
			return refuse("range", "an empty item")
		}
		if err := s.checkItem(one, id); err != nil {
			return err
		}
	}
	for _, item := range items {
		one := item.(object)
		if p := s.plantOf(one); p != nil {
			p.change(num(one, "from"), num(one, "to"), "cancelled", e.index)
		}
	}
	return nil
}

func (s *state) plantOf(item object) *plant { return s.plants[str(item, "series")[len("energy/"):]] }

func overlap(one, other object) bool {
	return str(one, "series") == str(other, "series") &&
		num(one, "from") <= num(other, "to") && num(other, "from") <= num(one, "to")
}

func (s *state) checkItem(item object, account string) error {
	p := s.plantOf(item)
	if p == nil {
		return nil
	}
	for _, one := range p.pieces {
		if one.to < num(item, "from") || num(item, "to") < one.from {
			continue
		}
		if one.owner != account {
			return refuse("owner", "not the account's")
		}
		if one.state != "active" {
			return refuse("state", "not active")
		}
	}
	return nil
}
