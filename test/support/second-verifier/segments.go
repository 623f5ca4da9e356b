package main

import "math/big"

// What one register proves: its part of every segment, and their sums (FORMATS.md, What a record proves).

// span is one register's part of a segment. Its steps are not multiplied at the ends, and are in `units`.
type span struct {
	from, to                 int64
	low, high, units         int64
	fromExchange, toExchange bool
}

func (s *state) spanOf(m *meter, segment object, name string) (p span, err error) {
	first, last := obj(segment, "first"), obj(segment, "last")
	register := obj(obj(m.spec, "registers"), name)
	if _, counts := countingOf(m.role, register); register == nil || !counts {
		return p, refuse("energy", "a register that does not count")
	}
	p = span{
		from:         num(first, "t"),
		to:           num(last, "t"),
		low:          num(obj(first, "registers"), name),
		high:         num(obj(last, "registers"), name),
		fromExchange: first["entry"] != nil,
		toExchange:   last["entry"] != nil,
	}
	steps := big.NewInt(p.high - p.low)
	if segment["rollover"] != nil {
		if register["digits"] == nil || p.high >= p.low {
			return p, refuse("energy", "no rollover")
		}
		turn := new(big.Int).Exp(big.NewInt(10), big.NewInt(num(register, "digits")), nil)
		if big.NewInt(p.low).Cmp(turn) >= 0 {
			return p, refuse("energy", "above what the register can show")
		}
		steps.Add(steps, turn)
		if !s.isPossible(register, steps, p.to-p.from, s.plants[m.plant]) {
			return p, refuse("energy", "a rollover that is not possible")
		}
	} else if steps.Sign() < 0 {
		return p, refuse("energy", "a register that fell")
	}
	units := steps.Mul(steps, big.NewInt(numOr(register, "multiplier", 1)))
	if units.Cmp(big.NewInt(maxInteger)) > 0 {
		return p, refuse("energy", "beyond 53 bits")
	}
	p.units = units.Int64()
	return p, nil
}

// isPossible: a rollover by so many steps, the last of which need not have been a whole one.
func (s *state) isPossible(register object, steps *big.Int, seconds int64, p *plant) bool {
	units := new(big.Int).Sub(steps, big.NewInt(1))
	units.Mul(units, big.NewInt(numOr(register, "multiplier", 1)))
	switch str(register, "unit") {
	case "Wh":
		return !s.exceeds(units, seconds, p)
	case "s":
		return units.Cmp(big.NewInt(seconds)) <= 0
	}
	return false
}

// exceeds compares energy with capacity over a time, without rounding.
func (s *state) exceeds(units *big.Int, seconds int64, p *plant) bool {
	left := new(big.Int).Mul(units, big.NewInt(3_600_000_000))
	right := new(big.Int).Mul(big.NewInt(num(p.spec, "capacityW")), big.NewInt(num(s.rules, "capacityPpm")))
	return left.Cmp(right.Mul(right, big.NewInt(seconds))) > 0
}

func isContinuous(spans []span) bool {
	for i := 1; i < len(spans); i++ {
		before, after := spans[i-1], spans[i]
		isJoined := before.high == after.low || before.toExchange && after.fromExchange
		if before.to != after.from || !isJoined {
			return false
		}
	}
	return true
}

// reaches: they are continuous and leave nothing of the hour out.
func reaches(spans []span, start, end int64) bool {
	n := len(spans)
	return n > 0 && isContinuous(spans) && spans[0].from <= start && spans[n-1].to >= end
}

// checkSums holds `energy` and `reported` of a record against what its segments prove.
func checkSums(record object, m *meter, spans map[string][]span, start int64) error {
	end, energy, over := m.endOf(start), object{}, object{}
	for name, spec := range obj(m.spec, "registers") {
		c, counts := countingOf(m.role, spec.(object))
		if !counts {
			continue
		}
		all := spans[name]
		var inHour []span
		var sumInHour, sum int64
		for i, p := range all {
			if i > 0 && p.from < all[i-1].to {
				return refuse("energy", "segments overlap")
			}
			sum += p.units
			if start <= p.from && p.to <= end {
				sumInHour += p.units
				inHour = append(inHour, p)
			}
		}
		isWhole := reaches(all, start, end)
		if c.inside {
			energy[name] = sumInHour
			if !isContinuous(inHour) && !has(strs(list(record, "verdicts")), "break") {
				return refuse("energy", "a gap that no break explains")
			}
			if !c.widened && len(inHour) != len(all) {
				return refuse("energy", "a segment outside the hour")
			}
		} else if len(all) > 0 {
			if !isWhole {
				return refuse("energy", "does not reach over the hour")
			}
			energy[name] = sum
		}
		if c.inside && c.widened && obj(record, "reported")[name] != nil {
			if !isWhole {
				return refuse("energy", "reported without reaching over the hour")
			}
			over[name] = sum
		}
		if c.primary && str(record, "quality") == "measured" && !reaches(inHour, start, end) {
			return refuse("energy", "not measured from the start to the end")
		}
	}
	return compareSums(record, energy, over)
}

func compareSums(record, energy, over object) error {
	if stated := jcs(obj(record, "energy")); string(stated) != string(jcs(energy)) {
		return refuse("energy", "%s is not what its segments prove: %s", stated, jcs(energy))
	}
	if record["reported"] != nil && string(jcs(over)) != string(jcs(obj(record, "reported"))) {
		return refuse("energy", "not what its segments prove, over the widened interval")
	}
	return nil
}
