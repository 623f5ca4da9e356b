package main

import "strconv"

// What the entries so far have made (FORMATS.md, How an entry is judged). Only what a part of a log can
// show is kept: nothing of `prev`, of deficits, or of how many ranges there are.
type state struct {
	g         *grammars
	origin    string
	rules     object
	time      int64
	issuers   []publicKey
	threshold int
	logKeys   []logKey // The last is the newest.
	accounts  map[string]*account
	plants    map[string]*plant
	meters    map[string]*meter
	keys      map[string]*meterKey
	used      map[string]bool   // Thumbprints of all keys of the log; ended ones too.
	watching  map[string]bool   // Of these, those of witnesses: policies may name them again.
	nonces    map[string]bool   // By signer.
	serials   map[string]string // In small letters, to the meter that has or had it and has not ended.
	official  map[string]bool   // Kind and id, in small letters.
	closed    bool
	voided    map[string]bool // What the voids of the file name, wherever they stand.
	asOf      int64
}

type entry struct {
	index  int64
	data   []byte
	hash   hash
	kind   string
	time   int64
	auth   []string
	spec   object
	isForm error  // Of the spec; nil where it fits the grammar of its kind.
	void   string // Why, once it is judged.
}

type meterKey struct {
	publicKey
	meter, plant       string
	notBefore          int64
	lastSeq, lastT     int64 // `never` while the key has no end.
	frozen, isOcmf     bool
	accepted, setAside [][2]int64
	kept               map[int64]string // By forked seq; empty before a decision.
}

type meter struct {
	id, plant, role string
	spec            object
	serial          string // Of the device after the latest exchange.
	since           int64
	endsAt          int64 // `never` while it has no end.
	end             *entry
	frozen          bool
	exchanges       []*entry
	breaks          []int64
}

type account struct {
	key, next *publicKey
	nextFrom  int64
	custody   string
	frozen    bool
}

type logKey struct {
	kid   string
	until int64 // By entry time; says nothing of the newest.
}

// at is the key that acts for the account at a time (FORMATS.md, account-key).
func (a *account) at(time int64) *publicKey {
	if a.next != nil && time >= a.nextFrom {
		return a.next
	}
	return a.key
}

type version struct {
	entry     *entry
	certified int64
}

type plant struct {
	spec     object
	since    int64
	frozen   bool
	highest  int64
	pieces   []piece
	issuedBy map[int64][][2]int64 // By start of the hour.
	hours    map[int64][]version
}

func refKey(index int64, leafHash string) string {
	return strconv.FormatInt(index, 10) + " " + leafHash
}

func newState(g *grammars, entries []*entry) *state {
	s := &state{
		g:        g,
		accounts: map[string]*account{},
		plants:   map[string]*plant{},
		meters:   map[string]*meter{},
		keys:     map[string]*meterKey{},
		used:     map[string]bool{},
		watching: map[string]bool{},
		nonces:   map[string]bool{},
		serials:  map[string]string{},
		official: map[string]bool{},
		voided:   map[string]bool{},
	}
	for _, e := range entries {
		if e.kind == "void" && e.isForm == nil {
			s.voided[refKey(num(e.spec, "index"), str(e.spec, "leafHash"))] = true
		}
	}
	return s
}

// free refuses keys that serve in this log already, or stand twice among these.
func (s *state) free(kids ...string) error {
	for i, kid := range kids {
		if s.used[kid] || has(kids[:i], kid) {
			return refuse("key-used", "a key serves already")
		}
	}
	return nil
}

func (s *state) use(kids ...string) {
	for _, kid := range kids {
		s.used[kid] = true
	}
}
