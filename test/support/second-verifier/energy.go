package main

import (
	"fmt"
	"math/big"
	"sort"
	"strings"
)

// Step 7, energy: the records are those of the hour's meters, each is what it proves, and together they
// give the figures of the entry.
func (f *file) checkEnergy(s *state, shown evidence) error {
	spec := f.hour.spec
	plant, start := str(spec, "plant"), num(obj(spec, "interval"), "start")
	if s.plants[plant] == nil {
		return refuse("plant", "not there")
	}
	var due, named []string
	for id, m := range s.meters {
		if m.plant == plant && m.countsIn(start) {
			due = append(due, id)
		}
	}
	sort.Strings(due)
	for _, r := range shown.records {
		named = append(named, str(r.content, "meter"))
	}
	if strings.Join(due, " ") != strings.Join(named, " ") {
		return refuse("meters", "records of %v, not of %v", named, due)
	}
	var sum sums
	for _, r := range shown.records {
		m := s.meters[str(r.content, "meter")]
		if err := s.checkRecord(r.content, m, shown, start); err != nil {
			return fmt.Errorf("%s: %w", m.id, err)
		}
		if m.role != "check" {
			sum.add(m, r.content)
		}
	}
	return s.compare(&sum, f.hour)
}

// sums is what the records of a plant's hour give together (FORMATS.md, Energy of an hour).
type sums struct {
	added, subtracted, consumed, co2 big.Int
	isUnknown, hasStorage            bool
	meters, consumers, masses        int
	massIsUnknown                    bool
	isPartial, isDisputed            bool
	// Of the meters that weigh: the greatest and the smallest, and whether all of them say both.
	operating, valid int64
	weighers         int
	secondsUnknown   bool
}

func (t *sums) add(m *meter, record object) {
	t.meters++
	t.hasStorage = t.hasStorage || m.role == "storage"
	if m.role == "consumption" {
		t.consumers++
	}
	t.isPartial = t.isPartial || str(record, "quality") == "partial"
	t.isDisputed = t.isDisputed || str(record, "quality") == "disputed"
	subtracts := false
	for name, spec := range obj(m.spec, "registers") {
		c, _ := countingOf(m.role, spec.(object))
		energy := obj(record, "energy")
		isKnown := energy[name] != nil
		value := big.NewInt(numOr(energy, name, 0))
		switch c.use {
		case added:
			t.added.Add(&t.added, value)
		case subtracted:
			subtracts = true
			t.isUnknown = t.isUnknown || !isKnown
			t.subtracted.Add(&t.subtracted, value)
		case consumed:
			t.consumed.Add(&t.consumed, value)
		case co2:
			t.masses++
			t.massIsUnknown = t.massIsUnknown || !isKnown
			t.co2.Add(&t.co2, value)
		}
	}
	t.addSeconds(m, record)
	// What an auxiliary meter without such a register would say, nobody can know.
	t.isUnknown = t.isUnknown || m.role == "auxiliary" && !subtracts
}

// addSeconds is what a meter with a mass register that counts says of itself.
func (t *sums) addSeconds(m *meter, record object) {
	registers, energy := obj(m.spec, "registers"), obj(record, "energy")
	weighs := false
	for _, spec := range registers {
		c, counts := countingOf(m.role, spec.(object))
		weighs = weighs || counts && c.use == co2
	}
	if !weighs {
		return
	}
	seconds := func(name string) (int64, bool) {
		spec, there := registers[name].(object)
		return numOr(energy, name, 0), there && str(spec, "unit") == "s" && energy[name] != nil
	}
	operating, saysOperating := seconds("operatingS")
	valid, saysValid := seconds("validS")
	if !saysOperating || !saysValid {
		t.secondsUnknown = true
		return
	}
	if t.weighers == 0 || operating > t.operating {
		t.operating = operating
	}
	if t.weighers == 0 || valid < t.valid {
		t.valid = valid
	}
	t.weighers++
}

// compare holds the figures of an entry against the sums.
func (s *state) compare(t *sums, hour *entry) error {
	p := s.plants[str(hour.spec, "plant")]
	quality := "measured"
	if t.isDisputed || s.exceeds(&t.added, hourS, p) || s.exceeds(&t.consumed, hourS, p) {
		quality = "disputed"
	} else if t.isPartial || t.meters == 0 {
		quality = "partial"
	}
	isDisputed := quality == "disputed"
	generation := new(big.Int).Sub(&t.added, &t.subtracted)
	if generation.Sign() < 0 || isDisputed || t.isUnknown || t.hasStorage {
		generation.SetInt64(0)
	}
	proved := object{"generation": generation.Int64(), "quality": quality}
	if t.consumers > 0 {
		proved["consumption"] = int64(0)
		if !isDisputed {
			proved["consumption"] = t.consumed.Int64()
		}
	}
	if t.masses > 0 && !t.massIsUnknown && !isDisputed {
		proved["co2G"] = t.co2.Int64()
		if !t.secondsUnknown {
			proved["operatingS"], proved["validS"] = t.operating, t.valid
		}
	}
	stated := object{}
	for _, name := range []string{"generation", "quality", "consumption", "co2G", "operatingS", "validS"} {
		if v, there := hour.spec[name]; there {
			stated[name] = v
		}
	}
	if string(jcs(stated)) != string(jcs(proved)) {
		return refuse("energy", "%s is stated, %s is proved", jcs(stated), jcs(proved))
	}
	return nil
}
