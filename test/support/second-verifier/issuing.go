package main

// What the log is and who governs it (FORMATS.md, genesis to account-key).

func (s *state) applyGenesis(e *entry) error {
	spec := e.spec
	v, err := parseVkey(str(spec, "logKey"), logKeyKind)
	if err != nil || v.name != str(spec, "origin") {
		return refuse("vkey", "not a key of this log")
	}
	body, err := appointedBy(spec)
	if err != nil {
		return err
	}
	ingestion, err := keyOf(obj(spec, "ingestionKey"))
	if err != nil {
		return err
	}
	kids := []string{ingestion.kid, thumbprintOfVkey(v)}
	for _, key := range body.issuers {
		kids = append(kids, key.kid)
	}
	if err := s.free(kids...); err != nil {
		return err
	}
	if !canBePutRight(obj(spec, "rules")) {
		return refuse("rules", "rules and void must be in force")
	}
	s.use(kids...)
	s.origin, s.logKeys = v.name, []logKey{{thumbprintOfVkey(v), never}}
	if spec["policy"] != nil {
		if err := s.applyPolicy(spec, e.time); err != nil {
			return err
		}
	}
	s.rules = obj(spec, "rules")
	s.issuers, s.threshold = body.issuers, body.needed
	return nil
}

// canBePutRight asks for the kinds without which a mistake could never be mended.
func canBePutRight(rules object) bool {
	kinds := strs(list(rules, "kinds"))
	return has(kinds, "rules") && has(kinds, "void")
}

func (s *state) applyRules(spec object) error {
	if num(spec, "version") <= num(s.rules, "version") || !canBePutRight(spec) {
		return refuse("rules", "not above those in force")
	}
	s.rules = spec
	return nil
}

// signsAt says whether a key of the log is good for checkpoints at a time: the newest always is.
func (s *state) signsAt(v vkey, time int64) bool {
	kid := thumbprintOfVkey(v)
	for i, key := range s.logKeys {
		if key.kid == kid && v.name == s.origin && (i == len(s.logKeys)-1 || time <= key.until) {
			return true
		}
	}
	return false
}

// applyPolicy keeps the keys of witnesses apart from all others, so that the log cannot witness itself.
func (s *state) applyPolicy(spec object, time int64) error {
	p, err := parsePolicy(str(spec, "policy"))
	if err != nil {
		return err
	}
	named := false
	for _, log := range p.logs {
		named = named || s.signsAt(log, time)
	}
	if !named {
		return refuse("policy", "it names no key that signs this log")
	}
	for _, w := range p.witnesses {
		if kid := thumbprintOfVkey(w); s.used[kid] && !s.watching[kid] {
			return refuse("key-used", "a witness has another key of the log")
		}
	}
	for _, w := range p.witnesses {
		kid := thumbprintOfVkey(w)
		s.used[kid], s.watching[kid] = true, true
	}
	return nil
}

func (s *state) applyServiceKey(e *entry) error {
	kid := ""
	if e.kind == "log-key" {
		v, err := parseVkey(str(e.spec, "logKey"), logKeyKind)
		if err != nil || v.name != s.origin {
			return refuse("vkey", "not a key of this log")
		}
		kid = thumbprintOfVkey(v)
	} else {
		k, err := keyOf(obj(e.spec, "jwk"))
		if err != nil {
			return err
		}
		kid = k.kid
	}
	if err := s.free(kid); err != nil {
		return err
	}
	s.use(kid)
	if e.kind == "log-key" {
		for i := range s.logKeys {
			s.logKeys[i].until = minimum(s.logKeys[i].until, num(e.spec, "previousUntil"))
		}
		s.logKeys = append(s.logKeys, logKey{kid, never})
	}
	return nil
}

func (s *state) applyIssuerKey(spec object) error {
	var keys, added []publicKey
	removed := str(spec, "remove")
	for _, k := range s.issuers {
		if k.kid != removed {
			keys = append(keys, k)
		}
	}
	if spec["add"] != nil {
		k, err := keyOf(obj(spec, "add"))
		if err != nil {
			return err
		}
		if err := s.free(k.kid); err != nil {
			return err
		}
		added = append(added, k)
	}
	if removed != "" && len(keys) == len(s.issuers) {
		return refuse("key", "not of the issuing body")
	}
	keys = append(keys, added...)
	if num(spec, "threshold") > int64(len(keys)) || len(keys) > maxIssuers {
		return refuse("threshold", "above the number of keys")
	}
	for _, k := range added {
		s.use(k.kid)
	}
	s.issuers, s.threshold = keys, int(num(spec, "threshold"))
	return nil
}

const maxIssuers = 16

// A lost key keeps acting for seven days, so that whoever has it can object.
const lossTakesS = 604_800

func (s *state) applyAccount(e *entry) error {
	id := str(e.spec, "account")
	a := s.accounts[id]
	if (a == nil) != (e.kind == "account") {
		return refuse("account", "taken, or not there")
	}
	k, err := keyOf(obj(e.spec, "jwk"))
	if err != nil {
		return err
	}
	if err := s.free(k.kid); err != nil {
		return err
	}
	s.use(k.kid)
	if a == nil {
		s.accounts[id] = &account{key: &k, custody: str(e.spec, "custody")}
		return nil
	}
	a.key, a.next = a.at(e.time), nil
	if str(e.spec, "cause") == "change" {
		a.key = &k
	} else {
		a.next, a.nextFrom = &k, e.time+lossTakesS
	}
	return nil
}
