package main

// judge returns the code of the rule that the entry broke, or has its effect: one that broke a rule
// changes nothing (FORMATS.md, How an entry is judged, and Reading a part of a log).
func (s *state) judge(e *entry) error {
	if err := s.checkPlace(e); err != nil {
		return err
	}
	if e.isForm != nil {
		return e.isForm
	}
	signers, err := s.signersOf(e)
	if err != nil {
		return err
	}
	nonces, err := s.checkAuth(e, signers)
	if err != nil {
		return err
	}
	if err := s.apply(e); err != nil {
		return err
	}
	for _, nonce := range nonces {
		s.nonces[nonce] = true
	}
	s.time = e.time
	return nil
}

// checkPlace is what an entry must be where it stands, whatever its spec says.
func (s *state) checkPlace(e *entry) error {
	if s.voided[refKey(e.index, hexOf(e.hash))] {
		return refuse("void", "a void names entry %d", e.index)
	}
	if e.time < s.time {
		return refuse("time", "before the entry below it")
	}
	if (e.index == 0) != (e.kind == "genesis") {
		return refuse("kind", "a genesis is entry 0")
	}
	if e.index == 0 {
		return nil
	}
	if s.rules == nil {
		return refuse("genesis", "there is none")
	}
	if !has(strs(list(s.rules, "kinds")), e.kind) {
		return refuse("kind", "%s is not in force", e.kind)
	}
	if s.closed && e.kind != "void" {
		return refuse("closed", "after the end of the log")
	}
	return nil
}

// isUnknown says of an entry that its kind is in force and that the page says nothing of it.
func (s *state) isUnknown(e *entry) bool {
	return s.g.of["spec="+e.kind] == nil && s.rules != nil && has(strs(list(s.rules, "kinds")), e.kind)
}

// apply is the kind's own rules, and then its effect.
func (s *state) apply(e *entry) error {
	switch e.kind {
	case "genesis":
		return s.applyGenesis(e)
	case "rules":
		return s.applyRules(e.spec)
	case "policy":
		return s.applyPolicy(e.spec, e.time)
	case "log-key", "ingestion-key":
		return s.applyServiceKey(e)
	case "issuer-key":
		return s.applyIssuerKey(e.spec)
	case "log-close":
		s.closed = true
	case "account", "account-key":
		return s.applyAccount(e)
	case "plant":
		return s.applyPlant(e)
	case "plant-change":
		return s.changePlant(e.spec)
	case "meter":
		return s.applyMeter(e)
	case "meter-change":
		return s.changeMeter(e)
	case "exchange":
		return s.applyExchange(e)
	case "key", "key-end", "fork":
		return s.applyKey(e)
	case "freeze", "unfreeze":
		return s.applyFreeze(e)
	case "decision":
		return s.applyDecision(e.spec)
	case "hour", "hour-correction":
		return s.applyHour(e)
	case "cancel":
		return s.applyCancel(e)
	case "state":
		asOf := num(e.spec, "asOf")
		if asOf > e.index || asOf <= s.asOf {
			return refuse("as-of", "%d", asOf)
		}
		s.asOf = asOf
	case "void": // Believed, and read before anything else.
	default:
		return refuse("unknown", "a kind of which this verifier knows the grammar alone: %s", e.kind)
	}
	return nil
}
