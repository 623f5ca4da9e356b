package main

// counting says how a register of a meter counts (FORMATS.md, Energy of an hour, the first table).
type counting struct {
	inside, widened, primary bool
	use                      use
}

type use int

const (
	reported use = iota
	added
	subtracted
	consumed
	co2
)

// countingOf is false for a register that does not count.
func countingOf(role string, register object) (counting, bool) {
	unit, direction := str(register, "unit"), str(register, "direction")
	energy := func(to string) bool { return unit == "Wh" && direction == to }
	switch {
	case role == "production" && energy("export"):
		return counting{inside: true, primary: true, use: added}, true
	case (role == "production" || role == "auxiliary") && energy("import"):
		return counting{widened: true, primary: true, use: subtracted}, true
	case (role == "production" || role == "emission") && unit == "g":
		return counting{widened: true, primary: role == "emission", use: co2}, true
	case (role == "production" || role == "emission") && unit == "s":
		return counting{widened: true}, true
	case role == "consumption" && energy("import"):
		return counting{inside: true, widened: true, primary: true, use: consumed}, true
	case (role == "storage" || role == "check") && energy("export"):
		return counting{inside: true, primary: true}, true
	case (role == "storage" || role == "check") && energy("import"):
		return counting{widened: true, primary: true}, true
	}
	return counting{}, false
}
