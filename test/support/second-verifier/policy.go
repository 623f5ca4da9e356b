package main

import (
	"strconv"
	"strings"
)

// policy is the verifier's own, or one of the log (FORMATS.md, Policy).
type policy struct {
	logs      []vkey
	witnesses []vkey
	quorum    *rule // Nil for none.
}

// rule is a witness, or at least so many of its members.
type rule struct {
	witness *vkey
	needed  int
	members []*rule
}

const maxPolicyBytes = 64 * 1024

type policyReader struct {
	policy
	named     map[string]*rule
	isMember  map[string]bool
	keys      map[string]bool
	hasQuorum bool
}

func parsePolicy(text string) (policy, error) {
	p := &policyReader{named: map[string]*rule{}, isMember: map[string]bool{}, keys: map[string]bool{}}
	if len(text) > maxPolicyBytes || !strings.HasSuffix(text, "\n") {
		return p.policy, refuse("policy", "too long, or the last line does not end")
	}
	for n, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if err := p.readLine(line); err != nil {
			return p.policy, refuse("policy", "line %d: %v", n+1, err)
		}
	}
	if !p.hasQuorum {
		return p.policy, refuse("policy", "no quorum")
	}
	return p.policy, nil
}

func (p *policyReader) readLine(line string) error {
	for i := 0; i < len(line); i++ {
		if c := line[i]; c < 0x20 && c != '\t' || c == 0x7f {
			return refuse("policy", "a control character")
		}
	}
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 || words[0][0] == '#' {
		return nil
	}
	switch words[0] {
	case "log":
		return p.readLog(words[1:])
	case "witness":
		return p.readWitness(words[1:])
	case "group":
		return p.readGroup(words[1:])
	case "quorum":
		return p.readQuorum(words[1:])
	}
	return refuse("policy", "an unknown keyword")
}

// readLog: a vkey, and perhaps where the log is.
func (p *policyReader) readLog(words []string) error {
	if len(words) < 1 || len(words) > 2 {
		return refuse("policy", "not a log line")
	}
	key, err := p.readKey(words[0], logKeyKind)
	p.logs = append(p.logs, key)
	return err
}

// readWitness: a name, a vkey, and perhaps where the witness is.
func (p *policyReader) readWitness(words []string) error {
	if len(words) < 2 || len(words) > 3 || !p.isFree(words[0]) {
		return refuse("policy", "not a witness line, or a name twice")
	}
	key, err := p.readKey(words[1], witnessKeyKind)
	p.witnesses = append(p.witnesses, key)
	p.named[words[0]] = &rule{witness: &key}
	return err
}

// readKey: each key stands once as a log and once as a witness.
func (p *policyReader) readKey(text string, kind byte) (vkey, error) {
	key, err := parseVkey(text, kind)
	once := string(append([]byte{kind}, key.key...))
	if err == nil && p.keys[once] {
		err = refuse("policy", "a key twice")
	}
	p.keys[once] = true
	return key, err
}

func (p *policyReader) isFree(name string) bool { return p.named[name] == nil && name != "none" }

func (p *policyReader) readGroup(words []string) error {
	if len(words) < 3 || !p.isFree(words[0]) {
		return refuse("policy", "not a group")
	}
	group := &rule{}
	for _, name := range words[2:] {
		if p.named[name] == nil || p.isMember[name] {
			return refuse("policy", "a member that is not defined, or twice one")
		}
		p.isMember[name] = true
		group.members = append(group.members, p.named[name])
	}
	switch n, _ := strconv.Atoi(words[1]); {
	case words[1] == "any":
		group.needed = 1
	case words[1] == "all":
		group.needed = len(group.members)
	case n < 1 || n > len(group.members) || strconv.Itoa(n) != words[1]:
		return refuse("policy", "not a threshold")
	default:
		group.needed = n
	}
	p.named[words[0]] = group
	return nil
}

func (p *policyReader) readQuorum(words []string) error {
	if len(words) != 1 || p.hasQuorum || words[0] != "none" && p.named[words[0]] == nil {
		return refuse("policy", "not a quorum")
	}
	p.quorum, p.hasQuorum = p.named[words[0]], true
	return nil
}

func (r *rule) met(signed func(vkey) bool) bool {
	if r == nil {
		return true
	}
	if r.witness != nil {
		return signed(*r.witness)
	}
	met := 0
	for _, member := range r.members {
		if member.met(signed) {
			met++
		}
	}
	return met >= r.needed
}

// needsAuditor: without the witnesses that audit, all others do not meet the quorum.
func (p policy) needsAuditor() bool {
	return !p.quorum.met(func(v vkey) bool { return !strings.HasSuffix(v.name, "/audit") })
}
