package main

import (
	"crypto/sha256"
	"fmt"
)

// readMessage is the form of a message, and its leaf in the batch tree (FORMATS.md, Message, Message leaf).
func readMessage(g *grammars, o object) (m message, err error) {
	if m.placed, err = readPlaced(o); err != nil {
		return m, err
	}
	m.receivedAt = num(o, "receivedAt")
	if (o["jws"] != nil) == (o["ocmf"] != nil) {
		return m, refuse("form", "one of jws and ocmf")
	}
	if o["ocmf"] != nil {
		return m, refuse("unknown", noOcmf)
	}
	text := str(o, "jws")
	m.leaf = leafHash([]byte(fmt.Sprintf("hourseal/message/v1\n%d\n%s", m.receivedAt, text)))
	if m.jws, err = parseJws(g, text, "hourseal-message", nil); err != nil {
		return m, err
	}
	value, err := parseCanonical(m.jws.payload)
	if err != nil {
		return m, err
	}
	if err = g.check("format=message", value); err != nil {
		return m, err
	}
	m.payload = value.(object)
	return m, checkReadings(list(m.payload, "readings"))
}

// checkReadings: t grows, and all are within one closed hour, that of the first.
func checkReadings(readings []any) error {
	first := num(readings[0].(object), "t")
	end, last := first-first%hourS+hourS, int64(-1)
	for _, r := range readings {
		t := num(r.(object), "t")
		if t <= last || t > end {
			return refuse("form", "the readings do not ascend within one hour")
		}
		last = t
	}
	return nil
}

func (m message) reading(t int64) object {
	for _, r := range list(m.payload, "readings") {
		if num(r.(object), "t") == t {
			return r.(object)
		}
	}
	return nil
}

// checkMessages is the second half of step 6, signatures. The state is that of the entries below the hour.
func (s *state) checkMessages(shown evidence, hour *entry) error {
	for _, m := range shown.messages {
		if err := s.checkMessage(m, str(hour.spec, "plant")); err != nil {
			return fmt.Errorf("message %d: %w", m.index, err)
		}
	}
	return nil
}

func (s *state) checkMessage(m message, plant string) error {
	key, p := s.keys[m.jws.kid], m.payload
	if key == nil || key.isOcmf {
		return refuse("key", "a key that the log does not name")
	}
	if str(p, "meter") != key.meter || str(p, "plant") != key.plant {
		return refuse("meter", "not what the key is registered for")
	}
	if key.plant != plant {
		return refuse("plant", "of another plant")
	}
	if str(p, "log") != s.origin {
		return refuse("log", "for another log")
	}
	if err := m.jws.verify(key.publicKey); err != nil {
		return err
	}
	if err := s.checkTimes(m, key); err != nil {
		return err
	}
	seq := num(p, "seq")
	if within(key.setAside, seq) {
		return refuse("set-aside", "by a decision")
	}
	inputHash := sha256.Sum256(m.jws.input)
	if kept := key.kept[seq]; kept != "" && kept != hexOf(inputHash) {
		return refuse("fork", "not the one that was kept")
	}
	return nil
}

// checkTimes: the span of the key and of its meter, and when the message arrived.
func (s *state) checkTimes(m message, key *meterKey) error {
	seq := num(m.payload, "seq")
	if seq > key.lastSeq {
		return refuse("span", "after the last of its key")
	}
	for _, r := range list(m.payload, "readings") {
		t := num(r.(object), "t")
		if t < key.notBefore || t > key.lastT {
			return refuse("span", "outside the span of its key")
		}
		if t > s.meters[key.meter].endsAt {
			return refuse("span", "after the end of its meter")
		}
		if t > m.receivedAt+num(s.rules, "futureS") {
			return refuse("future", "read after it arrived")
		}
		if m.receivedAt-t > num(s.rules, "lateAfterS") && !within(key.accepted, seq) {
			return refuse("late", "and nobody accepted it")
		}
	}
	return nil
}
