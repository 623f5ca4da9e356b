package main

import "sort"

// What a file shows of an hour: messages by their leaf in the batch tree, and meter records.
type evidence struct {
	messages []message
	records  []placedRecord
}

type message struct {
	placed
	receivedAt int64
	leaf       hash
	jws        jws
	payload    object
}

type placedRecord struct {
	placed
	content object
}

// at is the message of a leaf of the batch tree; nil where the file does not show it.
func (v evidence) at(leaf int64) *message {
	i := sort.Search(len(v.messages), func(i int) bool { return v.messages[i].index >= leaf })
	if i < len(v.messages) && v.messages[i].index == leaf {
		return &v.messages[i]
	}
	return nil
}

// readEvidence reads what steps 5, 6 and 7 share: what has not its form fails all of them.
func (f *file) readEvidence() (v evidence, err error) {
	for _, item := range list(f.proof, "messages") {
		m, err := readMessage(f.g, item.(object))
		if err != nil {
			return v, err
		}
		v.messages = append(v.messages, m)
	}
	for _, item := range list(f.proof, "records") {
		p, err := readPlaced(item.(object))
		if err != nil {
			return v, err
		}
		value, err := parseCanonical(p.data)
		if err != nil {
			return v, err
		}
		if err := f.g.check("format=meter-record", value); err != nil {
			return v, err
		}
		if err := checkRecordForm(value.(object)); err != nil {
			return v, err
		}
		v.records = append(v.records, placedRecord{p, value.(object)})
	}
	return v, nil
}

// checkRoots is the rest of step 5. The number of records is the size of their tree, which proves that
// there is no further one.
func (f *file) checkRoots(v evidence) error {
	spec := f.hour.spec
	size := num(spec, "messages")
	for _, m := range v.messages {
		if err := verifyInclusion(m.leaf, m.index, size, m.path, rootOf(spec, "batchRoot")); err != nil {
			return err
		}
	}
	if len(v.records) == 0 {
		return refuse("evidence", "there is no meter record")
	}
	size = int64(len(v.records))
	for _, r := range v.records {
		if err := verifyInclusion(leafHash(r.data), r.index, size, r.path, rootOf(spec, "metersRoot")); err != nil {
			return err
		}
	}
	return nil
}
