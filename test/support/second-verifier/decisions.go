package main

// What the issuing body holds up and decides (FORMATS.md, freeze and unfreeze, decision).

func (s *state) applyFreeze(e *entry) error {
	id, what := str(e.spec, "id"), str(e.spec, "what")
	var frozen *bool
	switch what {
	case "account":
		if a := s.accounts[id]; a != nil {
			frozen = &a.frozen
		}
	case "plant":
		if p := s.plants[id]; p != nil {
			frozen = &p.frozen
		}
	case "meter":
		if m := s.meters[id]; m != nil {
			frozen = &m.frozen
		}
	case "key":
		if k := s.keys[id]; k != nil {
			frozen = &k.frozen
		}
	}
	if frozen == nil {
		return refuse(what, "not there")
	}
	if *frozen == (e.kind == "freeze") {
		return refuse("freeze", "already, or not")
	}
	if what == "key" && e.kind == "unfreeze" {
		for _, kept := range s.keys[id].kept {
			if kept == "" {
				return refuse("fork", "waits for a decision")
			}
		}
	}
	*frozen = e.kind == "freeze"
	return nil
}

func (s *state) applyDecision(spec object) error {
	effect := str(spec, "effect")
	if effect == "break" {
		m := s.meters[str(spec, "meter")]
		if m == nil {
			return refuse("meter", "not there")
		}
		m.breaks = append(m.breaks, num(spec, "t"))
		return nil
	}
	if effect != "keep-fork" && num(spec, "to") < num(spec, "from") {
		return refuse("range", "empty")
	}
	k := s.keys[str(spec, "kid")]
	if k == nil {
		return refuse("key", "not there")
	}
	switch effect {
	case "accept-late":
		k.accepted = append(k.accepted, [2]int64{num(spec, "from"), num(spec, "to")})
	case "set-aside":
		k.setAside = append(k.setAside, [2]int64{num(spec, "from"), num(spec, "to")})
	case "keep-fork":
		if _, known := k.kept[num(spec, "seq")]; !known {
			return refuse("fork", "not on record")
		}
		k.kept[num(spec, "seq")] = str(spec, "hash")
	}
	return nil
}
