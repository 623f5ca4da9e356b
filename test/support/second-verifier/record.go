package main

// A meter record, from the values at the ends of its segments alone (FORMATS.md, Meter record, and What a
// record proves). Its verdicts are believed, but for what they do to its quality.

// Verdicts that make a record disputed.
var disputing = map[string]bool{
	"capacity":  true,
	"dispute":   true,
	"frozen":    true,
	"monotonic": true,
	"reset":     true,
	"segments":  true,
}

// checkRecordForm is what belongs to the form beside the grammar.
func checkRecordForm(record object) error {
	if num(record, "start")%hourS != 0 {
		return refuse("hour", "no start of an hour")
	}
	last := ""
	for _, verdict := range strs(list(record, "verdicts")) {
		if verdict <= last {
			return refuse("form", "the verdicts do not ascend")
		}
		last = verdict
	}
	kids := map[string]bool{}
	for _, key := range list(record, "keys") {
		kid := str(key.(object), "kid")
		if kids[kid] {
			return refuse("form", "a key twice")
		}
		kids[kid] = true
	}
	for _, one := range list(record, "segments") {
		first, last := obj(one.(object), "first"), obj(one.(object), "last")
		if num(last, "t") <= num(first, "t") {
			return refuse("form", "a segment that does not last")
		}
		if !haveSameNames(obj(first, "registers"), obj(last, "registers")) {
			return refuse("form", "a segment of other registers at its ends")
		}
	}
	return nil
}

func haveSameNames(one, other object) bool {
	for name := range one {
		if other[name] == nil {
			return false
		}
	}
	return len(one) == len(other)
}

func (s *state) checkRecord(record object, m *meter, shown evidence, start int64) error {
	if str(record, "role") != m.role {
		return refuse("meter", "of another role")
	}
	if num(record, "start") != start {
		return refuse("hour", "of another hour")
	}
	isFrozen, spans := m.frozen, map[string][]span{}
	for _, one := range list(record, "segments") {
		segment := one.(object)
		first, last := obj(segment, "first"), obj(segment, "last")
		if err := m.checkEnd(first, shown, true); err != nil {
			return err
		}
		if err := m.checkEnd(last, shown, false); err != nil {
			return err
		}
		if err := m.checkCrossings(first, last); err != nil {
			return err
		}
		for _, end := range []object{first, last} {
			key := s.keys[str(end, "kid")]
			isFrozen = isFrozen || key != nil && key.frozen
		}
		for name := range obj(first, "registers") {
			p, err := s.spanOf(m, segment, name)
			if err != nil {
				return err
			}
			spans[name] = append(spans[name], p)
		}
	}
	if err := checkQuality(record, isFrozen); err != nil {
		return err
	}
	return checkSums(record, m, spans, start)
}

func checkQuality(record object, isFrozen bool) error {
	verdicts, isDisputed := strs(list(record, "verdicts")), false
	for _, verdict := range verdicts {
		isDisputed = isDisputed || disputing[verdict]
	}
	if isFrozen && !has(verdicts, "frozen") {
		return refuse("frozen", "rests on what is frozen and does not say so")
	}
	if isDisputed != (str(record, "quality") == "disputed") {
		return refuse("energy", "the quality is not that of the verdicts")
	}
	return nil
}
