package main

// checkAuth is the sixth check of FORMATS.md, How an entry is judged: everybody who must sign did, and
// nobody else. It returns the nonces that the entry uses up once it is sound, one for each signer.
func (s *state) checkAuth(e *entry, signers []signer) ([]string, error) {
	if signers == nil {
		if len(e.auth) > 0 {
			return nil, refuse("auth", "nobody signs a %s", e.kind)
		}
		return nil, nil
	}
	if e.time > num(e.spec, "notAfter") {
		return nil, refuse("expired", "signed for earlier")
	}
	left, err := s.signaturesOf(e)
	if err != nil {
		return nil, err
	}
	var used []string
	for _, one := range signers {
		name, err := takeSignatures(one, left)
		if err != nil {
			return nil, err
		}
		used = append(used, name+" "+str(e.spec, "nonce"))
	}
	if len(left) > 0 {
		return nil, refuse("auth", "a signature too many")
	}
	for _, nonce := range used {
		if s.nonces[nonce] {
			return nil, refuse("nonce", "used before")
		}
	}
	return used, nil
}

// signaturesOf reads the detached JWS of an entry, by `kid`.
func (s *state) signaturesOf(e *entry) (map[string]jws, error) {
	origin := s.origin
	if e.kind == "genesis" {
		origin = str(e.spec, "origin")
	}
	signed := jcs(object{"kind": e.kind, "origin": origin, "spec": e.spec})
	found := map[string]jws{}
	for _, text := range e.auth {
		j, err := parseJws(s.g, text, "hourseal-auth", signed)
		if err != nil {
			return nil, err
		}
		if _, twice := found[j.kid]; twice {
			return nil, refuse("auth", "two by one key")
		}
		found[j.kid] = j
	}
	return found, nil
}

// takeSignatures verifies one signer's and takes them from those left. The issuing body is one signer of
// nonces, whichever of its keys signed: an action that more of them signed must not count twice.
func takeSignatures(one signer, left map[string]jws) (name string, err error) {
	if one.key != nil {
		j, ok := left[one.key.kid]
		if !ok {
			return "", refuse("auth", "a signature is missing")
		}
		delete(left, one.key.kid)
		return one.key.kid, j.verify(*one.key)
	}
	signed := 0
	for _, key := range one.issuers {
		if j, ok := left[key.kid]; ok {
			if err := j.verify(key); err != nil {
				return "", err
			}
			delete(left, key.kid)
			signed++
		}
	}
	if signed < one.needed {
		return "", refuse("auth", "%d of the issuing body signed, not %d", signed, one.needed)
	}
	return "issuing body", nil
}
