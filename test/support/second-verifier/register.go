package main

import "strings"

// Plants and the keys of meters (FORMATS.md, plant, plant-change, key, key-end, fork).

func (s *state) applyPlant(e *entry) error {
	spec, id := e.spec, str(e.spec, "plant")
	if s.plants[id] != nil {
		return refuse("plant", "taken")
	}
	if str(spec, "disclosure") == "committed" && str(spec, "type") != "consumption" {
		return refuse("disclosure", "consumption sites alone")
	}
	var names []string
	for kind, official := range obj(spec, "official") {
		names = append(names, strings.ToLower(kind+" "+official.(string)))
	}
	for _, name := range names {
		if s.official[name] {
			return refuse("official-id", "at another plant")
		}
	}
	for _, name := range names {
		s.official[name] = true
	}
	s.plants[id] = &plant{
		spec:     spec,
		since:    e.time,
		issuedBy: map[int64][][2]int64{},
		hours:    map[int64][]version{},
	}
	return nil
}

func (s *state) changePlant(spec object) error {
	p := s.plants[str(spec, "plant")]
	changed := object{}
	for name, v := range p.spec {
		changed[name] = v
	}
	for name, v := range spec {
		changed[name] = v
	}
	if spec["endsAt"] != nil && num(spec, "endsAt") <= num(changed, "commissionedAt") {
		return refuse("plant", "ends before it begins")
	}
	p.spec = changed
	return nil
}

func (s *state) applyKey(e *entry) error {
	spec := e.spec
	if e.kind == "key" {
		return s.applyNewKey(spec)
	}
	k := s.keys[str(spec, "kid")]
	if k == nil {
		return refuse("key", "not there")
	}
	if e.kind == "key-end" {
		if k.lastSeq != never {
			return refuse("key", "ended already")
		}
		k.lastSeq, k.lastT = num(spec, "lastSeq"), num(spec, "lastT")
		return nil
	}
	if _, known := k.kept[num(spec, "seq")]; known {
		return refuse("fork", "on record")
	}
	k.kept[num(spec, "seq")], k.frozen = "", true
	return nil
}

func (s *state) applyNewKey(spec object) error {
	m := s.meters[str(spec, "meter")]
	if m == nil {
		return refuse("meter", "not there")
	}
	if m.plant != str(spec, "plant") {
		return refuse("plant", "the meter is at another")
	}
	if m.end != nil {
		return refuse("ended", "the meter has ended")
	}
	k, err := keyOf(obj(spec, "jwk"))
	if err != nil {
		return err
	}
	if err := s.free(k.kid); err != nil {
		return err
	}
	ocmf := obj(spec, "ocmf")
	if ocmf != nil && m.role != "consumption" && m.role != "check" {
		return refuse("role", "not for OCMF")
	}
	if ocmf != nil && str(ocmf, "serial") != m.serial {
		return refuse("serial", "the meter has another device")
	}
	s.use(k.kid)
	s.keys[k.kid] = &meterKey{
		publicKey: k,
		meter:     m.id,
		plant:     m.plant,
		notBefore: num(spec, "notBefore"),
		lastSeq:   never,
		lastT:     never,
		isOcmf:    ocmf != nil,
		kept:      map[int64]string{},
	}
	return nil
}
