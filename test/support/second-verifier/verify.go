package main

import (
	"errors"
	"fmt"
)

type step struct {
	Result string `json:"result"`
	Reason string `json:"reason"`
}

// A proof file on its way through the nine steps, each of which fills in what the next ones need.
type file struct {
	g       *grammars
	policy  *policy // The verifier's own; nil for none.
	proof   object
	entries []*entry
	paths   [][]hash // Of the entries.
	hour    *entry
	cp      checkpoint
	steps   [10]step // From 1.
}

const lastStep = 9

// put notes the result of a step and says whether it did not fail.
func (f *file) put(n int, err error) bool {
	result, reason := "pass", ""
	if err != nil {
		result, reason = "fail", err.Error()
		var r refusal
		if errors.As(err, &r) && r.code == "unknown" {
			result, reason = "unknown", r.why
		}
	}
	f.steps[n] = step{result, reason}
	return result != "fail"
}

func (f *file) unknown(why string, first, last int) {
	for n := first; n <= last; n++ {
		f.steps[n] = step{"unknown", why}
	}
}

// verify is FORMATS.md, The nine steps, and which of them rests on which.
func (f *file) verify(text []byte) {
	if !f.put(1, f.checkForm(text)) {
		f.unknown("rests on step 1", 2, lastStep)
		return
	}
	if one := f.steps[1]; one.Result == "unknown" {
		f.unknown(one.Reason, 2, lastStep)
		return
	}
	if !f.put(2, f.checkCheckpoint()) {
		f.unknown("rests on step 2", 3, lastStep)
		return
	}
	isAudited := f.checkQuorum()
	if !f.put(4, f.checkEntries()) {
		f.unknown("rests on step 4", 5, lastStep)
		return
	}
	shown, unread := f.readEvidence()
	if unread != nil {
		f.put(5, unread)
	} else {
		f.put(5, f.checkRoots(shown))
	}
	s := newState(f.g, f.entries)
	unsound, untold := f.foldBelow(s)
	f.put(6, firstOf(unread, unsound, func() error { return s.checkMessages(shown, f.hour) }))
	f.put(7, firstOf(unread, untold, func() error { return f.checkEnergy(s, shown) }))
	if untold != nil {
		f.put(8, untold)
		f.put(9, untold)
		return
	}
	f.finish(s, isAudited)
}

// firstOf is what several steps share and cannot be read, or else what the step itself finds.
func firstOf(unread, unsound error, check func() error) error {
	if unread != nil {
		return unread
	}
	if unsound != nil {
		return unsound
	}
	return check()
}

// foldBelow judges the entries below the hour. The first error is of step 6 alone: an entry that is void
// and that does not speak of units, which are for steps 8 and 9. The second is of all from 6 on: a `void`
// that does not fit its grammar, or a kind beyond which nothing can be judged.
func (f *file) foldBelow(s *state) (unsound, untold error) {
	for _, e := range f.entries {
		if e.kind == "void" && e.isForm != nil {
			return e.isForm, e.isForm
		}
	}
	for _, e := range f.entries {
		if e.index >= f.hour.index {
			break
		}
		if s.isUnknown(e) {
			err := refuse("unknown", "the kind %s is not known", e.kind)
			return err, err
		}
		if err := s.judge(e); err != nil {
			e.void = err.Error()
			if !e.isOfHours() && e.kind != "cancel" && unsound == nil {
				unsound = fmt.Errorf("entry %d, %s: %w", e.index, e.kind, err)
			}
		}
	}
	return unsound, nil
}

func (e *entry) isOfHours() bool { return e.kind == "hour" || e.kind == "hour-correction" }

// finish folds the rest, the entry `hour` first, for steps 8 and 9.
func (f *file) finish(s *state, isAudited bool) {
	for _, e := range f.entries {
		if e.index < f.hour.index {
			continue
		}
		if s.isUnknown(e) {
			f.unknown("the kind "+e.kind+" is not known", 8, 9)
			return
		}
		if err := s.judge(e); err != nil {
			e.void = err.Error()
		}
	}
	f.put(8, f.checkIssue())
	f.put(9, f.checkLife(s))
	for n := 8; n <= 9 && !isAudited; n++ {
		if f.steps[n].Result == "pass" {
			f.unknown("step 3 did not pass", n, n)
		}
	}
}
