package main

// Steps 2 to 4: the checkpoint, who cosigned it, and that the entries are in its tree.

// checkCheckpoint takes the log's keys from the policy or, without one, from the file itself.
func (f *file) checkCheckpoint() error {
	origin := str(f.entries[0].spec, "origin")
	var logs, witnesses []vkey
	if f.policy != nil {
		for _, key := range f.policy.logs {
			if key.name == origin {
				logs = append(logs, key)
			}
		}
		witnesses = f.policy.witnesses
	} else {
		for _, e := range f.entries {
			if key, err := parseVkey(str(e.spec, "logKey"), logKeyKind); err == nil && e.namesLogKey() {
				logs = append(logs, key)
			}
		}
	}
	if len(logs) == 0 {
		return refuse("policy", "no key is named for %s", origin)
	}
	cp, err := openCheckpoint(str(f.proof, "checkpoint"), append(append([]vkey{}, witnesses...), logs...))
	if err != nil {
		return err
	}
	if cp.origin != origin {
		return refuse("checkpoint-origin", "of another log")
	}
	for _, key := range logs {
		if _, signed := cp.signed[key.name+"+"+key.id]; signed {
			f.cp = cp
			return nil
		}
	}
	return refuse("checkpoint-unsigned", "the log did not sign")
}

// checkQuorum says whether an auditing quorum of the verifier's own policy cosigned.
func (f *file) checkQuorum() bool {
	if f.policy == nil {
		f.unknown("no policy was given", 3, 3)
		return false
	}
	signed := func(v vkey) bool { _, ok := f.cp.signed[v.name+"+"+v.id]; return ok }
	if !f.policy.quorum.met(signed) {
		f.put(3, refuse("quorum", "not met"))
		return false
	}
	if !f.policy.needsAuditor() {
		f.unknown("the policy needs no auditor", 3, 3)
		return false
	}
	return f.put(3, nil)
}

func (f *file) checkEntries() error {
	for i, e := range f.entries {
		if err := verifyInclusion(e.hash, e.index, f.cp.size, f.paths[i], f.cp.root); err != nil {
			return err
		}
	}
	return nil
}
