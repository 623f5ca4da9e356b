package main

import "math/big"

// Sealed hours and what they certify (FORMATS.md, hour, hour-correction; for `netted`, `deficit` and
// `withdrawn`, Reading a part of a log).

func (s *state) applyHour(e *entry) error {
	spec := e.spec
	p := s.plants[str(spec, "plant")]
	if p == nil {
		return refuse("plant", "not there")
	}
	start := num(obj(spec, "interval"), "start")
	if start%hourS != 0 || start+hourS > e.time {
		return refuse("interval", "no hour, or one that has not ended")
	}
	if (spec["commitment"] != nil) != (str(p.spec, "disclosure") == "committed") {
		return refuse("disclosure", "not the form that the plant's entry says")
	}
	if start < maximum(num(p.spec, "commissionedAt"), p.since) || start >= numOr(p.spec, "endsAt", never) {
		return refuse("interval", "outside the plant's life")
	}
	versions := p.hours[start]
	if e.kind == "hour" && len(versions) > 0 {
		return refuse("sealed", "the hour is sealed")
	}
	if e.kind == "hour-correction" {
		if len(versions) == 0 {
			return refuse("amends", "the hour is not sealed")
		}
		latest, amends := versions[len(versions)-1].entry, obj(spec, "amends")
		if num(amends, "index") != latest.index || str(amends, "leafHash") != hexOf(latest.hash) {
			return refuse("amends", "not its latest version")
		}
	}
	if spec["commitment"] != nil {
		p.hours[start] = append(versions, version{e, 0})
		return nil
	}
	return s.certify(e, p, start)
}

// certify moves the certificates that an open hour or a correction of one is due.
func (s *state) certify(e *entry, p *plant, start int64) error {
	spec, certificates := e.spec, obj(e.spec, "certificates")
	limit := new(big.Int).Mul(big.NewInt(num(p.spec, "capacityW")), big.NewInt(num(s.rules, "capacityPpm")))
	limit.Div(limit, big.NewInt(1_000_000))
	isDisputed := str(spec, "quality") == "disputed"
	if !isDisputed && big.NewInt(num(spec, "generation")).Cmp(limit) > 0 {
		return refuse("capacity", "more than capacity allows")
	}
	due := s.dueFor(e, p, start)
	issued, r := int64(0), obj(certificates, "issued")
	if r != nil {
		if issued = num(r, "to") - num(r, "from") + 1; issued < 1 {
			return refuse("issued", "an empty range")
		}
	}
	if issued+num(certificates, "netted") != due.more {
		return refuse("issued", "issued and netted are not what is due")
	}
	if issued > 0 && num(r, "from") <= p.highest {
		return refuse("issued", "a number issued before")
	}
	withdrawn := list(certificates, "withdrawn")
	if err := p.checkWithdrawn(withdrawn, start, due.fewer); err != nil {
		return err
	}
	for _, item := range withdrawn {
		p.change(num(item.(object), "from"), num(item.(object), "to"), "withdrawn", e.index)
	}
	if issued > 0 {
		p.highest = num(r, "to")
		p.issuedBy[start] = append(p.issuedBy[start], [2]int64{num(r, "from"), num(r, "to")})
		p.pieces = append(p.pieces, piece{num(r, "from"), num(r, "to"), str(p.spec, "account"), "active", e.index})
	}
	p.hours[start] = append(p.hours[start], version{e, due.certified})
	return nil
}

// due is what an hour certifies, and what that is above or below what it certified before.
type due struct{ certified, more, fewer int64 }

func (s *state) dueFor(e *entry, p *plant, start int64) due {
	generation, isDisputed := num(e.spec, "generation"), str(e.spec, "quality") == "disputed"
	mayIssue := !isDisputed && !p.frozen && str(p.spec, "type") == "production" &&
		has(strs(list(s.rules, "eligibleSources")), str(p.spec, "source"))
	versions := p.hours[start]
	if len(versions) == 0 {
		if mayIssue {
			return due{certified: generation, more: generation}
		}
		return due{}
	}
	before := versions[len(versions)-1].certified
	if isDisputed {
		return due{certified: before}
	}
	if generation < before {
		return due{certified: generation, fewer: before - generation}
	}
	if mayIssue && e.time <= start+hourS+num(s.rules, "correctWithinS") {
		return due{certified: generation, more: generation - before}
	}
	return due{certified: before}
}

// checkWithdrawn: units of that hour that the plant's account has, and no more than the decrease. That
// they are the highest, and enough, only the whole log can show.
func (p *plant) checkWithdrawn(items []any, start, decrease int64) error {
	total, last := int64(0), int64(0)
	for _, item := range items {
		from, to := num(item.(object), "from"), num(item.(object), "to")
		if to < from || from <= last {
			return refuse("withdrawn", "not ascending")
		}
		last = to
		if total += to - from + 1; total > decrease {
			return refuse("withdrawn", "more than the decrease")
		}
		for n := from; n <= to; {
			one := p.pieceOf(n)
			if one == nil || !within(p.issuedBy[start], n) {
				return refuse("range", "a unit that was not issued for this hour")
			}
			if one.owner != str(p.spec, "account") || one.state != "active" {
				return refuse("withdrawn", "not active, or not the plant account's")
			}
			n = one.to + 1
		}
	}
	return nil
}
