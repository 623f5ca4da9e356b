package main

import (
	"crypto/sha256"
	"fmt"
)

// Step 1, form.

const (
	maxFileBytes  = 16 << 20
	maxEntryBytes = 65_535
)

func (f *file) checkForm(text []byte) error {
	if len(text) > maxFileBytes {
		return refuse("size", "above 16 MiB")
	}
	value, err := parseCanonical(text)
	if err != nil {
		return err
	}
	if err := checkVersion(value); err != nil {
		return err
	}
	if err := f.g.check("format=proof", value); err != nil {
		return err
	}
	f.proof = value.(object)
	if err := checkSum(f.proof); err != nil {
		return err
	}
	if err := checkOrder(f.proof); err != nil {
		return err
	}
	for _, item := range list(f.proof, "entries") {
		if err := f.readEntry(item.(object)); err != nil {
			return err
		}
	}
	return f.checkSubject()
}

// checkVersion comes before the grammar, so that a newer file is not called a broken one.
func checkVersion(value any) error {
	o, _ := value.(object)
	var version int
	n, _ := fmt.Sscanf(str(o, "format"), "hourseal-proof/v%d", &version)
	if n == 1 && version > 1 && version < 10_000 {
		return refuse("version", "version %d", version)
	}
	return nil
}

func checkSum(proof object) error {
	rest := object{}
	for name, v := range proof {
		if name != "sum" {
			rest[name] = v
		}
	}
	if sum := sha256.Sum256(jcs(rest)); hexOf(sum) != str(proof, "sum") {
		return refuse("sum", "another sum")
	}
	return nil
}

// checkOrder: each list ascends strictly by index.
func checkOrder(proof object) error {
	lists := [][]any{list(proof, "entries"), list(proof, "messages"), list(proof, "records"),
		list(obj(proof, "state"), "pieces")}
	for _, items := range lists {
		last := int64(-1)
		for _, item := range items {
			n := num(item.(object), "index")
			if n <= last {
				return refuse("form", "a list does not ascend")
			}
			last = n
		}
	}
	return nil
}

// readEntry is the first check of FORMATS.md, How an entry is judged. Whether the spec fits its grammar
// is noted alone: for the fold, that is one rule among others.
func (f *file) readEntry(o object) error {
	p, err := readPlaced(o)
	if err != nil {
		return err
	}
	if len(p.data) > maxEntryBytes {
		return refuse("size", "an entry above 65,535 bytes")
	}
	value, err := parseCanonical(p.data)
	if err != nil {
		return err
	}
	if err := f.g.check("format=entry", value); err != nil {
		return err
	}
	if needsNfc(p.data) {
		return refuse("unknown", noNfc)
	}
	content := value.(object)
	e := &entry{
		index: p.index,
		data:  p.data,
		hash:  leafHash(p.data),
		kind:  str(content, "kind"),
		time:  num(content, "time"),
		auth:  strs(list(content, "auth")),
		spec:  obj(content, "spec"),
	}
	if f.g.of["spec="+e.kind] != nil {
		e.isForm = f.g.check("spec="+e.kind, e.spec)
	}
	f.entries, f.paths = append(f.entries, e), append(f.paths, p.path)
	return nil
}

// checkSubject: which log the file is of, and which hour and units.
func (f *file) checkSubject() error {
	genesis := f.entries[0]
	if genesis.index != 0 || genesis.kind != "genesis" || genesis.isForm != nil {
		return refuse("genesis", "the first entry is none")
	}
	for _, e := range f.entries {
		if e.index == num(f.proof, "hour") {
			f.hour = e
		}
		if e.namesLogKey() {
			if _, err := parseVkey(str(e.spec, "logKey"), logKeyKind); err != nil {
				return err
			}
		}
	}
	if f.hour == nil || !f.hour.isOfHours() || f.hour.isForm != nil || f.hour.spec["generation"] == nil {
		return refuse("hour", "no open hour")
	}
	bundle := obj(f.proof, "bundle")
	if num(bundle, "to") < num(bundle, "from") {
		return refuse("range", "an empty bundle")
	}
	if str(bundle, "series") != "energy/"+str(f.hour.spec, "plant") {
		return refuse("series", "of another plant")
	}
	return nil
}

func (e *entry) namesLogKey() bool {
	return e.kind == "genesis" || e.kind == "log-key" && e.isForm == nil
}
