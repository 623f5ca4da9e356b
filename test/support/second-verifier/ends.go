package main

// The ends of a segment: readings of messages of the file, or values of exchanges and of the meter's end
// (FORMATS.md, Meter record, and The nine steps, energy).

func (m *meter) checkEnd(end object, shown evidence, isFirst bool) error {
	registers := obj(end, "registers")
	if end["entry"] != nil {
		values := m.valuesOf(end, isFirst)
		if values == nil {
			return refuse("exchange", "neither an exchange nor an end that is there")
		}
		if !holds(values, registers) {
			return refuse("exchange", "other values than the entry has")
		}
		return nil
	}
	one := shown.at(num(end, "leaf"))
	if one == nil || one.jws.kid != str(end, "kid") || str(one.payload, "meter") != m.id {
		return refuse("evidence", "an end without its message")
	}
	t := num(end, "t")
	reading := one.reading(t)
	if reading == nil {
		return refuse("evidence", "an end without its reading")
	}
	// Whether such a reading is of the old device or of the new one, nobody can say.
	for _, e := range m.exchanges {
		if num(e.spec, "t") == t {
			return refuse("exchange", "a reading at an exchange's t is no end")
		}
	}
	if !holds(obj(reading, "registers"), registers) {
		return refuse("evidence", "other values than the reading has")
	}
	for name := range registers {
		if !m.isValid(reading, name) {
			return refuse("evidence", "a reading that is not valid for the register")
		}
	}
	return nil
}

// valuesOf is what an entry says that the meter showed at one end of a segment: an exchange, or at its
// last end the meter's own. Nil for an entry that is neither.
func (m *meter) valuesOf(end object, isFirst bool) object {
	t, ref := num(end, "t"), obj(end, "entry")
	isMeant := func(e *entry) bool {
		return e.index == num(ref, "index") && hexOf(e.hash) == str(ref, "leafHash")
	}
	for _, e := range m.exchanges {
		if isMeant(e) && num(e.spec, "t") == t {
			if isFirst {
				return obj(e.spec, "opening")
			}
			return obj(e.spec, "closing")
		}
	}
	if m.end != nil && isMeant(m.end) && m.endsAt == t && !isFirst {
		return obj(m.end.spec, "closing")
	}
	return nil
}

func holds(values, some object) bool {
	for name := range some {
		if values[name] == nil || num(values, name) != num(some, name) {
			return false
		}
	}
	return true
}

// isValid says whether a reading counts for a register (FORMATS.md, Energy of an hour).
func (m *meter) isValid(reading object, name string) bool {
	status := str(reading, "status")
	if str(reading, "clock") == "unsynced" || status == "tamper" || status == "fault" {
		return false
	}
	var primaries []string
	inside, widened := false, false
	for register, spec := range obj(m.spec, "registers") {
		if c, ok := countingOf(m.role, spec.(object)); ok && c.primary {
			primaries = append(primaries, register)
			inside, widened = inside || c.inside, widened || c.widened
		}
	}
	if !inside || !widened || !has(primaries, name) {
		return true
	}
	for _, register := range primaries {
		if obj(reading, "registers")[register] == nil {
			return false
		}
	}
	return true
}

// checkCrossings: no segment runs across an exchange that it does not begin or end with, or a `break`.
func (m *meter) checkCrossings(first, last object) error {
	from, to := num(first, "t"), num(last, "t")
	isAt := func(end object, e *entry) bool {
		return end["entry"] != nil && num(obj(end, "entry"), "index") == e.index
	}
	for _, e := range m.exchanges {
		t := num(e.spec, "t")
		if from <= t && t <= to && !(t == from && isAt(first, e)) && !(t == to && isAt(last, e)) {
			return refuse("exchange", "a segment across an exchange")
		}
	}
	for _, t := range m.breaks {
		if from < t && t <= to {
			return refuse("break", "a segment across a break")
		}
	}
	return nil
}
