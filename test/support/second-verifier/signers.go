package main

// signer is one who must sign an entry: somebody with a key or, without one, the issuing body.
type signer struct {
	key     *publicKey
	issuers []publicKey
	needed  int
}

// signersOf is the table of FORMATS.md, How an entry is judged: who signs each kind, in that order, and
// what the spec names in order to say so. None means that nobody does.
func (s *state) signersOf(e *entry) ([]signer, error) {
	spec := e.spec
	issuing := signer{issuers: s.issuers, needed: s.threshold}
	with := func(second signer, err error) ([]signer, error) { return []signer{issuing, second}, err }
	switch e.kind {
	case "genesis":
		appointed, err := appointedBy(spec)
		return []signer{appointed}, err
	case "rules", "policy", "log-key", "ingestion-key", "log-close", "freeze", "unfreeze", "decision":
		return []signer{issuing}, nil
	case "issuer-key":
		if spec["add"] == nil {
			return []signer{issuing}, nil
		}
		return with(signerOf(obj(spec, "add")))
	case "account":
		return with(signerOf(obj(spec, "jwk")))
	case "account-key":
		if str(spec, "cause") == "loss" {
			return []signer{issuing}, nil
		}
		own, err := s.account(str(spec, "account"), e.time)
		return []signer{own}, err
	case "cancel":
		own, err := s.account(str(spec, "account"), e.time)
		return []signer{own}, err
	case "plant":
		return with(s.account(str(spec, "account"), e.time))
	case "plant-change", "meter":
		return with(s.accountOfPlant(str(spec, "plant"), e.time))
	case "exchange", "meter-change":
		m := s.meters[str(spec, "meter")]
		if m == nil {
			return nil, refuse("meter", "not there")
		}
		return with(s.accountOfPlant(m.plant, e.time))
	case "key":
		signers, err := with(s.accountOfPlant(str(spec, "plant"), e.time))
		if err != nil || spec["ocmf"] != nil {
			return signers, err
		}
		own, err := signerOf(obj(spec, "jwk"))
		return append(signers, own), err
	case "key-end":
		k := s.keys[str(spec, "kid")]
		if k == nil {
			return nil, refuse("key", "not there")
		}
		return with(s.accountOfPlant(k.plant, e.time))
	}
	return nil, nil
}

// appointedBy is the issuing body that a genesis names: it signs its own appointment.
func appointedBy(genesis object) (signer, error) {
	body := signer{needed: int(num(obj(genesis, "issuers"), "threshold"))}
	for _, jwk := range list(obj(genesis, "issuers"), "keys") {
		k, err := keyOf(jwk.(object))
		if err != nil {
			return body, err
		}
		body.issuers = append(body.issuers, k)
	}
	return body, nil
}

func signerOf(jwk object) (signer, error) {
	k, err := keyOf(jwk)
	return signer{key: &k}, err
}

func (s *state) account(id string, time int64) (signer, error) {
	a := s.accounts[id]
	if a == nil {
		return signer{}, refuse("account", "%s is not there", id)
	}
	return signer{key: a.at(time)}, nil
}

func (s *state) accountOfPlant(id string, time int64) (signer, error) {
	p := s.plants[id]
	if p == nil {
		return signer{}, refuse("plant", "%s is not there", id)
	}
	return s.account(str(p.spec, "account"), time)
}
