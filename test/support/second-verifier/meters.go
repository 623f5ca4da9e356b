package main

import "strings"

// Meters, their devices and their end (FORMATS.md, meter, meter-change, exchange).

func (s *state) applyMeter(e *entry) error {
	spec, id := e.spec, str(e.spec, "meter")
	if s.meters[id] != nil {
		return refuse("meter", "taken")
	}
	m := &meter{
		id:     id,
		plant:  str(spec, "plant"),
		role:   str(spec, "role"),
		spec:   spec,
		since:  e.time,
		endsAt: never,
	}
	if err := s.putDevice(m, str(spec, "serial")); err != nil {
		return err
	}
	s.meters[id] = m
	return nil
}

// putDevice gives a meter the device of that serial, unless another meter has it or had it. One that the
// meter itself had may come back.
func (s *state) putDevice(m *meter, serial string) error {
	name := strings.ToLower(serial)
	if at := s.serials[name]; at != "" && at != m.id {
		return refuse("serial", "at another meter")
	}
	s.serials[name], m.serial = m.id, serial
	return nil
}

func (m *meter) namesAll(values object) bool {
	registers := obj(m.spec, "registers")
	for name := range values {
		if registers[name] == nil {
			return false
		}
	}
	return len(values) == len(registers)
}

func (m *meter) latestExchange() int64 {
	if n := len(m.exchanges); n > 0 {
		return num(m.exchanges[n-1].spec, "t")
	}
	return -1
}

func (s *state) applyExchange(e *entry) error {
	spec, m := e.spec, s.meters[str(e.spec, "meter")]
	if m.end != nil {
		return refuse("ended", "the meter has ended")
	}
	if !m.namesAll(obj(spec, "closing")) || !m.namesAll(obj(spec, "opening")) {
		return refuse("exchange", "other registers than the meter's")
	}
	if num(spec, "t") <= m.latestExchange() {
		return refuse("exchange", "not after the latest")
	}
	if err := s.putDevice(m, str(spec, "serial")); err != nil {
		return err
	}
	m.exchanges = append(m.exchanges, e)
	return nil
}

// changeMeter: what may change beside the end is nothing that a proof file rests on.
func (s *state) changeMeter(e *entry) error {
	spec, m := e.spec, s.meters[str(e.spec, "meter")]
	if m.end != nil {
		return refuse("ended", "the meter has ended")
	}
	if spec["endsAt"] == nil {
		return nil
	}
	endsAt := num(spec, "endsAt")
	if !m.namesAll(obj(spec, "closing")) {
		return refuse("end", "other registers than the meter's")
	}
	if endsAt > e.time || endsAt < m.since || endsAt <= m.latestExchange() {
		return refuse("end", "in the future, or before what the meter did")
	}
	// What was certified with the meter must not be certified again without it.
	for start := range s.plants[m.plant].hours {
		if start+hourS > endsAt {
			return refuse("sealed", "an hour that ends later is sealed")
		}
	}
	m.end, m.endsAt = e, endsAt
	for serial, id := range s.serials {
		if id == m.id {
			delete(s.serials, serial)
		}
	}
	return nil
}

// countsIn says whether a meter counts for the hour that starts then.
func (m *meter) countsIn(start int64) bool {
	return m.since < start+hourS && start < m.endsAt
}

// endOf is the end of an hour for this meter: its own end stands for it in the last one.
func (m *meter) endOf(start int64) int64 { return minimum(start+hourS, m.endsAt) }
